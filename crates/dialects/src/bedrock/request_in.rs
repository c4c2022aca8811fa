//! Reading requests as clients of Bedrock send them.

use super::blocks_in::{Blocks, read_cache_point};
use super::model_fields::read_model_fields;
use crate::exchange::{
    ChatRequest, Dropped, Effort, Format, Message, Part, PartKind, Raw, Reasoning, Role, Tool, ToolChoice,
};
use crate::json::{self, Doc, Kind, Value};
use crate::openai::RequestError;

/// Reads a request. `stream` is what the path says.
///
/// # Errors
///
/// Where a member that is needed is missing or of the wrong type.
pub fn read_request<'d>(
    doc: &'d Doc<'d>,
    stream: bool,
    dropped: &mut Dropped,
) -> Result<ChatRequest<'d>, RequestError> {
    let mut request = ChatRequest { stream, ..ChatRequest::default() };
    let root = doc.root();
    // The system prompt stands first, wherever the document has it.
    if let Some(system) = root.get("system") {
        request.messages.extend(read_system(system, dropped)?);
    }
    for (name, value) in root.members().filter(|(_, value)| value.kind() != Kind::Null) {
        match name.as_escaped() {
            b"system" | b"modelId" => {}
            b"messages" => read_messages(value, &mut request, dropped)?,
            b"inferenceConfig" => read_inference_config(value, &mut request, dropped)?,
            b"toolConfig" => read_tool_config(value, &mut request, dropped)?,
            b"outputConfig" => read_output_config(value, &mut request, dropped)?,
            b"serviceTier" => request.service_tier = value.text_of("type"),
            b"additionalModelRequestFields" => read_model_fields(value, &mut request, dropped)?,
            // The text that ended an answer is told whether asked for or not.
            b"additionalModelResponseFieldPaths"
                if value.elements().all(|path| path.is("/stop_sequence")) => {}
            other => dropped.note(String::from_utf8_lossy(other).into_owned()),
        }
    }
    if !request.messages.iter().any(|message| message.role != Role::System) {
        return Err(RequestError::about("messages", "The request needs at least one message."));
    }
    Ok(request)
}

fn about_messages(message: &'static str) -> RequestError {
    RequestError::about("messages", message)
}

fn read_system<'d>(system: Value<'d>, dropped: &mut Dropped) -> Result<Option<Message<'d>>, RequestError> {
    let blocks = Blocks::read(system, dropped).map_err(|message| RequestError::about("system", message))?;
    let parts = blocks.parts;
    Ok((!parts.is_empty()).then_some(Message { role: Role::System, parts, name: None }))
}

fn read_messages<'d>(
    messages: Value<'d>,
    request: &mut ChatRequest<'d>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    if !messages.is_array() {
        return Err(about_messages("The messages must be a list."));
    }
    for message in messages.elements() {
        let role = match message.text_of("role") {
            Some(role) if role.is("user") => Role::User,
            Some(role) if role.is("assistant") => Role::Assistant,
            Some(role) if role.is("system") => Role::System,
            _ => return Err(about_messages("The role of a message must be user, assistant or system.")),
        };
        let content = message.get("content").ok_or_else(|| about_messages("A message needs a content."))?;
        let blocks = Blocks::read(content, dropped).map_err(about_messages)?;
        dropped.note_if(!blocks.citations.is_empty(), "messages.citations");
        push_message(role, blocks.parts, &mut request.messages);
    }
    Ok(())
}

/// Results of tools become a message of their own, before what the user says besides.
fn push_message<'d>(role: Role, parts: Vec<Part<'d>>, messages: &mut Vec<Message<'d>>) {
    let is_result = |part: &Part<'_>| matches!(part.kind, PartKind::ToolResult(_));
    let mixed = role == Role::User && parts.iter().any(is_result) && !parts.iter().all(is_result);
    if !mixed {
        messages.push(Message { role, parts, name: None });
        return;
    }
    let (results, rest) = parts.into_iter().partition(is_result);
    messages.push(Message { role, parts: results, name: None });
    messages.push(Message { role, parts: rest, name: None });
}

fn read_inference_config<'d>(
    config: Value<'d>,
    request: &mut ChatRequest<'d>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    let refused = |param| RequestError::about(param, "Invalid type for this parameter.");
    if !config.is_object() {
        return Err(refused("inferenceConfig"));
    }
    for (name, value) in config.members().filter(|(_, value)| value.kind() != Kind::Null) {
        match name.as_escaped() {
            b"maxTokens" => {
                request.max_tokens = Some(value.u64().ok_or_else(|| refused("inferenceConfig.maxTokens"))?);
            }
            b"temperature" => {
                request.temperature =
                    Some(value.number().ok_or_else(|| refused("inferenceConfig.temperature"))?);
            }
            b"topP" => request.top_p = Some(value.number().ok_or_else(|| refused("inferenceConfig.topP"))?),
            b"stopSequences" => {
                let texts: Option<Vec<_>> = value.elements().map(Value::text).collect();
                let texts = texts.filter(|_| value.is_array());
                request.stop = texts.ok_or_else(|| refused("inferenceConfig.stopSequences"))?;
            }
            other => dropped.note(format!("inferenceConfig.{}", String::from_utf8_lossy(other))),
        }
    }
    Ok(())
}

fn read_tool_config<'d>(
    config: Value<'d>,
    request: &mut ChatRequest<'d>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    for tool in config.get("tools").into_iter().flat_map(Value::elements) {
        for (name, value) in tool.members().filter(|(_, value)| value.kind() != Kind::Null) {
            match name.as_escaped() {
                b"toolSpec" => request.tools.push(read_tool(value)?),
                b"cachePoint" => match request.tools.last_mut() {
                    Some(tool) => tool.cache = Some(read_cache_point(value)),
                    None => dropped.note("toolConfig.cachePoint"),
                },
                other => {
                    let own = value.text_of("name").map(|name| name.decode().into_owned());
                    let own = own.unwrap_or_else(|| String::from_utf8_lossy(other).into_owned());
                    dropped.note(format!("tools.{own}"));
                }
            }
        }
    }
    let Some(choice) = config.get("toolChoice") else { return Ok(()) };
    request.tool_choice = match choice.members().next() {
        Some((name, _)) if name.is("auto") => Some(ToolChoice::Auto),
        Some((name, _)) if name.is("any") => Some(ToolChoice::Required),
        Some((name, tool)) if name.is("tool") => tool.text_of("name").map(ToolChoice::Named),
        _ => None,
    };
    match request.tool_choice {
        None => Err(RequestError::about("toolConfig.toolChoice", "The choice must be auto, any or tool.")),
        Some(_) => Ok(()),
    }
}

fn read_tool<'d>(tool: Value<'d>) -> Result<Tool<'d>, RequestError> {
    let name =
        tool.text_of("name").ok_or_else(|| RequestError::about("toolConfig", "A tool needs a name."))?;
    let schema = tool.get("inputSchema").and_then(|schema| schema.get("json"));
    Ok(Tool {
        name,
        description: tool.text_of("description"),
        schema: schema.filter(|schema| schema.is_object()).map(|schema| Raw::written(schema.raw())),
        strict: tool.get("strict").and_then(Value::bool),
        custom: false,
        cache: None,
    })
}

fn read_output_config<'d>(
    config: Value<'d>,
    request: &mut ChatRequest<'d>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    for (name, value) in config.members().filter(|(_, value)| value.kind() != Kind::Null) {
        match name.as_escaped() {
            b"textFormat" => request.format = Some(read_format(value)?),
            b"effort" => {
                let effort = value.text().and_then(|name| Effort::named(&name));
                let reasoning = request.reasoning.get_or_insert_with(Reasoning::default);
                reasoning.effort = effort.or(reasoning.effort);
                dropped.note_if(effort.is_none(), "outputConfig.effort");
            }
            other => dropped.note(format!("outputConfig.{}", String::from_utf8_lossy(other))),
        }
    }
    Ok(())
}

/// The schema is a document within a string here.
fn read_format<'d>(format: Value<'d>) -> Result<Format<'d>, RequestError> {
    const PARAM: &str = "outputConfig.textFormat";
    let definition = format.get("structure").and_then(|structure| structure.get("jsonSchema"));
    let definition =
        definition.ok_or_else(|| RequestError::about(PARAM, "The format needs a jsonSchema."))?;
    let schema = definition.text_of("schema").unwrap_or_default().decode().into_owned();
    if let Err(error) = json::scan_object_lenient::<0>(schema.as_bytes(), &[]) {
        return Err(RequestError::about(PARAM, format!("The schema is no JSON object: {error}.")));
    }
    Ok(Format::Schema {
        name: definition.text_of("name"),
        description: definition.text_of("description"),
        schema: Raw::owned(schema.into_bytes()),
        strict: Some(true),
    })
}
