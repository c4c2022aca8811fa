//! Reading tools and the parameters that are objects.

use crate::exchange::{ChatRequest, Dropped, Effort, Format, Raw, Reasoning, Tool, ToolChoice};
use crate::json::Value;
use crate::openai::RequestError;

use super::request_in::{note_others, text as string, wrong};

/// Reads `tools`: functions and custom tools. Those that OpenAI runs itself are left behind, and so are namespaces, whose
/// names would have to come back in the calls.
pub(super) fn tools<'d>(value: Value<'d>, dropped: &mut Dropped) -> Result<Vec<Tool<'d>>, RequestError> {
    if !value.is_array() {
        return Err(wrong("tools"));
    }
    let mut tools = Vec::new();
    for tool in value.elements() {
        let kind = tool.text_of("type").ok_or_else(|| wrong("tools"))?;
        if kind.is("function") || kind.is("custom") {
            tools.push(read_tool(tool, kind.is("custom"), dropped)?);
        } else {
            dropped.note(format!("tools.{}", kind.decode()));
        }
    }
    Ok(tools)
}

fn read_tool<'d>(tool: Value<'d>, custom: bool, dropped: &mut Dropped) -> Result<Tool<'d>, RequestError> {
    const FUNCTION: [&str; 5] = ["type", "name", "description", "parameters", "strict"];
    const CUSTOM: [&str; 4] = ["type", "name", "description", "format"];
    note_others(tool, if custom { &CUSTOM } else { &FUNCTION }, "tools", dropped);
    let schema = tool.get("parameters").filter(|_| !custom);
    if schema.is_some_and(|schema| !schema.is_object()) {
        return Err(wrong("tools"));
    }
    // A grammar; free text needs no word.
    dropped.note_if(
        custom && tool.get("format").is_some_and(|it| !it.get("type").is_some_and(|it| it.is("text"))),
        "tools.format",
    );
    Ok(Tool {
        name: tool.text_of("name").filter(|name| !name.is_empty()).ok_or_else(|| wrong("tools"))?,
        description: tool.text_of("description"),
        schema: schema.map(|schema| Raw::written(schema.raw())),
        strict: tool.get("strict").and_then(Value::bool).filter(|_| !custom),
        custom,
        cache: None,
    })
}

/// Reads `tool_choice`; `None` where it asks for a tool that was left behind.
pub(super) fn tool_choice<'d>(
    value: Value<'d>,
    dropped: &mut Dropped,
) -> Result<Option<ToolChoice<'d>>, RequestError> {
    let kind = value.text().or_else(|| value.text_of("type")).ok_or_else(|| wrong("tool_choice"))?;
    Ok(Some(match (&*kind.decode(), value.is_object()) {
        ("auto", false) => ToolChoice::Auto,
        ("none", false) => ToolChoice::None,
        ("required", false) => ToolChoice::Required,
        (_, false) => return Err(RequestError::about("tool_choice", "Unknown value for this parameter.")),
        ("function" | "custom", true) => {
            ToolChoice::Named(value.text_of("name").ok_or_else(|| wrong("tool_choice"))?)
        }
        ("allowed_tools", true) => allowed(value, dropped)?,
        (other, true) => {
            dropped.note(format!("tool_choice.{other}"));
            return Ok(None);
        }
    }))
}

fn allowed<'d>(value: Value<'d>, dropped: &mut Dropped) -> Result<ToolChoice<'d>, RequestError> {
    let tools = value.get("tools").filter(|tools| tools.is_array()).ok_or_else(|| wrong("tool_choice"))?;
    let mut names = Vec::new();
    for tool in tools.elements() {
        match tool.text_of("name") {
            Some(name) => names.push(name),
            None => dropped.note("tool_choice.tools"),
        }
    }
    Ok(ToolChoice::Allowed { names, required: value.get("mode").is_some_and(|mode| mode.is("required")) })
}

/// Whether a choice makes the model call something.
pub(super) fn calls(choice: &ToolChoice<'_>) -> bool {
    !matches!(choice, ToolChoice::Auto | ToolChoice::None)
}

/// Reads `text`: the format of the answer and its verbosity.
pub(super) fn text<'d>(
    value: Value<'d>,
    request: &mut ChatRequest<'d>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    if !value.is_object() {
        return Err(wrong("text"));
    }
    note_others(value, &["format", "verbosity"], "text", dropped);
    request.format = value.get("format").map(format).transpose()?;
    request.verbosity = value.get("verbosity").map(|it| string(it, "text.verbosity")).transpose()?;
    Ok(())
}

fn format(value: Value<'_>) -> Result<Format<'_>, RequestError> {
    let kind = value.text_of("type").ok_or_else(|| wrong("text.format"))?;
    match &*kind.decode() {
        "text" => Ok(Format::Text),
        "json_object" => Ok(Format::Json),
        "json_schema" => {
            let schema = value.get("schema").filter(|schema| schema.is_object());
            Ok(Format::Schema {
                name: value.text_of("name"),
                description: value.text_of("description"),
                schema: Raw::written(schema.ok_or_else(|| wrong("text.format.schema"))?.raw()),
                strict: value.get("strict").and_then(Value::bool),
            })
        }
        _ => Err(RequestError::about("text.format", "Unknown value for this parameter.")),
    }
}

/// Reads `reasoning`. A summary is what other dialects show of thinking.
pub(super) fn reasoning(value: Value<'_>, dropped: &mut Dropped) -> Result<Option<Reasoning>, RequestError> {
    if !value.is_object() {
        return Err(wrong("reasoning"));
    }
    note_others(value, &["effort", "summary", "generate_summary"], "reasoning", dropped);
    let effort = value.get("effort").map(|it| string(it, "reasoning.effort")).transpose()?;
    let known = effort.as_ref().map(|effort| {
        Effort::named(effort)
            .ok_or_else(|| RequestError::about("reasoning.effort", "Unknown value for this parameter."))
    });
    let summary = value.get("summary").or_else(|| value.get("generate_summary"));
    let show = summary.map(|summary| !summary.is("none"));
    let reasoning = Reasoning { effort: known.transpose()?, show, ..Reasoning::default() };
    Ok((reasoning != Reasoning::default()).then_some(reasoning))
}

/// Reads `include`. Proofs of reasoning are part of every answer that has some, and probabilities are asked for by a
/// parameter elsewhere; the rest is about tools that OpenAI runs.
pub(super) fn include(
    value: Value<'_>,
    request: &mut ChatRequest<'_>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    if !value.is_array() {
        return Err(wrong("include"));
    }
    for wanted in value.elements() {
        match &*string(wanted, "include")?.decode() {
            "reasoning.encrypted_content" => {}
            "message.output_text.logprobs" => request.logprobs = Some(true),
            _ => dropped.note("include"),
        }
    }
    Ok(())
}
