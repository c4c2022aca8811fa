//! Translation of a request into the dialect of a target's provider.

use sluice_dialects::custom_tools::CustomTools;
use sluice_dialects::exchange::Dropped;
use sluice_dialects::json::{Doc, JsonError};
use sluice_dialects::openai::{MAX_MODEL_BYTES, RequestError};
use sluice_dialects::wire::{Target, Wire};
use sluice_pipeline::{ProviderPlan, TargetPlan, Upstream, chat_call, wire_of};
use sluice_types::{ErrorKind, Unsupported};

use crate::exchange::{Call, Exchange};
use crate::outbound::{ChangedTools, upstream_model};
use crate::refusal::Refusal;

/// Translates a chat; the body is then in [`crate::exchange::Rare`]. Returns the call it is sent as, and
/// what its tools have become there.
pub(crate) fn chat<A>(
    x: &mut Exchange<'_, '_, A>,
    call: Call<'_>,
    target: &TargetPlan,
    provider: &ProviderPlan,
    to: Wire,
) -> Result<(Upstream, ChangedTools), Refusal> {
    #[cfg(feature = "fault-injection")]
    crate::fault::inject("translate", x.head, &x.request.bytes);
    let mut scratch = [0; MAX_MODEL_BYTES];
    let model = upstream_model(x, call, target, &mut scratch).to_owned();
    let mut dropped = Dropped::default();
    let doc = Doc::parse(x.request.body()).map_err(unreadable)?;
    let from = wire_of(x.route);
    let stream = call.view.stream();
    let mut request = from.read_request(&doc, stream, &mut dropped).map_err(invalid)?;
    request.stream = stream;
    let at = Target {
        model: provider.model_in_body.as_deref().unwrap_or(&model),
        quirks: provider.quirks.and(target.quirks),
        default_max_tokens: target.max_output_tokens.unwrap_or(provider.default_max_tokens).into(),
    };
    let out = &mut x.rare.translated;
    out.clear();
    to.write_request(&request, &at, &mut dropped, out).map_err(untranslatable)?;
    refuse_losses(&dropped, x.plan.plan().settings.translate_unsupported, provider)?;
    x.rare.dropped = dropped.header_value();
    let tools =
        ChangedTools { names: to.tool_names(&request.tools), custom: CustomTools::of(&request.tools) };
    Ok((chat_call(to, stream), tools))
}

/// Where losses are not wanted, a request that would lose something is refused.
pub(crate) fn refuse_losses(
    dropped: &Dropped,
    policy: Unsupported,
    provider: &ProviderPlan,
) -> Result<(), Refusal> {
    if policy == Unsupported::Drop || dropped.is_empty() {
        return Ok(());
    }
    let (names, provider) = (dropped.header_value(), &provider.name);
    let message = format!("The provider `{provider}` cannot be asked for: {names}.");
    Err(Refusal::new(ErrorKind::Untranslatable, message))
}

pub(crate) fn unreadable(error: JsonError) -> Refusal {
    Refusal::new(ErrorKind::InvalidBody, format!("Could not parse the request body: {error}."))
}

pub(crate) fn invalid(error: RequestError) -> Refusal {
    Refusal::new(ErrorKind::InvalidBody, error.message).with_param(error.param)
}

pub(crate) fn untranslatable(error: RequestError) -> Refusal {
    Refusal::new(ErrorKind::Untranslatable, error.message).with_param(error.param)
}
