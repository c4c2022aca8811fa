//! Translation of embeddings and rerank into the format of a target's provider.

use sluice_dialects::embeddings::EmbedWire;
use sluice_dialects::exchange::Dropped;
use sluice_dialects::json::Doc;
use sluice_dialects::openai::MAX_MODEL_BYTES;
use sluice_dialects::rerank::RerankWire;
use sluice_pipeline::{ProviderPlan, TargetPlan, Upstream};
use sluice_types::{Dialect, Route};

use crate::exchange::{Call, Exchange};
use crate::outbound::{Translated, upstream_model};
use crate::refusal::Refusal;
use crate::translate::{invalid, refuse_losses, unreadable, untranslatable};

/// Translates a request for embeddings; the body is then in [`crate::exchange::Rare`].
pub(crate) fn embed<A>(
    x: &mut Exchange<'_, '_, A>,
    call: Call<'_>,
    target: &TargetPlan,
    provider: &ProviderPlan,
) -> Result<(Upstream, Translated), Refusal> {
    let model = upstream_model(x, call, target, &mut [0; MAX_MODEL_BYTES]).to_owned();
    let (upstream, from) = provider_embeds(provider, &model);
    let to = client_embeds(x.route);
    let mut dropped = Dropped::default();
    let doc = Doc::parse(x.request.body()).map_err(unreadable)?;
    let request = to.read_request(&doc, &mut dropped).map_err(invalid)?;
    let out = &mut x.rare.translated;
    out.clear();
    from.write_request(&request, &model, &mut dropped, out).map_err(untranslatable)?;
    refuse_losses(&dropped, x.plan.plan().settings.translate_unsupported, provider)?;
    x.rare.dropped = dropped.header_value();
    Ok((upstream, Translated::Embed { from, to, encodings: request.encodings }))
}

fn client_embeds(route: Route) -> EmbedWire {
    match route {
        Route::EmbedContent => EmbedWire::GeminiContent,
        Route::BatchEmbedContents => EmbedWire::GeminiBatch,
        Route::CohereEmbed => EmbedWire::Cohere,
        _ => EmbedWire::Openai,
    }
}

/// The call and the format in which a provider embeds. Bedrock's depends on whose model it is; among those who serve
/// OpenAI's dialect, three are known to differ in what else they take.
fn provider_embeds(provider: &ProviderPlan, model: &str) -> (Upstream, EmbedWire) {
    match provider.dialect {
        Dialect::Gemini => (Upstream::BatchEmbedContents, EmbedWire::GeminiBatch),
        Dialect::Vertex => (Upstream::Predict, EmbedWire::Vertex),
        Dialect::Bedrock if model.contains("cohere.") => (Upstream::Invoke, EmbedWire::BedrockCohere),
        Dialect::Bedrock => (Upstream::Invoke, EmbedWire::BedrockTitan),
        Dialect::Cohere => (Upstream::CohereEmbed, EmbedWire::Cohere),
        Dialect::Ollama => (Upstream::OllamaEmbed, EmbedWire::Ollama),
        Dialect::Openai | Dialect::OpenaiResponses | Dialect::Azure | Dialect::Anthropic => {
            let wire = match &*provider.host {
                "api.mistral.ai" => EmbedWire::Mistral,
                "api.voyageai.com" => EmbedWire::Voyage,
                "api.jina.ai" => EmbedWire::Jina,
                _ => EmbedWire::Openai,
            };
            (Upstream::Embeddings, wire)
        }
    }
}

/// Translates a request to rerank.
pub(crate) fn rerank<A>(
    x: &mut Exchange<'_, '_, A>,
    call: Call<'_>,
    target: &TargetPlan,
    provider: &ProviderPlan,
) -> Result<Translated, Refusal> {
    let model = upstream_model(x, call, target, &mut [0; MAX_MODEL_BYTES]).to_owned();
    let from = match (provider.dialect, &*provider.host) {
        (Dialect::Cohere, _) => RerankWire::Cohere,
        (_, "api.voyageai.com") => RerankWire::Voyage,
        _ => RerankWire::Jina,
    };
    // Both versions of the path are one route; the clients of the first are those of Jina and its likes.
    let is_first = x.head.path(&x.request.bytes).ends_with("/v1/rerank");
    let to = if is_first { RerankWire::Jina } else { RerankWire::Cohere };
    let mut dropped = Dropped::default();
    let doc = Doc::parse(x.request.body()).map_err(unreadable)?;
    let request = to.read_request(&doc, &mut dropped).map_err(invalid)?;
    let out = &mut x.rare.translated;
    out.clear();
    from.write_request(&request, &model, &mut dropped, out);
    refuse_losses(&dropped, x.plan.plan().settings.translate_unsupported, provider)?;
    x.rare.dropped = dropped.header_value();
    Ok(Translated::Rerank { from, to })
}
