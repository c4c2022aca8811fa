//! Writing tools, the choice among them, and the format of the answer.

use crate::exchange::{ChatRequest, Dropped, Format, Raw, Text, Tool, ToolChoice, losses};
use crate::json::Out;
use crate::tool_names::{NameRules, ToolNames};
use crate::wire::{Quirk, Target};

/// The name of a schema that has none: OpenAI wants one.
const SCHEMA_NAME: &str = "response";

/// What OpenAI allows in names of tools.
pub(super) const NAMES: NameRules = NameRules::COMMON;

/// The name a tool of a request has at a provider of this dialect.
#[must_use]
pub fn mapped_name<'n>(tools: &[Tool<'_>], name: &'n Text<'_>) -> Text<'n> {
    NAMES.mapped_name(tools, name)
}

/// A request's tools with the names they get.
#[derive(Clone, Copy)]
pub(super) struct Named<'r> {
    pub(super) tools: &'r [Tool<'r>],
    pub(super) names: &'r ToolNames,
}

impl Named<'_> {
    fn is_custom(self, name: &Text<'_>) -> bool {
        self.tools.iter().any(|tool| tool.custom && tool.name == *name)
    }

    fn write(self, name: &Text<'_>, out: &mut Out<'_>) {
        let kind = if self.is_custom(name) { "custom" } else { "function" };
        out.begin_object().field("type", kind).key(kind).begin_object();
        out.key("name").text(&self.names.mapped(&NAMES, name)).end_object().end_object();
    }
}

/// Appends `tools`, `tool_choice` and `parallel_tool_calls`. OpenAI refuses the latter two without tools.
pub(super) fn write(
    request: &ChatRequest<'_>,
    target: &Target<'_>,
    names: &ToolNames,
    dropped: &mut Dropped,
    out: &mut Out<'_>,
) {
    let quirks = target.quirks;
    if request.tools.is_empty() {
        let forced = matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
        return dropped.note_if(forced, losses::TOOL_CHOICE);
    }
    // Providers that say `any` know no `allowed_tools`: only those allowed are offered.
    let offered = match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) if quirks.has(Quirk::AnyTool) => Some(names),
        _ => None,
    };
    out.key("tools").begin_array();
    for tool in request.tools.iter().filter(|tool| offered.is_none_or(|names| names.contains(&tool.name))) {
        write_tool(tool, names, out);
        dropped.note_if(tool.cache.is_some(), losses::CACHE);
    }
    out.end_array();
    if let Some(choice) = &request.tool_choice {
        write_choice(choice, Named { tools: &request.tools, names }, quirks.has(Quirk::AnyTool), out);
    }
    match request.parallel_tool_calls {
        Some(parallel) if !quirks.has(Quirk::NoParallelToolCalls) => {
            out.key("parallel_tool_calls").bool(parallel);
        }
        parallel => dropped.note_if(parallel == Some(false), losses::PARALLEL_TOOL_CALLS),
    }
}

fn write_tool(tool: &Tool<'_>, names: &ToolNames, out: &mut Out<'_>) {
    let kind = if tool.custom { "custom" } else { "function" };
    out.begin_object().field("type", kind).key(kind).begin_object();
    out.key("name")
        .text(&names.mapped(&NAMES, &tool.name))
        .field_text("description", tool.description.as_ref());
    if !tool.custom {
        out.field_raw("parameters", tool.schema.as_ref().map(Raw::as_bytes));
        if let Some(strict) = tool.strict {
            out.key("strict").bool(strict);
        }
    }
    out.end_object().end_object();
}

fn write_choice(choice: &ToolChoice<'_>, named: Named<'_>, any: bool, out: &mut Out<'_>) {
    let required = if any { "any" } else { "required" };
    out.key("tool_choice");
    let word = match choice {
        ToolChoice::Auto => "auto",
        ToolChoice::None => "none",
        ToolChoice::Required => required,
        ToolChoice::Allowed { required: must, .. } if any => {
            if *must {
                required
            } else {
                "auto"
            }
        }
        ToolChoice::Named(name) => return named.write(name, out),
        ToolChoice::Allowed { names, required } => {
            out.begin_object().field("type", "allowed_tools").key("allowed_tools").begin_object();
            out.field("mode", if *required { "required" } else { "auto" }).key("tools").begin_array();
            for name in names {
                named.write(name, out);
            }
            out.end_array().end_object().end_object();
            return;
        }
    };
    out.string(word);
}

/// Appends `response_format`.
pub(super) fn write_format(format: &Format<'_>, out: &mut Out<'_>) {
    out.key("response_format").begin_object();
    match format {
        Format::Text => {
            out.field("type", "text");
        }
        Format::Json => {
            out.field("type", "json_object");
        }
        Format::Schema { name, description, schema, strict } => {
            let name = name.clone().unwrap_or(Text::literal(SCHEMA_NAME));
            out.field("type", "json_schema").key("json_schema").begin_object().key("name").text(&name);
            out.field_text("description", description.as_ref()).key("schema").raw(schema.as_bytes());
            if let Some(strict) = strict {
                out.key("strict").bool(*strict);
            }
            out.end_object();
        }
    }
    out.end_object();
}
