//! Reading tools.

use super::request_in::{cache_hint, refused, wrong_type};
use crate::exchange::{ChatRequest, Dropped, Raw, Tool, ToolChoice};
use crate::json::{Kind, Value};
use crate::openai::RequestError;

/// Members of a tool that are read.
const KNOWN: [&str; 6] = ["type", "name", "description", "input_schema", "strict", "cache_control"];

/// Reads tools. Those the provider runs itself have no canonical form and are noted by their name without its date.
pub(super) fn read_tools<'d>(tools: Value<'d>, dropped: &mut Dropped) -> Result<Vec<Tool<'d>>, RequestError> {
    if !tools.is_array() {
        return Err(wrong_type("tools"));
    }
    let mut read = Vec::new();
    for tool in tools.elements() {
        let kind = tool.text_of("type").filter(|kind| !kind.is("custom"));
        match kind {
            Some(kind) => dropped.note(format!("tools.{}", undated(&kind.decode()))),
            None => read.push(read_tool(tool, dropped)?),
        }
    }
    Ok(read)
}

/// A name of a tool of the provider's, less the date of its version: `web_search_20250305`.
fn undated(kind: &str) -> &str {
    match kind.rsplit_once('_') {
        Some((name, date)) if date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => kind,
    }
}

fn read_tool<'d>(tool: Value<'d>, dropped: &mut Dropped) -> Result<Tool<'d>, RequestError> {
    let name = tool.text_of("name").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| refused("tools", "A tool needs a name."))?;
    let schema = tool.get("input_schema");
    if schema.is_some_and(|schema| !schema.is_object()) {
        return Err(refused("tools", "The schema of a tool must be an object."));
    }
    for (name, value) in tool.members() {
        if value.kind() != Kind::Null && !KNOWN.iter().any(|known| name.is(known)) {
            dropped.note(format!("tools.{}", name.decode()));
        }
    }
    Ok(Tool {
        name,
        description: tool.text_of("description"),
        schema: schema.map(|schema| Raw::written(schema.raw())),
        strict: tool.get("strict").and_then(Value::bool),
        custom: false,
        cache: tool.get("cache_control").map(cache_hint),
    })
}

/// Reads the choice of tools, when these are known: a choice of a tool that was left behind goes with it.
pub(super) fn read_tool_choice<'d>(
    choice: Value<'d>,
    request: &mut ChatRequest<'d>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    let read = match &*choice.text_of("type").unwrap_or_default().decode() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => {
            let name = choice.text_of("name");
            ToolChoice::Named(
                name.ok_or_else(|| refused("tool_choice", "A choice of a tool needs its name."))?,
            )
        }
        _ => return Err(refused("tool_choice", "Not a type of choice that is known.")),
    };
    let parallel = choice.get("disable_parallel_tool_use").and_then(Value::bool);
    request.parallel_tool_calls = parallel.map(|disabled| !disabled);
    let is_there = match &read {
        ToolChoice::Named(name) => request.tools.iter().any(|tool| tool.name == *name),
        _ => !request.tools.is_empty(),
    };
    if is_there {
        request.tool_choice = Some(read);
    } else {
        dropped.note("tool_choice");
    }
    Ok(())
}
