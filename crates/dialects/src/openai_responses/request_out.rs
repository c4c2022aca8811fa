//! Writing requests: everything but the input.

use crate::exchange::{
    ChatRequest, Dropped, Effort, Format, Message, Part, PartKind, Reasoning, Role, Text, Tool, ToolChoice,
    losses,
};
use crate::json::Out;
use crate::lost_media::refuse_emptied;
use crate::openai::RequestError;
use crate::tool_names::{NameRules, ToolNames};
use crate::wire::{Quirk, Target};

use super::items_out::{Items, takes};
use super::params_in::calls;

/// Fewest tokens that may be asked for.
const MIN_OUTPUT_TOKENS: u64 = 16;

/// Service tiers by OpenAI's names.
const SERVICE_TIERS: [&str; 7] = ["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"];

/// Appends a request. Nothing is to be stored; reasoning comes with its encrypted form instead, so that it can be sent
/// back.
///
/// # Errors
///
/// For several answers, and where no message says anything.
pub fn write_request(
    request: &ChatRequest<'_>,
    target: &Target<'_>,
    dropped: &mut Dropped,
    out: &mut Vec<u8>,
) -> Result<(), RequestError> {
    request.require_one_answer()?;
    refuse_emptied(
        &request.messages,
        "images and documents, as bytes (base64) or by an https: address",
        takes,
    )?;
    let mut out = Out::new(out);
    out.begin_object().field("model", target.model);
    let (instructions, messages) = split_instructions(&request.messages);
    out.field_text("instructions", instructions);
    out.key("input").begin_array();
    let names = NameRules::COMMON.names_of(&request.tools);
    let breakpoints = target.quirks.has(Quirk::CacheBreakpoints);
    let mut items = Items::new(messages, &names, breakpoints, dropped);
    items.write(&mut out);
    let has_reasoning = items.has_reasoning;
    if out.bytes().ends_with(b"[") {
        return Err(RequestError::about("messages", "There must be at least one message with content."));
    }
    out.end_array();
    dropped.note_if(request.tools.iter().any(|tool| tool.cache.is_some()), losses::CACHE);
    tools(request, &names, dropped, &mut out);
    sampling(request, dropped, &mut out);
    text(request, &mut out);
    let reasons = reasoning(request.reasoning.as_ref(), &mut out);
    include(request, reasons || has_reasoning, &mut out);
    service(request, dropped, &mut out);
    if request.stream {
        out.key("stream").bool(true);
    }
    out.key("store").bool(false).end_object();
    Ok(())
}

/// A single system prompt at the beginning is `instructions`, as clients of the API write it. Several stay messages, so
/// that none is glued to another, and so does one that is all there is, for the input must not be empty, and one with a
/// breakpoint, which only parts of messages have.
fn split_instructions<'m, 'a>(messages: &'m [Message<'a>]) -> (Option<&'m Text<'a>>, &'m [Message<'a>]) {
    if let [first, rest @ ..] = messages
        && first.role == Role::System
        && first.name.is_none()
        && rest.first().is_some_and(|next| next.role != Role::System)
        && let [Part { kind: PartKind::Text(text), cache: None }] = &first.parts[..]
    {
        return (Some(text), rest);
    }
    (None, messages)
}

/// The name that a tool of the request has at the provider.
#[must_use]
pub fn mapped_name<'n>(tools: &[Tool<'_>], name: &'n Text<'_>) -> Text<'n> {
    NameRules::COMMON.mapped_name(tools, name)
}

fn tools(request: &ChatRequest<'_>, names: &ToolNames, dropped: &mut Dropped, out: &mut Out<'_>) {
    if request.tools.is_empty() {
        return dropped.note_if(request.tool_choice.as_ref().is_some_and(calls), losses::TOOL_CHOICE);
    }
    out.key("tools").begin_array();
    for tool in &request.tools {
        write_tool(tool, &names.mapped(&NameRules::COMMON, &tool.name), out);
    }
    out.end_array();
    if let Some(choice) = &request.tool_choice {
        out.key("tool_choice");
        tool_choice(choice, &request.tools, names, out);
    }
    if let Some(parallel) = request.parallel_tool_calls {
        out.key("parallel_tool_calls").bool(parallel);
    }
}

fn write_tool(tool: &Tool<'_>, name: &Text<'_>, out: &mut Out<'_>) {
    out.begin_object().field("type", kind_of_tool(tool.custom)).key("name").text(name);
    out.field_text("description", tool.description.as_ref());
    if !tool.custom {
        let strict = tool.strict.unwrap_or(false);
        let none: &[u8] = if strict {
            br#"{"type":"object","properties":{},"required":[],"additionalProperties":false}"#
        } else {
            br#"{"type":"object","properties":{}}"#
        };
        out.key("parameters").raw(tool.schema.as_ref().map_or(none, |schema| schema.as_bytes()));
        // Strict is the default here and nowhere else.
        out.key("strict").bool(strict);
    }
    out.end_object();
}

fn kind_of_tool(custom: bool) -> &'static str {
    if custom { "custom" } else { "function" }
}

fn tool_choice(choice: &ToolChoice<'_>, tools: &[Tool<'_>], names: &ToolNames, out: &mut Out<'_>) {
    let named = |name: &Text<'_>, out: &mut Out<'_>| {
        let custom = tools.iter().any(|tool| tool.custom && tool.name == *name);
        let name = names.mapped(&NameRules::COMMON, name);
        out.begin_object().field("type", kind_of_tool(custom)).key("name").text(&name).end_object();
    };
    match choice {
        ToolChoice::Auto => drop(out.string("auto")),
        ToolChoice::None => drop(out.string("none")),
        ToolChoice::Required => drop(out.string("required")),
        ToolChoice::Named(name) => named(name, out),
        ToolChoice::Allowed { names, required } => {
            out.begin_object().field("type", "allowed_tools");
            out.field("mode", if *required { "required" } else { "auto" }).key("tools").begin_array();
            for name in names {
                named(name, out);
            }
            out.end_array().end_object();
        }
    }
}

fn sampling(request: &ChatRequest<'_>, dropped: &mut Dropped, out: &mut Out<'_>) {
    if let Some(tokens) = request.max_tokens {
        dropped.note_if(tokens < MIN_OUTPUT_TOKENS, losses::MAX_TOKENS);
        out.key("max_output_tokens").number(tokens.max(MIN_OUTPUT_TOKENS));
    }
    out.field_raw("temperature", request.temperature.as_ref().map(|number| number.as_bytes()));
    out.field_raw("top_p", request.top_p.as_ref().map(|number| number.as_bytes()));
    if request.logprobs == Some(true) {
        out.field_number("top_logprobs", request.top_logprobs);
    }
    dropped.note_if(request.top_k.is_some(), losses::TOP_K);
    dropped.note_if(request.frequency_penalty.is_some(), losses::FREQUENCY_PENALTY);
    dropped.note_if(request.presence_penalty.is_some(), losses::PRESENCE_PENALTY);
    dropped.note_if(request.seed.is_some(), losses::SEED);
    dropped.note_if(!request.stop.is_empty(), losses::STOP);
    dropped.note_if(request.logit_bias.is_some(), losses::LOGIT_BIAS);
}

fn text(request: &ChatRequest<'_>, out: &mut Out<'_>) {
    let format = request.format.as_ref().filter(|format| **format != Format::Text);
    if format.is_none() && request.verbosity.is_none() {
        return;
    }
    out.key("text").begin_object();
    match format {
        Some(Format::Json) => {
            out.key("format").begin_object().field("type", "json_object").end_object();
        }
        Some(Format::Schema { name, description, schema, strict }) => {
            out.key("format").begin_object().field("type", "json_schema").key("name");
            match name {
                Some(name) => out.text(name),
                // A name is required.
                None => out.string("answer"),
            };
            out.field_text("description", description.as_ref()).key("schema").raw(schema.as_bytes());
            if let Some(strict) = strict {
                out.key("strict").bool(*strict);
            }
            out.end_object();
        }
        Some(Format::Text) | None => {}
    }
    out.field_text("verbosity", request.verbosity.as_ref()).end_object();
}

/// Appends `reasoning`; says whether the model is to reason.
fn reasoning(reasoning: Option<&Reasoning>, out: &mut Out<'_>) -> bool {
    let Some(reasoning) = reasoning else { return false };
    let effort = match (reasoning.effort, reasoning.budget) {
        (Some(effort), _) => Some(effort),
        (None, Some(tokens)) => Some(Effort::of_budget(tokens)),
        // As much as the model sees fit is what it does when told nothing.
        (None, None) => None,
    };
    let show = reasoning.show == Some(true) && !reasoning.is_off();
    if effort.is_some() || show {
        out.key("reasoning").begin_object();
        if let Some(effort) = effort {
            out.field("effort", effort.name());
        }
        if show {
            out.field("summary", "auto");
        }
        out.end_object();
    }
    !reasoning.is_off()
}

fn include(request: &ChatRequest<'_>, reasoning: bool, out: &mut Out<'_>) {
    let logprobs = request.logprobs == Some(true);
    if !reasoning && !logprobs {
        return;
    }
    out.key("include").begin_array();
    if reasoning {
        out.string("reasoning.encrypted_content");
    }
    if logprobs {
        out.string("message.output_text.logprobs");
    }
    out.end_array();
}

fn service(request: &ChatRequest<'_>, dropped: &mut Dropped, out: &mut Out<'_>) {
    match &request.service_tier {
        Some(tier) if SERVICE_TIERS.iter().any(|known| tier.is(known)) => {
            out.key("service_tier").text(tier);
        }
        tier => dropped.note_if(tier.is_some(), losses::SERVICE_TIER),
    }
    out.field_text("user", request.user.as_ref());
    out.field_text("prompt_cache_key", request.cache_key.as_ref());
}
