//! Canonical requests to write, and what Bedrock's writer makes of them.

use serde_json::Value;
use sluice_dialects::bedrock::write_request;
use sluice_dialects::exchange::{
    Arguments, ChatRequest, Dropped, Media, Message, Part, PartKind, Role, Source, Text, Tool, ToolCall,
    ToolResult,
};
use sluice_dialects::wire::{Quirks, Target};

pub(crate) const CLAUDE: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";

pub(crate) fn written_for(model: &str, quirks: Quirks, request: &ChatRequest<'_>) -> (Value, Vec<String>) {
    let (mut dropped, mut out) = (Dropped::default(), Vec::new());
    let target = Target { model, quirks, default_max_tokens: 4096 };
    write_request(request, &target, &mut dropped, &mut out).expect("a request that can be written");
    let value = serde_json::from_slice(&out).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out)));
    (value, dropped.names().map(str::to_owned).collect())
}

pub(crate) fn written(request: &ChatRequest<'_>) -> Value {
    written_for(CLAUDE, Quirks::NONE, request).0
}

pub(crate) fn message(role: Role, parts: Vec<PartKind<'static>>) -> Message<'static> {
    Message { role, parts: parts.into_iter().map(Part::from).collect(), name: None }
}

pub(crate) fn text(text: &'static str) -> PartKind<'static> {
    PartKind::Text(Text::plain(text))
}

pub(crate) fn call(id: &str, arguments: &str) -> PartKind<'static> {
    PartKind::ToolCall(ToolCall {
        id: Text::plain(id),
        name: Text::plain("f"),
        arguments: Arguments::Text(Text::plain(arguments)),
        signature: None,
        custom: false,
    })
}

pub(crate) fn result(id: &str, parts: Vec<PartKind<'static>>) -> PartKind<'static> {
    let parts = parts.into_iter().map(Part::from).collect();
    PartKind::ToolResult(ToolResult { id: Text::plain(id), name: None, parts, is_error: false })
}

pub(crate) fn tool(name: &str) -> Tool<'static> {
    Tool {
        name: Text::plain(name),
        description: None,
        schema: None,
        strict: None,
        custom: false,
        cache: None,
    }
}

pub(crate) fn asking(messages: Vec<Message<'static>>) -> ChatRequest<'static> {
    ChatRequest { messages, ..ChatRequest::default() }
}

pub(crate) fn hi() -> ChatRequest<'static> {
    asking(vec![message(Role::User, vec![text("Hi")])])
}

pub(crate) fn media(source: Source<'static>, name: Option<&'static str>) -> Media<'static> {
    Media { source, media_type: None, name: name.map(Text::plain), detail: None }
}
