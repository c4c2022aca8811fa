//! Tools and tool choice as clients send them.

use super::contents_in::wrong;
use super::names::{get, given, text_of, which};
use super::request_in::texts;
use super::schema_in;
use crate::exchange::{Dropped, Raw, Tool, ToolChoice};
use crate::json::Value;
use crate::openai::RequestError;

/// Reads `tools`. Google's own tools (`googleSearch`, `codeExecution`, …) exist nowhere else and are noted.
pub(super) fn read_tools<'d>(tools: Value<'d>, dropped: &mut Dropped) -> Result<Vec<Tool<'d>>, RequestError> {
    if !tools.is_array() {
        return Err(wrong("tools"));
    }
    let mut read = Vec::new();
    for (name, value) in tools.elements().flat_map(given) {
        if which(&name, &["functionDeclarations"]).is_none() {
            dropped.note(format!("tools.{}", name.decode()));
            continue;
        }
        for declaration in value.elements() {
            read.push(read_declaration(declaration, dropped)?);
        }
    }
    Ok(read)
}

fn read_declaration<'d>(declaration: Value<'d>, dropped: &mut Dropped) -> Result<Tool<'d>, RequestError> {
    let name = text_of(declaration, "name").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| wrong("tools.functionDeclarations.name"))?;
    let mut tool = Tool { name, description: None, schema: None, strict: None, custom: false, cache: None };
    for (member, value) in given(declaration) {
        match which(&member, &["name", "description", "parameters", "parametersJsonSchema"]) {
            Some("description") => tool.description = value.text(),
            Some("parameters") => tool.schema = Some(schema_in::json_schema(value)),
            Some("parametersJsonSchema") => tool.schema = Some(Raw::written(value.raw())),
            Some(_) => {}
            None => dropped.note(format!("tools.{}", member.decode())),
        }
    }
    Ok(tool)
}

/// Reads `toolConfig`.
pub(super) fn read_tool_choice<'d>(
    config: Value<'d>,
    dropped: &mut Dropped,
) -> Result<Option<ToolChoice<'d>>, RequestError> {
    for (name, _) in given(config) {
        if which(&name, &["functionCallingConfig"]).is_none() {
            dropped.note(format!("toolConfig.{}", name.decode()));
        }
    }
    let Some(calling) = get(config, "functionCallingConfig") else { return Ok(None) };
    let names = match get(calling, "allowedFunctionNames") {
        Some(names) => texts(names, "toolConfig.functionCallingConfig.allowedFunctionNames")?,
        None => Vec::new(),
    };
    let Some(mode) = text_of(calling, "mode") else { return Ok(None) };
    let mode = mode.decode().to_ascii_uppercase();
    Ok(match (mode.as_str(), names.len()) {
        ("MODE_UNSPECIFIED", _) => None,
        ("NONE", _) => Some(ToolChoice::None),
        ("AUTO" | "VALIDATED", 0) => Some(ToolChoice::Auto),
        ("AUTO" | "VALIDATED", _) => Some(ToolChoice::Allowed { names, required: false }),
        ("ANY", 0) => Some(ToolChoice::Required),
        ("ANY", 1) => names.into_iter().next().map(ToolChoice::Named),
        ("ANY", _) => Some(ToolChoice::Allowed { names, required: true }),
        _ => return Err(wrong("toolConfig.functionCallingConfig.mode")),
    })
}
