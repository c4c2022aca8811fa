//! Counts of tokens for models whose provider does not count: estimated from the length of the prompt.

use sluice_dialects::{anthropic, gemini};
use sluice_pipeline::{ModelPlan, Upstream, offers};
use sluice_types::Route;

use crate::answer::{Answer, send_document};
use crate::exchange::{Exchange, estimate_tokens};
use crate::refusal::Ended;
use crate::worker::WorkerPlan;

/// Whether a provider of the model that the key (an index) may reach counts tokens itself.
pub(crate) fn is_counted(plan: &WorkerPlan, model: &ModelPlan, route: Route, key: Option<u32>) -> bool {
    let plan = plan.plan();
    let key = key.map(|key| plan.keys.get(key));
    let Some(call) = Upstream::of_route(route) else { return false };
    model.tiers.iter().flatten().any(|target| {
        let target = &plan.targets[*target as usize];
        let provider = &plan.providers[target.provider as usize];
        offers(provider.dialect, call, provider.quirks)
            && key.is_none_or(|key| key.allows_provider(target.provider))
    })
}

/// Answers with an estimate.
pub(crate) async fn estimate<A: Answer>(x: Exchange<'_, '_, A>) -> Result<(), Ended> {
    let tokens = estimate_tokens(x.request.body().len() as u64).into();
    let mut body = Vec::with_capacity(32);
    match x.route {
        Route::GeminiCountTokens => gemini::write_token_count(tokens, &mut body),
        _ => anthropic::write_token_count(tokens, &mut body),
    }
    send_document(x.answer, x.settlement, 200, "application/json", &body).await.map_err(|_| Ended::Closed)
}
