use super::message_in;
use super::tools::read_tool;
use crate::exchange::{
    ChatRequest, Dropped, Format, Media, Message, Number, Part, PartKind, Raw, Reasoning, Role, Source, Text,
    ToolChoice,
};
use crate::json::{Doc, Kind, Value};
use crate::openai::RequestError;

const WRONG_TYPE: &str = "Invalid type for this parameter.";

/// Reads what clients send to `/v2/chat`. What has no canonical form is noted: `citation_options`, `safety_mode`,
/// `priority`, citations of earlier turns.
///
/// # Errors
///
/// Where `messages` or a member that matters cannot be read.
pub fn read_request<'d>(
    doc: &'d Doc<'d>,
    _stream: bool,
    dropped: &mut Dropped,
) -> Result<ChatRequest<'d>, RequestError> {
    let root = doc.root();
    let mut request =
        ChatRequest { messages: message_in::read_messages(root, dropped)?, ..ChatRequest::default() };
    let strict = root.get("strict_tools").map(|strict| wanted(strict.bool(), "strict_tools")).transpose()?;
    for (name, value) in root.members().filter(|(_, value)| value.kind() != Kind::Null) {
        let name = name.decode();
        match &*name {
            "model" | "messages" | "strict_tools" => {}
            "tools" => read_tools(value, strict, &mut request, dropped)?,
            "documents" => add_documents(value, &mut request)?,
            "response_format" => request.format = Some(read_format(value)?),
            "tool_choice" => request.tool_choice = Some(read_choice(value)?),
            "thinking" => request.reasoning = Some(read_thinking(value)?),
            "stop_sequences" => request.stop = wanted(texts(value), "stop_sequences")?,
            "stream" => request.stream = wanted(value.bool(), "stream")?,
            "max_tokens" => request.max_tokens = Some(wanted(value.u64(), "max_tokens")?),
            "temperature" => request.temperature = Some(number(value, "temperature")?),
            "p" => request.top_p = Some(number(value, "p")?),
            "k" => request.top_k = Some(number(value, "k")?).filter(|k| k.as_f64() != Some(0.0)),
            "seed" => request.seed = Some(number(value, "seed")?),
            "frequency_penalty" => request.frequency_penalty = Some(number(value, "frequency_penalty")?),
            "presence_penalty" => request.presence_penalty = Some(number(value, "presence_penalty")?),
            "logprobs" => request.logprobs = Some(wanted(value.bool(), "logprobs")?),
            _ => dropped.note(name.into_owned()),
        }
    }
    Ok(request)
}

/// What a member must be, or else an error that names it.
pub(super) fn wanted<T>(value: Option<T>, param: &'static str) -> Result<T, RequestError> {
    value.ok_or_else(|| RequestError::about(param, WRONG_TYPE))
}

fn number<'d>(value: Value<'d>, param: &'static str) -> Result<Number<'d>, RequestError> {
    wanted(value.number(), param)
}

fn texts(value: Value<'_>) -> Option<Vec<Text<'_>>> {
    if !value.is_array() {
        return None;
    }
    value.elements().map(Value::text).collect()
}

fn read_tools<'d>(
    value: Value<'d>,
    strict: Option<bool>,
    request: &mut ChatRequest<'d>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    if !value.is_array() {
        return Err(RequestError::about("tools", WRONG_TYPE));
    }
    for tool in value.elements() {
        let kind = tool.text_of("type").unwrap_or(Text::literal("function"));
        if kind.is("function") {
            let function = tool.get("function").and_then(|function| read_tool(function, strict));
            request.tools.push(wanted(function, "tools")?);
        } else {
            dropped.note(format!("tools.{}", kind.decode()));
        }
    }
    Ok(())
}

fn read_choice(value: Value<'_>) -> Result<ToolChoice<'static>, RequestError> {
    match wanted(value.text(), "tool_choice")?.decode().to_ascii_uppercase().as_str() {
        "REQUIRED" => Ok(ToolChoice::Required),
        "NONE" => Ok(ToolChoice::None),
        "AUTO" => Ok(ToolChoice::Auto),
        _ => Err(RequestError::about("tool_choice", "Invalid 'tool_choice': expected REQUIRED or NONE.")),
    }
}

fn read_format(value: Value<'_>) -> Result<Format<'_>, RequestError> {
    let kind = wanted(value.text_of("type"), "response_format")?;
    let schema = value.get("json_schema").or_else(|| value.get("schema")).filter(|schema| schema.is_object());
    match (&*kind.decode(), schema) {
        ("text", _) => Ok(Format::Text),
        ("json_object", None) => Ok(Format::Json),
        ("json_object", Some(schema)) => {
            let schema = Raw::written(schema.raw());
            Ok(Format::Schema { name: None, description: None, schema, strict: None })
        }
        _ => Err(RequestError::about(
            "response_format",
            "Invalid 'response_format': expected text or json_object.",
        )),
    }
}

fn read_thinking(value: Value<'_>) -> Result<Reasoning, RequestError> {
    let budget = value.get("token_budget").map(|budget| wanted(budget.u64(), "thinking")).transpose()?;
    match &*wanted(value.text_of("type"), "thinking")?.decode() {
        // Thoughts are part of an answer here, whoever thinks.
        "enabled" => {
            Ok(Reasoning { budget, dynamic: budget.is_none(), show: Some(true), ..Reasoning::default() })
        }
        "disabled" => Ok(Reasoning { budget: Some(0), ..Reasoning::default() }),
        _ => Err(RequestError::about("thinking", "Invalid 'thinking': expected enabled or disabled.")),
    }
}

/// Puts the documents before what the user says last.
fn add_documents<'d>(value: Value<'d>, request: &mut ChatRequest<'d>) -> Result<(), RequestError> {
    if !value.is_array() {
        return Err(RequestError::about("documents", WRONG_TYPE));
    }
    let documents: Option<Vec<_>> = value.elements().map(read_document).collect();
    let documents = wanted(documents, "documents")?;
    let is_result = |part: &Part<'_>| matches!(part.kind, PartKind::ToolResult(_));
    let speaks =
        |message: &&mut Message<'_>| message.role == Role::User && !message.parts.iter().any(is_result);
    match request.messages.iter_mut().rev().find(speaks) {
        Some(message) => drop(message.parts.splice(0..0, documents)),
        None => request.messages.push(Message { role: Role::User, parts: documents, name: None }),
    }
    Ok(())
}

/// A document: a string, or `{"id", "data"}` where the data is an object of any members.
fn read_document(value: Value<'_>) -> Option<Part<'_>> {
    let (text, name) = match value.text() {
        Some(text) => (text, None),
        None => (document_text(value.get("data")?)?, value.text_of("id")),
    };
    let media = Media {
        source: Source::Text(text),
        media_type: Some(Text::literal("text/plain")),
        name,
        detail: None,
    };
    Some(PartKind::Document(media).into())
}

/// What a document says: the one string in it, or all of its members as JSON.
pub(super) fn document_text(data: Value<'_>) -> Option<Text<'_>> {
    if let Some(text) = data.text() {
        return Some(text);
    }
    let mut members = data.is_object().then(|| data.members())?;
    match (members.next().and_then(|(_, value)| value.text()), members.next()) {
        (Some(text), None) => Some(text),
        _ => Some(Text::plain(&String::from_utf8_lossy(data.raw()))),
    }
}
