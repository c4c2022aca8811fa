//! Requests as providers get them.

use super::contents_out::Turns;
use super::names::write_list;
use super::schema::{Rewritten, rewrite};
use super::tools_out::{NAMES, write_tools};
use crate::exchange::{ChatRequest, Dropped, Effort, Format, Number, Reasoning, losses};
use crate::json::Out;
use crate::openai::RequestError;
use crate::wire::{Quirk, Target};

/// Most candidates Google generates for one request.
const MAX_CANDIDATES: u64 = 8;

/// Most texts that may end a generation.
const MAX_STOPS: usize = 5;

/// Appends the body of a request of `generateContent`. The path says which model, and whether it is to be a stream.
///
/// # Errors
///
/// Where Google cannot be asked for it at all: a message would be empty, or more answers are wanted than it gives.
pub fn write_request(
    request: &ChatRequest<'_>,
    target: &Target<'_>,
    dropped: &mut Dropped,
    out: &mut Vec<u8>,
) -> Result<(), RequestError> {
    let mut out = Out::new(out);
    out.begin_object();
    write_members(request, target, dropped, &mut out)?;
    out.end_object();
    Ok(())
}

fn write_members(
    request: &ChatRequest<'_>,
    target: &Target<'_>,
    dropped: &mut Dropped,
    out: &mut Out<'_>,
) -> Result<(), RequestError> {
    let turns = Turns::of(request, dropped)?;
    let names = NAMES.names_of(&request.tools);
    turns.write(target.quirks, &names, out);
    turns.write_system(out);
    write_tools(request, &names, dropped, out);
    write_config(request, target, dropped, out)?;
    dropped.note_if(request.logit_bias.is_some(), losses::LOGIT_BIAS);
    dropped.note_if(request.user.is_some(), losses::USER);
    dropped.note_if(request.verbosity.is_some(), losses::VERBOSITY);
    dropped.note_if(request.cache_key.is_some(), losses::CACHE_KEY);
    let tier = request.service_tier.as_ref();
    dropped.note_if(tier.is_some_and(|tier| !tier.is("auto") && !tier.is("default")), losses::SERVICE_TIER);
    Ok(())
}

fn write_config(
    request: &ChatRequest<'_>,
    target: &Target<'_>,
    dropped: &mut Dropped,
    out: &mut Out<'_>,
) -> Result<(), RequestError> {
    let before = begin_optional("generationConfig", out);
    out.field_number("maxOutputTokens", request.max_tokens);
    for (name, value) in [
        ("temperature", &request.temperature),
        ("topP", &request.top_p),
        ("topK", &request.top_k),
        ("frequencyPenalty", &request.frequency_penalty),
        ("presencePenalty", &request.presence_penalty),
    ] {
        out.field_raw(name, value.as_ref().map(Number::as_bytes));
    }
    // Google's seed has 32 bits, OpenAI's 64.
    let fits = |seed: &&Number<'_>| {
        std::str::from_utf8(seed.as_bytes()).is_ok_and(|seed| seed.parse::<i32>().is_ok())
    };
    let seed = request.seed.as_ref().filter(fits);
    dropped.note_if(request.seed.is_some() && seed.is_none(), losses::SEED);
    out.field_raw("seed", seed.map(Number::as_bytes));
    write_stops(request, dropped, out);
    write_candidates(request, out)?;
    if request.logprobs == Some(true) {
        out.key("responseLogprobs").bool(true);
        out.field_number("logprobs", request.top_logprobs.filter(|count| *count > 0));
    }
    if let Some(format) = &request.format {
        write_format(format, request, target, dropped, out);
    }
    if let Some(reasoning) = request.reasoning {
        write_thinking(reasoning, request.max_tokens, target, dropped, out);
    }
    end_optional(before, out);
    Ok(())
}

/// Opens an object that is taken back where nothing is written into it.
fn begin_optional(name: &str, out: &mut Out<'_>) -> usize {
    let before = out.bytes().len();
    out.key(name).begin_object();
    before
}

fn end_optional(before: usize, out: &mut Out<'_>) {
    if out.bytes().ends_with(b"{") {
        out.bytes().truncate(before);
    } else {
        out.end_object();
    }
}

fn write_stops(request: &ChatRequest<'_>, dropped: &mut Dropped, out: &mut Out<'_>) {
    let stops: Vec<_> = request.stop.iter().filter(|stop| !stop.is_empty()).collect();
    dropped.note_if(stops.len() > MAX_STOPS, losses::STOP);
    write_list("stopSequences", stops.into_iter().take(MAX_STOPS), out);
}

fn write_candidates(request: &ChatRequest<'_>, out: &mut Out<'_>) -> Result<(), RequestError> {
    match request.n {
        None | Some(1) => Ok(()),
        Some(n) if (2..=MAX_CANDIDATES).contains(&n) => {
            out.field_number("candidateCount", Some(n));
            Ok(())
        }
        Some(_) => Err(RequestError::about("n", "This model gives 1 to 8 answers to a request.")),
    }
}

fn write_format(
    format: &Format<'_>,
    request: &ChatRequest<'_>,
    target: &Target<'_>,
    dropped: &mut Dropped,
    out: &mut Out<'_>,
) {
    if *format == Format::Text {
        return;
    }
    if !request.tools.is_empty() && !target.quirks.has(Quirk::ThinkingLevel) {
        // Models before Gemini 3 refuse a type of answer beside functions; of the two the functions matter more.
        dropped.note(losses::FORMAT);
        return;
    }
    out.field("responseMimeType", "application/json");
    if let Format::Schema { schema, .. } = format {
        match rewrite(schema) {
            Rewritten::Subset(bytes) => _ = out.key("responseSchema").raw(&bytes),
            Rewritten::Verbatim => _ = out.key("responseJsonSchema").raw(schema.as_bytes()),
            Rewritten::Empty => {}
        }
    }
}

fn write_thinking(
    reasoning: Reasoning,
    max_tokens: Option<u64>,
    target: &Target<'_>,
    dropped: &mut Dropped,
    out: &mut Out<'_>,
) {
    let knows_none = ["gemini-1", "gemini-2.0"].iter().any(|family| target.model.contains(family));
    if knows_none {
        dropped.note_if(!reasoning.is_off(), losses::EFFORT);
        return;
    }
    let before = begin_optional("thinkingConfig", out);
    if target.quirks.has(Quirk::ThinkingLevel) {
        dropped.note_if(reasoning.is_off(), losses::EFFORT);
        if let Some(level) = level(reasoning, target.model) {
            out.field("thinkingLevel", level);
        }
    } else {
        write_budget(reasoning, max_tokens, target.model, out);
    }
    if let Some(show) = reasoning.show {
        out.key("includeThoughts").bool(show);
    }
    end_optional(before, out);
}

/// The level for an effort or a budget. The models called Pro cannot think less than `LOW`, and the first of them knows
/// nothing between that and `HIGH`. None can be told not to think at all; the least is what comes nearest.
fn level(reasoning: Reasoning, model: &str) -> Option<&'static str> {
    let effort = reasoning.effort.or_else(|| reasoning.budget.map(Effort::of_budget))?;
    let pro = model.contains("-pro");
    Some(match effort {
        Effort::None | Effort::Minimal if !pro => "MINIMAL",
        Effort::None | Effort::Minimal | Effort::Low => "LOW",
        Effort::Medium if !model.contains("gemini-3-pro") => "MEDIUM",
        Effort::Medium | Effort::High | Effort::Xhigh | Effort::Max => "HIGH",
    })
}

/// The bounds of a budget in tokens: Gemini 2.5 Pro thinks at least a little, and more than the others at most.
fn budget_bounds(model: &str) -> (u64, u64) {
    if model.contains("-pro") { (128, 32_768) } else { (0, 24_576) }
}

fn write_budget(reasoning: Reasoning, max_tokens: Option<u64>, model: &str, out: &mut Out<'_>) {
    if reasoning.dynamic {
        out.key("thinkingBudget").raw(b"-1");
        return;
    }
    let (least, most) = budget_bounds(model);
    // Thoughts count towards the limit. A budget made of an effort leaves half of it for the answer.
    let room = max_tokens.unwrap_or(u64::MAX);
    let wanted = match (reasoning.budget, reasoning.effort) {
        (Some(budget), _) => budget.min(room.saturating_sub(1)),
        (None, Some(effort)) => effort.budget().min(room / 2),
        (None, None) => return,
    };
    out.field_number("thinkingBudget", Some(wanted.min(most).max(least)));
}
