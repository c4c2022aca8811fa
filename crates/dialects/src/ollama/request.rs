use super::messages::{takes, write_messages};
use crate::exchange::{ChatRequest, Dropped, Effort, Format, Number, Reasoning, Tool, ToolChoice, losses};
use crate::json::Out;
use crate::lost_media::refuse_emptied;
use crate::openai::RequestError;
use crate::wire::Target;

/// What a tool that takes free text takes here.
const CUSTOM_SCHEMA: &[u8] =
    br#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;

/// What a tool without arguments takes.
const EMPTY_SCHEMA: &[u8] = br#"{"type":"object","properties":{}}"#;

/// Appends the body for `/api/chat`.
///
/// # Errors
///
/// Where several answers are wanted, or no message says anything.
pub fn write_request(
    request: &ChatRequest<'_>,
    target: &Target<'_>,
    dropped: &mut Dropped,
    out: &mut Vec<u8>,
) -> Result<(), RequestError> {
    request.require_one_answer()?;
    refuse_emptied(&request.messages, "images, as bytes (base64)", takes)?;
    let mut out = Out::new(out);
    out.begin_object().field("model", target.model).key("messages");
    // Without messages Ollama loads the model and answers nothing.
    if write_messages(request, dropped, &mut out) == 0 {
        return Err(RequestError::about("messages", "Invalid 'messages': no message holds anything."));
    }
    // A stream is the default here.
    out.key("stream").bool(request.stream);
    write_tools(request, dropped, &mut out);
    match &request.format {
        None | Some(Format::Text) => {}
        Some(Format::Json) => {
            out.field("format", "json");
        }
        Some(Format::Schema { schema, .. }) => {
            out.key("format").raw(schema.as_bytes());
        }
    }
    if let Some(reasoning) = &request.reasoning {
        write_think(reasoning, &mut out);
    }
    if request.logprobs == Some(true) {
        out.key("logprobs").bool(true).field_number("top_logprobs", request.top_logprobs);
    }
    write_options(request, &mut out);
    out.end_object();
    note_rest(request, dropped);
    Ok(())
}

/// The tools to offer. None of them can be demanded, but the choice can be narrowed by offering fewer.
fn write_tools(request: &ChatRequest<'_>, dropped: &mut Dropped, out: &mut Out<'_>) {
    let is_offered = |tool: &&Tool<'_>| match &request.tool_choice {
        None | Some(ToolChoice::Auto | ToolChoice::Required) => true,
        Some(ToolChoice::None) => false,
        Some(ToolChoice::Named(name)) => tool.name == *name,
        Some(ToolChoice::Allowed { names, .. }) => names.contains(&tool.name),
    };
    let demanded = matches!(
        &request.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Allowed { required: true, .. })
    );
    dropped.note_if(demanded, losses::TOOL_CHOICE);
    let mut offered = request.tools.iter().filter(is_offered).peekable();
    if offered.peek().is_none() {
        return;
    }
    out.key("tools").begin_array();
    for tool in offered {
        dropped.note_if(tool.strict == Some(true), losses::TOOL_STRICT);
        dropped.note_if(tool.cache.is_some(), losses::CACHE);
        write_tool(tool, out);
    }
    out.end_array();
    dropped.note_if(request.parallel_tool_calls == Some(false), losses::PARALLEL_TOOL_CALLS);
}

fn write_tool(tool: &Tool<'_>, out: &mut Out<'_>) {
    out.begin_object().field("type", "function").key("function").begin_object();
    out.key("name").text(&tool.name).field_text("description", tool.description.as_ref());
    let schema = match &tool.schema {
        _ if tool.custom => CUSTOM_SCHEMA,
        Some(schema) => schema.as_bytes(),
        None => EMPTY_SCHEMA,
    };
    out.key("parameters").raw(schema).end_object().end_object();
}

/// Whether to think, or how hard; models that know no levels take one for a yes.
fn write_think(reasoning: &Reasoning, out: &mut Out<'_>) {
    let effort = reasoning.effort.or(reasoning.budget.map(Effort::of_budget));
    let level = match effort {
        _ if reasoning.is_off() => {
            out.key("think").bool(false);
            return;
        }
        Some(Effort::None | Effort::Minimal | Effort::Low) => "low",
        Some(Effort::Medium) => "medium",
        Some(Effort::High | Effort::Xhigh | Effort::Max) => "high",
        None if reasoning.dynamic => {
            out.key("think").bool(true);
            return;
        }
        None => return,
    };
    out.field("think", level);
}

fn write_options(request: &ChatRequest<'_>, out: &mut Out<'_>) {
    let numbers = [
        ("temperature", &request.temperature),
        ("top_p", &request.top_p),
        ("top_k", &request.top_k),
        ("seed", &request.seed),
        ("frequency_penalty", &request.frequency_penalty),
        ("presence_penalty", &request.presence_penalty),
    ];
    let any = numbers.iter().any(|(_, number)| number.is_some());
    if !any && request.max_tokens.is_none() && request.stop.is_empty() {
        return;
    }
    out.key("options").begin_object().field_number("num_predict", request.max_tokens);
    for (name, number) in numbers {
        out.field_raw(name, number.as_ref().map(Number::as_bytes));
    }
    if !request.stop.is_empty() {
        out.key("stop").begin_array();
        for stop in &request.stop {
            out.text(stop);
        }
        out.end_array();
    }
    out.end_object();
}

fn note_rest(request: &ChatRequest<'_>, dropped: &mut Dropped) {
    dropped.note_if(request.logit_bias.is_some(), losses::LOGIT_BIAS);
    dropped.note_if(request.user.is_some(), losses::USER);
    dropped.note_if(request.verbosity.is_some(), losses::VERBOSITY);
    dropped.note_if(request.service_tier.is_some(), losses::SERVICE_TIER);
    dropped.note_if(request.cache_key.is_some(), losses::CACHE_KEY);
}
