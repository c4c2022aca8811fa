//! Requests as clients send them.

use super::contents_in::{CallIds, push_thought, read_parts, wrong};
use super::names::{count, get, given, text_of, which};
use super::{schema_in, tools_in};
use crate::exchange::{
    ChatRequest, Dropped, Effort, Format, Message, Number, Part, PartKind, Raw, Reasoning, Role, Text,
};
use crate::json::{Doc, Value};
use crate::openai::RequestError;

/// Members of a request that are read.
const REQUEST: [&str; 7] =
    ["contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier", "model"];

/// Reads a request of `generateContent`, or one of `countTokens` with such a request in it. `stream` is said by the path,
/// and so is the model.
///
/// # Errors
///
/// What is wrong with the request, in words for the client.
pub fn read_request<'d>(
    doc: &'d Doc<'d>,
    stream: bool,
    dropped: &mut Dropped,
) -> Result<ChatRequest<'d>, RequestError> {
    let root = doc.root();
    let root = get(root, "generateContentRequest").unwrap_or(root);
    let mut request = ChatRequest { stream, ..ChatRequest::default() };
    let mut contents = None;
    for (name, value) in given(root) {
        match which(&name, &REQUEST) {
            Some("contents") => contents = Some(value),
            Some("systemInstruction") => read_system(value, dropped, &mut request)?,
            Some("tools") => request.tools = tools_in::read_tools(value, dropped)?,
            Some("toolConfig") => request.tool_choice = tools_in::read_tool_choice(value, dropped)?,
            Some("generationConfig") => read_config(value, &mut request, dropped)?,
            Some("serviceTier") => request.service_tier = value.text(),
            Some(_) => {}
            None => dropped.note(name.decode().into_owned()),
        }
    }
    read_contents(contents, &mut request, dropped)?;
    Ok(request)
}

/// A system prompt is a `Content`, though clients also send its text alone.
fn read_system<'d>(
    system: Value<'d>,
    dropped: &mut Dropped,
    request: &mut ChatRequest<'d>,
) -> Result<(), RequestError> {
    let mut parts = Vec::new();
    match system.text() {
        Some(text) => parts.push(PartKind::Text(text).into()),
        None if system.is_object() => read_parts(system, &mut CallIds::of_request(), dropped, &mut parts)?,
        None => return Err(wrong("systemInstruction")),
    }
    parts.retain(|part| !matches!(&part.kind, PartKind::Text(text) if text.is_empty()));
    if !parts.is_empty() {
        request.messages.insert(0, Message { role: Role::System, parts, name: None });
    }
    Ok(())
}

fn read_contents<'d>(
    contents: Option<Value<'d>>,
    request: &mut ChatRequest<'d>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    let contents = contents.ok_or_else(|| RequestError::about("contents", "contents is required."))?;
    if !contents.is_array() {
        return Err(wrong("contents"));
    }
    let mut ids = CallIds::of_request();
    contents.elements().try_for_each(|content| read_content(content, &mut ids, request, dropped))?;
    if request.messages.is_empty() {
        return Err(RequestError::about("contents", "contents holds nothing to answer."));
    }
    Ok(())
}

fn read_content<'d>(
    content: Value<'d>,
    ids: &mut CallIds<'d>,
    request: &mut ChatRequest<'d>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    if !content.is_object() {
        return Err(wrong("contents"));
    }
    let role = match text_of(content, "role") {
        None => Role::User,
        Some(role) if ["user", "function", ""].iter().any(|known| role.is(known)) => Role::User,
        Some(role) if role.is("model") => Role::Assistant,
        Some(role) if role.is("system") => Role::System,
        Some(_) => return Err(RequestError::about("contents.role", "Please use a valid role: user, model.")),
    };
    let mut parts = Vec::new();
    read_parts(content, ids, dropped, &mut parts)?;
    let is_result = |part: &Part<'_>| matches!(part.kind, PartKind::ToolResult(_));
    let (results, rest): (Vec<_>, Vec<_>) = parts.into_iter().partition(is_result);
    for (role, parts) in [(Role::User, results), (role, rest)] {
        match request.messages.last_mut() {
            _ if parts.is_empty() => {}
            Some(last) if role == Role::Assistant && last.role == role => go_on(&mut last.parts, parts),
            _ => request.messages.push(Message { role, parts, name: None }),
        }
    }
    Ok(())
}

/// Clients keep each event of a stream as a turn of its own: what they send back are fragments of one turn.
fn go_on<'d>(parts: &mut Vec<Part<'d>>, more: Vec<Part<'d>>) {
    for part in more {
        match (parts.last_mut().map(|last| &mut last.kind), part.kind) {
            (Some(PartKind::Text(text)), PartKind::Text(more)) => text.push(&more),
            (Some(PartKind::Thinking { .. }), PartKind::Thinking { text, signature }) => {
                push_thought(text, signature, parts);
            }
            (_, kind) => parts.push(kind.into()),
        }
    }
}

/// Members of `generationConfig` that are read.
const CONFIG: [&str; 16] = [
    "maxOutputTokens",
    "temperature",
    "topP",
    "topK",
    "frequencyPenalty",
    "presencePenalty",
    "seed",
    "stopSequences",
    "candidateCount",
    "responseLogprobs",
    "logprobs",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "thinkingConfig",
    "responseModalities",
];

fn read_config<'d>(
    config: Value<'d>,
    request: &mut ChatRequest<'d>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    if !config.is_object() {
        return Err(wrong("generationConfig"));
    }
    let mut schema = None;
    let mut media_type = None;
    for (name, value) in given(config) {
        let Some(known) = which(&name, &CONFIG) else {
            dropped.note(format!("generationConfig.{}", name.decode()));
            continue;
        };
        match known {
            "temperature" => request.temperature = Some(number(value, "generationConfig.temperature")?),
            "topP" => request.top_p = Some(number(value, "generationConfig.topP")?),
            "topK" => request.top_k = Some(number(value, "generationConfig.topK")?),
            "frequencyPenalty" => {
                request.frequency_penalty = Some(number(value, "generationConfig.frequencyPenalty")?)
            }
            "presencePenalty" => {
                request.presence_penalty = Some(number(value, "generationConfig.presencePenalty")?)
            }
            "seed" => request.seed = Some(number(value, "generationConfig.seed")?),
            "maxOutputTokens" => request.max_tokens = Some(whole(value, "generationConfig.maxOutputTokens")?),
            "candidateCount" => request.n = Some(whole(value, "generationConfig.candidateCount")?),
            "logprobs" => request.top_logprobs = Some(whole(value, "generationConfig.logprobs")?),
            "responseLogprobs" => request.logprobs = value.bool(),
            "stopSequences" => request.stop = texts(value, "generationConfig.stopSequences")?,
            "responseMimeType" => media_type = value.text(),
            "responseSchema" => schema = Some(schema_in::json_schema(value)),
            "responseJsonSchema" => schema = Some(Raw::written(value.raw())),
            "thinkingConfig" => request.reasoning = read_thinking(value, dropped)?,
            _ => note_modalities(value, dropped),
        }
    }
    request.format = format(media_type.as_ref(), schema, dropped);
    Ok(())
}

/// Text is what every model answers with.
fn note_modalities(value: Value<'_>, dropped: &mut Dropped) {
    dropped.note_if(
        value.elements().any(|modality| !modality.is("TEXT")),
        "generationConfig.responseModalities",
    );
}

fn format<'d>(
    media_type: Option<&Text<'d>>,
    schema: Option<Raw<'d>>,
    dropped: &mut Dropped,
) -> Option<Format<'d>> {
    match (media_type, schema) {
        (Some(media_type), _) if media_type.is("text/x.enum") => {
            dropped.note("generationConfig.responseMimeType");
            None
        }
        (_, Some(schema)) => Some(Format::Schema { name: None, description: None, schema, strict: None }),
        (Some(media_type), None) if media_type.is("application/json") => Some(Format::Json),
        (Some(media_type), None) => {
            dropped.note_if(!media_type.is("text/plain"), "generationConfig.responseMimeType");
            None
        }
        (None, None) => None,
    }
}

fn read_thinking(value: Value<'_>, dropped: &mut Dropped) -> Result<Option<Reasoning>, RequestError> {
    let mut reasoning = Reasoning::default();
    for (name, value) in given(value) {
        match which(&name, &["thinkingBudget", "thinkingLevel", "includeThoughts"]) {
            Some("thinkingBudget") if value.raw().starts_with(b"-") => reasoning.dynamic = true,
            Some("thinkingBudget") => {
                reasoning.budget = Some(whole(value, "generationConfig.thinkingConfig.thinkingBudget")?);
            }
            Some("thinkingLevel") => {
                reasoning.effort = value.text().and_then(|level| level_of(&level));
                dropped.note_if(reasoning.effort.is_none(), "thinkingConfig.thinkingLevel");
            }
            Some(_) => reasoning.show = value.bool(),
            None => dropped.note(format!("thinkingConfig.{}", name.decode())),
        }
    }
    Ok(Some(reasoning).filter(|reasoning| *reasoning != Reasoning::default()))
}

fn level_of(level: &Text<'_>) -> Option<Effort> {
    Effort::named(&Text::plain(&level.decode().to_ascii_lowercase()))
}

fn number<'d>(value: Value<'d>, param: &'static str) -> Result<Number<'d>, RequestError> {
    value.number().ok_or_else(|| wrong(param))
}

fn whole(value: Value<'_>, param: &'static str) -> Result<u64, RequestError> {
    count(value).ok_or_else(|| wrong(param))
}

pub(super) fn texts<'d>(value: Value<'d>, param: &'static str) -> Result<Vec<Text<'d>>, RequestError> {
    if !value.is_array() {
        return Err(wrong(param));
    }
    value.elements().map(|text| text.text().ok_or_else(|| wrong(param))).collect()
}
