//! Reading requests.

use super::message_in::{read_messages, read_system};
use super::tools_in::{read_tool_choice, read_tools};
use crate::exchange::{CacheHint, ChatRequest, Dropped, Effort, Format, Number, Raw, Reasoning, Text};
use crate::json::{Doc, Kind, Value};
use crate::openai::RequestError;

const WRONG_TYPE: &str = "Invalid type for this parameter.";

/// Reads a request of either version of the API. `stream` is said in the body.
///
/// `max_tokens` may be missing, which a provider of this dialect would refuse: a request to count tokens has the same
/// shape without it, and the other dialects need none.
///
/// # Errors
///
/// Where there are no messages, or a member that is read has a type it cannot have.
pub fn read_request<'d>(
    doc: &'d Doc<'d>,
    _stream: bool,
    dropped: &mut Dropped,
) -> Result<ChatRequest<'d>, RequestError> {
    let mut request = ChatRequest::default();
    let mut parts = Parts::default();
    for (name, value) in doc.root().members() {
        if value.kind() != Kind::Null {
            member(&mut request, &mut parts, &name, value, dropped)?;
        }
    }
    if let Some(system) = parts.system {
        request.messages.extend(read_system(system, dropped)?);
    }
    let messages = parts.messages.ok_or_else(|| refused("messages", "Missing required parameter."))?;
    read_messages(messages, &mut request.messages, dropped)?;
    if let Some(hint) = parts.cache
        && let Some(part) = request.messages.last_mut().and_then(|message| message.parts.last_mut())
    {
        part.cache.get_or_insert(hint);
    }
    if let Some(tools) = parts.tools {
        request.tools = read_tools(tools, dropped)?;
    }
    if let Some(choice) = parts.tool_choice {
        read_tool_choice(choice, &mut request, dropped)?;
    }
    request.reasoning = reasoning(parts.thinking, parts.effort, dropped)?;
    Ok(request)
}

/// Members that are read when all are known.
#[derive(Default)]
struct Parts<'d> {
    system: Option<Value<'d>>,
    messages: Option<Value<'d>>,
    tools: Option<Value<'d>>,
    tool_choice: Option<Value<'d>>,
    thinking: Option<Value<'d>>,
    effort: Option<Text<'d>>,
    /// The whole prompt is to be cached.
    cache: Option<CacheHint>,
}

fn member<'d>(
    request: &mut ChatRequest<'d>,
    parts: &mut Parts<'d>,
    name: &Text<'d>,
    value: Value<'d>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    match &*name.decode() {
        // Who serves the request knows these.
        "model" => {}
        "messages" => parts.messages = Some(value),
        "system" => parts.system = Some(value),
        "tools" => parts.tools = Some(value),
        "tool_choice" => parts.tool_choice = Some(value),
        "thinking" => parts.thinking = Some(value),
        "cache_control" => parts.cache = Some(cache_hint(value)),
        "max_tokens" => request.max_tokens = Some(value.u64().ok_or_else(|| wrong_type("max_tokens"))?),
        "stream" => request.stream = value.bool().ok_or_else(|| wrong_type("stream"))?,
        "temperature" => request.temperature = number(value, "temperature")?,
        "top_p" => request.top_p = number(value, "top_p")?,
        "top_k" => request.top_k = number(value, "top_k")?,
        "stop_sequences" => {
            let texts =
                value.is_array().then(|| value.elements().map(Value::text).collect::<Option<Vec<_>>>());
            request.stop = texts.flatten().ok_or_else(|| wrong_type("stop_sequences"))?;
        }
        "metadata" => metadata(request, value, dropped)?,
        "service_tier" => {
            request.service_tier = Some(value.text().ok_or_else(|| wrong_type("service_tier"))?);
        }
        "output_config" => output_config(request, parts, value, dropped)?,
        // As it was called before it was a part of `output_config`.
        "output_format" => request.format = format(value, "output_format", dropped)?,
        other => dropped.note(other.to_owned()),
    }
    Ok(())
}

fn metadata<'d>(
    request: &mut ChatRequest<'d>,
    value: Value<'d>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    if !value.is_object() {
        return Err(wrong_type("metadata"));
    }
    for (name, value) in value.members().filter(|(_, value)| value.kind() != Kind::Null) {
        if name.is("user_id") {
            request.user = Some(value.text().ok_or_else(|| wrong_type("metadata.user_id"))?);
        } else {
            dropped.note(format!("metadata.{}", name.decode()));
        }
    }
    Ok(())
}

fn output_config<'d>(
    request: &mut ChatRequest<'d>,
    parts: &mut Parts<'d>,
    value: Value<'d>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    if !value.is_object() {
        return Err(wrong_type("output_config"));
    }
    for (name, value) in value.members().filter(|(_, value)| value.kind() != Kind::Null) {
        match &*name.decode() {
            "effort" => parts.effort = Some(value.text().ok_or_else(|| wrong_type("output_config.effort"))?),
            "format" => request.format = format(value, "output_config.format", dropped)?,
            other => dropped.note(format!("output_config.{other}")),
        }
    }
    Ok(())
}

fn format<'d>(
    value: Value<'d>,
    param: &'static str,
    dropped: &mut Dropped,
) -> Result<Option<Format<'d>>, RequestError> {
    if !value.get("type").is_some_and(|kind| kind.is("json_schema")) {
        dropped.note(param);
        return Ok(None);
    }
    let schema = value.get("schema").filter(|schema| schema.is_object());
    let schema = schema.ok_or_else(|| refused(param, "A format needs a schema, which is an object."))?;
    let schema = Raw::written(schema.raw());
    Ok(Some(Format::Schema { name: None, description: None, schema, strict: None }))
}

fn reasoning(
    thinking: Option<Value<'_>>,
    effort: Option<Text<'_>>,
    dropped: &mut Dropped,
) -> Result<Option<Reasoning>, RequestError> {
    let effort = match effort {
        Some(name) => {
            let known = Effort::named(&name).filter(|effort| *effort >= Effort::Low);
            Some(known.ok_or_else(|| refused("output_config.effort", "Not an effort that is known."))?)
        }
        None => None,
    };
    let Some(thinking) = thinking else {
        return Ok(effort.map(|effort| Reasoning { effort: Some(effort), ..Reasoning::default() }));
    };
    let mut reasoning = Reasoning { effort, ..Reasoning::default() };
    match &*thinking.text_of("type").unwrap_or_default().decode() {
        "enabled" => {
            let budget = thinking.get("budget_tokens").and_then(Value::u64);
            reasoning.budget =
                Some(budget.ok_or_else(|| refused("thinking", "`budget_tokens` must be a whole number."))?);
        }
        "adaptive" => reasoning.dynamic = true,
        // Thinking between calls only has no equal; the model may then think where it sees fit.
        "between_tools" => {
            reasoning.dynamic = true;
            dropped.note("thinking.between_tools");
        }
        "disabled" => {
            dropped.note_if(effort.is_some(), "output_config.effort");
            reasoning.effort = Some(Effort::None);
        }
        _ => return Err(refused("thinking", "Not a type of thinking that is known.")),
    }
    // With a budget thoughts are shown unless it is said otherwise; without one that depends on the model.
    let usual = reasoning.budget.map(|_| true);
    reasoning.show = thinking.get("display").map_or(usual, |display| Some(!display.is("omitted")));
    Ok(Some(reasoning))
}

/// How long what comes before a breakpoint is to be cached.
pub(super) fn cache_hint(value: Value<'_>) -> CacheHint {
    if value.get("ttl").is_some_and(|ttl| ttl.is("1h")) { CacheHint::Hour } else { CacheHint::Short }
}

fn number<'d>(value: Value<'d>, param: &'static str) -> Result<Option<Number<'d>>, RequestError> {
    value.number().map(Some).ok_or_else(|| wrong_type(param))
}

#[cold]
pub(super) fn wrong_type(param: &'static str) -> RequestError {
    refused(param, WRONG_TYPE)
}

#[cold]
pub(super) fn refused(param: &'static str, message: &'static str) -> RequestError {
    RequestError::about(param, message)
}
