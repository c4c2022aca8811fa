//! Tools and tool choice as Google wants them.

use super::names::write_list;
use super::schema::{Rewritten, rewrite};
use crate::exchange::{ChatRequest, Dropped, Text, Tool, ToolChoice, losses};
use crate::json::Out;
use crate::tool_names::{NameRules, ToolNames};

/// What Google allows in names of functions. The Gemini API takes 128 characters by now, Vertex AI's reference says 64.
pub(super) const NAMES: NameRules = NameRules { max_bytes: 64, allows: may_stand, begins: may_begin };

fn may_stand(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte)
}

fn may_begin(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

/// The name a tool of a request has at Google.
#[must_use]
pub fn mapped_name<'n>(tools: &[Tool<'_>], name: &'n Text<'_>) -> Text<'n> {
    NAMES.mapped_name(tools, name)
}

/// What a tool takes that takes free text.
const FREE_TEXT: &[u8] =
    br#"{"type":"OBJECT","properties":{"input":{"type":"STRING"}},"required":["input"]}"#;

/// Appends `tools` and `toolConfig`, if there are tools. All functions stand in one entry: some models read no other.
pub(super) fn write_tools(
    request: &ChatRequest<'_>,
    names: &ToolNames,
    dropped: &mut Dropped,
    out: &mut Out<'_>,
) {
    if request.tools.is_empty() {
        let asked = request
            .tool_choice
            .as_ref()
            .is_some_and(|choice| !matches!(choice, ToolChoice::Auto | ToolChoice::None));
        dropped.note_if(asked, losses::TOOL_CHOICE);
        return;
    }
    dropped.note_if(request.parallel_tool_calls == Some(false), losses::PARALLEL_TOOL_CALLS);
    out.key("tools").begin_array().begin_object().key("functionDeclarations").begin_array();
    request.tools.iter().for_each(|tool| write_tool(tool, names, dropped, out));
    out.end_array().end_object().end_array();
    if let Some(choice) = &request.tool_choice {
        write_choice(choice, names, out);
    }
}

fn write_tool(tool: &Tool<'_>, names: &ToolNames, dropped: &mut Dropped, out: &mut Out<'_>) {
    dropped.note_if(tool.strict == Some(true), losses::TOOL_STRICT);
    dropped.note_if(tool.cache.is_some(), losses::CACHE);
    out.begin_object().key("name").text(&names.mapped(&NAMES, &tool.name));
    out.field_text("description", tool.description.as_ref());
    match &tool.schema {
        _ if tool.custom => {
            out.key("parameters").raw(FREE_TEXT);
        }
        Some(schema) => match rewrite(schema) {
            Rewritten::Subset(bytes) => _ = out.key("parameters").raw(&bytes),
            Rewritten::Verbatim => _ = out.key("parametersJsonSchema").raw(schema.as_bytes()),
            Rewritten::Empty => {}
        },
        None => {}
    }
    out.end_object();
}

fn write_choice(choice: &ToolChoice<'_>, names: &ToolNames, out: &mut Out<'_>) {
    let (mode, allowed): (_, &[Text<'_>]) = match choice {
        ToolChoice::Auto => ("AUTO", &[]),
        ToolChoice::None => ("NONE", &[]),
        ToolChoice::Required => ("ANY", &[]),
        ToolChoice::Named(name) => ("ANY", std::slice::from_ref(name)),
        ToolChoice::Allowed { names, required: true } => ("ANY", names),
        // `AUTO` ignores the names; this mode is `AUTO` with names.
        ToolChoice::Allowed { names, required: false } => ("VALIDATED", names),
    };
    out.key("toolConfig").begin_object().key("functionCallingConfig").begin_object().field("mode", mode);
    let allowed: Vec<_> = allowed.iter().map(|name| names.mapped(&NAMES, name)).collect();
    write_list("allowedFunctionNames", &allowed, out);
    out.end_object().end_object();
}
