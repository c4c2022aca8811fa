use crate::exchange::{Raw, Text, Tool};
use crate::json::{Out, Value};
use crate::tool_names::NameRules;

/// What Cohere allows in a tool's name: letters, digits and underscores, and no digit first.
const RULES: NameRules = NameRules {
    max_bytes: 64,
    allows: |byte| byte.is_ascii_alphanumeric() || byte == b'_',
    begins: |byte| !byte.is_ascii_digit(),
};

/// What a tool that takes free text takes here.
const CUSTOM_SCHEMA: &[u8] =
    br#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;

/// What a tool without arguments takes.
const EMPTY_SCHEMA: &[u8] = br#"{"type":"object","properties":{}}"#;

/// The name a tool of the request has at Cohere, see [`NameRules::mapped_name`].
#[must_use]
pub fn mapped_name<'n>(tools: &[Tool<'_>], name: &'n Text<'_>) -> Text<'n> {
    RULES.mapped_name(tools, name)
}

/// Appends the definition of a tool.
pub(super) fn write_tool(tools: &[Tool<'_>], tool: &Tool<'_>, out: &mut Out<'_>) {
    out.begin_object().field("type", "function").key("function").begin_object();
    out.key("name").text(&mapped_name(tools, &tool.name));
    out.field_text("description", tool.description.as_ref());
    let schema = match &tool.schema {
        _ if tool.custom => CUSTOM_SCHEMA,
        Some(schema) => schema.as_bytes(),
        None => EMPTY_SCHEMA,
    };
    out.key("parameters").raw(schema);
    out.end_object().end_object();
}

/// Reads the definition of a tool.
pub(super) fn read_tool<'d>(function: Value<'d>, strict: Option<bool>) -> Option<Tool<'d>> {
    Some(Tool {
        name: function.text_of("name").filter(|name| !name.is_empty())?,
        description: function.text_of("description"),
        schema: function
            .get("parameters")
            .filter(|schema| schema.is_object())
            .map(|schema| Raw::written(schema.raw())),
        strict,
        custom: false,
        cache: None,
    })
}
