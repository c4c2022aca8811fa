//! Reading tools, the choice among them, and the format of the answer.

use super::content::cache_hint;
use crate::exchange::{Dropped, Format, Raw, Text, Tool, ToolChoice};
use crate::json::{Kind, Value};
use crate::openai::RequestError;

/// Reads `tools`.
///
/// # Errors
///
/// Where a tool has no name.
pub(super) fn read_tools<'d>(tools: Value<'d>, dropped: &mut Dropped) -> Result<Vec<Tool<'d>>, RequestError> {
    if !tools.is_array() {
        return Err(RequestError::about("tools", "Invalid type for 'tools': expected an array."));
    }
    let mut read = Vec::new();
    for tool in tools.elements() {
        let kind = tool.text_of("type").unwrap_or(Text::literal("function"));
        match &*kind.decode() {
            "function" => read.push(read_function(tool.get("function"), cache_of(tool), dropped)?),
            "custom" => read.push(read_custom(tool, dropped)?),
            other => dropped.note(format!("tools.{other}")),
        }
    }
    Ok(read)
}

fn cache_of(tool: Value<'_>) -> Option<crate::exchange::CacheHint> {
    cache_hint(tool).or_else(|| tool.get("function").and_then(cache_hint))
}

/// Reads `functions`, the old form of tools.
///
/// # Errors
///
/// Where a function has no name.
pub(super) fn read_functions<'d>(
    functions: Value<'d>,
    dropped: &mut Dropped,
) -> Result<Vec<Tool<'d>>, RequestError> {
    functions.elements().map(|function| read_function(Some(function), None, dropped)).collect()
}

#[cold]
fn nameless() -> RequestError {
    RequestError::about("tools", "A tool must have a name.")
}

fn read_function<'d>(
    function: Option<Value<'d>>,
    cache: Option<crate::exchange::CacheHint>,
    dropped: &mut Dropped,
) -> Result<Tool<'d>, RequestError> {
    let function = function.ok_or_else(nameless)?;
    let (mut name, mut description, mut schema, mut strict) = (None, None, None, None);
    for (member, value) in function.members().filter(|(_, value)| value.kind() != Kind::Null) {
        match &*member.decode() {
            "name" => name = value.text().filter(|name| !name.is_empty()),
            "description" => description = value.text(),
            "parameters" => schema = Some(read_schema(value)?),
            "strict" => strict = value.bool(),
            "cache_control" => {}
            other => dropped.note(format!("tools.function.{other}")),
        }
    }
    let name = name.ok_or_else(nameless)?;
    Ok(Tool { name, description, schema, strict, custom: false, cache })
}

fn read_schema(value: Value<'_>) -> Result<Raw<'_>, RequestError> {
    if value.is_object() {
        Ok(Raw::written(value.raw()))
    } else {
        Err(RequestError::about("tools", "The parameters of a tool must be an object."))
    }
}

fn read_custom<'d>(tool: Value<'d>, dropped: &mut Dropped) -> Result<Tool<'d>, RequestError> {
    let custom = tool.get("custom").ok_or_else(nameless)?;
    let free =
        custom.get("format").is_none_or(|format| format.get("type").is_some_and(|kind| kind.is("text")));
    dropped.note_if(!free, "tools.custom.format");
    Ok(Tool {
        name: custom.text_of("name").filter(|name| !name.is_empty()).ok_or_else(nameless)?,
        description: custom.text_of("description"),
        schema: None,
        strict: None,
        custom: true,
        cache: cache_hint(tool),
    })
}

/// Reads `tool_choice`, or `function_call`, its old form.
///
/// # Errors
///
/// Where it is none that is known.
pub(super) fn read_choice<'d>(
    choice: Value<'d>,
    param: &'static str,
) -> Result<ToolChoice<'d>, RequestError> {
    let unknown = || RequestError::about(param, "Invalid value: not a choice of tools that is known.");
    if let Some(word) = choice.text() {
        return match &*word.decode() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" | "any" => Ok(ToolChoice::Required),
            _ => Err(unknown()),
        };
    }
    if let Some(allowed) = choice.get("allowed_tools") {
        return read_allowed(allowed).ok_or_else(unknown);
    }
    tool_name(choice).map(ToolChoice::Named).ok_or_else(unknown)
}

/// The name in `{"type":"function","function":{"name":…}}`, or without what is around it.
fn tool_name(tool: Value<'_>) -> Option<Text<'_>> {
    let inner = tool.get("function").or_else(|| tool.get("custom")).unwrap_or(tool);
    inner.text_of("name")
}

fn read_allowed(allowed: Value<'_>) -> Option<ToolChoice<'_>> {
    let required = allowed.get("mode").is_some_and(|mode| mode.is("required"));
    let names = allowed.get("tools")?.elements().map(tool_name).collect::<Option<_>>()?;
    Some(ToolChoice::Allowed { names, required })
}

/// Reads `response_format`; one that is not known is noted.
///
/// # Errors
///
/// Where a schema is none.
pub(super) fn read_format<'d>(
    format: Value<'d>,
    dropped: &mut Dropped,
) -> Result<Option<Format<'d>>, RequestError> {
    let kind = format.text_of("type").unwrap_or_default();
    Ok(match &*kind.decode() {
        "text" => Some(Format::Text),
        "json_object" => Some(Format::Json),
        "json_schema" => Some(read_json_schema(format)?),
        _ => {
            dropped.note("response_format");
            None
        }
    })
}

fn read_json_schema(format: Value<'_>) -> Result<Format<'_>, RequestError> {
    let invalid =
        || RequestError::about("response_format", "A response format 'json_schema' must hold a schema.");
    let inner = format.get("json_schema").ok_or_else(invalid)?;
    let schema = match inner.get("schema") {
        Some(schema) if schema.is_object() => Raw::written(schema.raw()),
        Some(_) => return Err(invalid()),
        None => Raw::written(b"{}"),
    };
    Ok(Format::Schema {
        name: inner.text_of("name"),
        description: inner.text_of("description"),
        schema,
        strict: inner.get("strict").and_then(Value::bool),
    })
}
