//! Writing a request.

use super::names::SERVICE_TIERS;
use super::{messages_out, tools_out};
use crate::exchange::{ChatRequest, Dropped, Effort, Number, Reasoning, Text, losses};
use crate::json::Out;
use crate::openai::RequestError;
use crate::wire::{Quirk, Target};

/// Stop texts OpenAI takes at most.
const MAX_STOPS: usize = 4;

/// Appends the body for a provider.
///
/// # Errors
///
/// Where a message would be empty, for what it holds cannot be sent.
pub fn write_request(
    request: &ChatRequest<'_>,
    target: &Target<'_>,
    dropped: &mut Dropped,
    out: &mut Vec<u8>,
) -> Result<(), RequestError> {
    let mut out = Out::new(out);
    out.begin_object().field("model", target.model);
    let names = tools_out::NAMES.names_of(&request.tools);
    messages_out::write(request, target, &names, dropped, &mut out)?;
    tools_out::write(request, target, &names, dropped, &mut out);
    write_format(request, &mut out);
    write_stream(request, target, &mut out);
    write_sampling(request, target, dropped, &mut out);
    write_options(request, target, dropped, &mut out);
    out.end_object();
    Ok(())
}

fn write_format(request: &ChatRequest<'_>, out: &mut Out<'_>) {
    if let Some(format) = &request.format {
        tools_out::write_format(format, out);
    }
}

/// Usage is always asked for, whatever the client wants: the gateway counts by it.
fn write_stream(request: &ChatRequest<'_>, target: &Target<'_>, out: &mut Out<'_>) {
    if request.stream {
        out.key("stream").bool(true);
        if !target.quirks.has(Quirk::NoStreamOptions) {
            out.key("stream_options").begin_object().key("include_usage").bool(true).end_object();
        }
    }
}

fn write_sampling(request: &ChatRequest<'_>, target: &Target<'_>, dropped: &mut Dropped, out: &mut Out<'_>) {
    let number = |out: &mut Out<'_>, name: &str, value: Option<&Number<'_>>| {
        out.field_raw(name, value.map(Number::as_bytes));
    };
    number(out, "temperature", request.temperature.as_ref());
    number(out, "top_p", request.top_p.as_ref());
    number(out, "frequency_penalty", request.frequency_penalty.as_ref());
    number(out, "presence_penalty", request.presence_penalty.as_ref());
    let seed = if target.quirks.has(Quirk::RandomSeed) { "random_seed" } else { "seed" };
    number(out, seed, request.seed.as_ref());
    dropped.note_if(request.top_k.is_some(), losses::TOP_K);
    write_stop(&request.stop, dropped, out);
    out.field_number("n", request.n.filter(|n| *n != 1));
    if let Some(logprobs) = request.logprobs {
        out.key("logprobs").bool(logprobs);
    }
    out.field_number("top_logprobs", request.top_logprobs);
    out.field_raw("logit_bias", request.logit_bias.as_ref().map(crate::exchange::Raw::as_bytes));
}

fn write_stop(stop: &[Text<'_>], dropped: &mut Dropped, out: &mut Out<'_>) {
    if stop.is_empty() {
        return;
    }
    dropped.note_if(stop.len() > MAX_STOPS, losses::STOP);
    out.key("stop").begin_array();
    for text in stop.iter().take(MAX_STOPS) {
        out.text(text);
    }
    out.end_array();
}

fn write_options(request: &ChatRequest<'_>, target: &Target<'_>, dropped: &mut Dropped, out: &mut Out<'_>) {
    let limit = if target.quirks.has(Quirk::OldMaxTokens) { "max_tokens" } else { "max_completion_tokens" };
    out.field_number(limit, request.max_tokens);
    if let Some(reasoning) = &request.reasoning {
        if let Some(effort) = effort(reasoning) {
            out.field("reasoning_effort", effort.name());
        }
        dropped.note_if(reasoning.show == Some(true), losses::SHOW_THINKING);
    }
    out.field_text("verbosity", request.verbosity.as_ref());
    if let Some(tier) = &request.service_tier {
        if SERVICE_TIERS.iter().any(|known| tier.is(known)) {
            out.key("service_tier").text(tier);
        } else {
            dropped.note(losses::SERVICE_TIER);
        }
    }
    out.field_text("user", request.user.as_ref());
    out.field_text("prompt_cache_key", request.cache_key.as_ref());
}

/// OpenAI knows efforts only; that the model sees for itself is what it does unasked.
fn effort(reasoning: &Reasoning) -> Option<Effort> {
    if reasoning.is_off() {
        return Some(Effort::None);
    }
    reasoning.effort.or_else(|| reasoning.budget.map(Effort::of_budget))
}
