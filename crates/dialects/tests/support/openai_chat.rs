//! Requests of chat completions, read and written.
#![allow(dead_code, reason = "each test binary uses a part")]

use serde_json::Value;
use sluice_dialects::exchange::{
    Arguments, ChatRequest, Dropped, Message, Part, PartKind, Role, Text, ToolCall, ToolResult,
};
use sluice_dialects::json::Doc;
use sluice_dialects::openai::RequestError;
use sluice_dialects::wire::{Quirks, Target, Wire};

/// Reads a request and hands it on with what was dropped.
pub(crate) fn with_request<T>(
    body: &Value,
    check: impl FnOnce(&ChatRequest<'_>, Vec<String>) -> T,
) -> Result<T, RequestError> {
    let bytes = serde_json::to_vec(body).expect("a tree can be written");
    let doc = Doc::parse(&bytes).expect("an object");
    let mut dropped = Dropped::default();
    let request = Wire::OpenaiChat.read_request(&doc, false, &mut dropped)?;
    Ok(check(&request, dropped.names().map(str::to_owned).collect()))
}

pub(crate) fn refused(body: &Value) -> Option<&'static str> {
    with_request(body, |_, _| ()).expect_err("a bad request").param
}

pub(crate) fn write(request: &ChatRequest<'_>, quirks: Quirks) -> (Value, Vec<String>) {
    let target = Target { model: "m-1", quirks, default_max_tokens: 4096 };
    let (mut dropped, mut out) = (Dropped::default(), Vec::new());
    Wire::OpenaiChat
        .write_request(request, &target, &mut dropped, &mut out)
        .expect("a request that can be written");
    (serde_json::from_slice(&out).expect("JSON"), dropped.names().map(str::to_owned).collect())
}

/// What a request becomes at a provider with some quirks.
pub(crate) fn rewritten(body: &Value, quirks: Quirks) -> (Value, Vec<String>) {
    with_request(body, |request, mut dropped| {
        let (written, more) = write(request, quirks);
        dropped.extend(more);
        (written, dropped)
    })
    .expect("a good request")
}

pub(crate) fn text(text: &'static str) -> Part<'static> {
    PartKind::Text(Text::literal(text)).into()
}

pub(crate) fn user(parts: Vec<Part<'static>>) -> Message<'static> {
    Message { role: Role::User, parts, name: None }
}

pub(crate) fn call(id: &'static str, name: &'static str, arguments: &str) -> Part<'static> {
    let arguments = Arguments::Text(Text::plain(arguments));
    let (id, name) = (Text::literal(id), Text::literal(name));
    PartKind::ToolCall(ToolCall { id, name, arguments, signature: None, custom: false }).into()
}

pub(crate) fn result(id: &'static str, parts: Vec<Part<'static>>, is_error: bool) -> Part<'static> {
    PartKind::ToolResult(ToolResult { id: Text::literal(id), name: None, parts, is_error }).into()
}

pub(crate) fn of_messages(messages: Vec<Message<'static>>) -> ChatRequest<'static> {
    ChatRequest { messages, ..ChatRequest::default() }
}
