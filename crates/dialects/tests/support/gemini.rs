//! Canonical requests, written in Google's dialect.
#![allow(dead_code, reason = "each test binary uses a part")]

use serde_json::Value;
use sluice_dialects::exchange::{
    Arguments, ChatRequest, Dropped, Media, Message, Part, PartKind, Raw, Role, Source, Text, Tool, ToolCall,
    ToolResult,
};
use sluice_dialects::gemini::write_request;
use sluice_dialects::openai::RequestError;
use sluice_dialects::wire::{Quirk, Quirks, Target};

pub(crate) const GEMINI_3: Quirks = Quirks::NONE.with(Quirk::ThinkingLevel);
pub(crate) const VERTEX: Quirks = Quirks::NONE.with(Quirk::NoCallIds);

pub(crate) fn target(model: &str, quirks: Quirks) -> Target<'_> {
    Target { model, quirks, default_max_tokens: 4096 }
}

pub(crate) fn try_write(
    request: &ChatRequest<'_>,
    target: &Target<'_>,
) -> Result<(Value, String), RequestError> {
    let (mut out, mut dropped) = (Vec::new(), Dropped::default());
    write_request(request, target, &mut dropped, &mut out)?;
    let value = serde_json::from_slice(&out)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out)));
    Ok((value, dropped.header_value()))
}

pub(crate) fn write(request: &ChatRequest<'_>, quirks: Quirks) -> (Value, String) {
    try_write(request, &target("gemini-2.5-flash", quirks)).expect("a request Google can be asked")
}

pub(crate) fn contents(messages: Vec<Message<'static>>, quirks: Quirks) -> Value {
    write(&ChatRequest { messages, ..ChatRequest::default() }, quirks).0["contents"].clone()
}

pub(crate) fn message(role: Role, kinds: Vec<PartKind<'static>>) -> Message<'static> {
    Message { role, parts: kinds.into_iter().map(Part::from).collect(), name: None }
}

pub(crate) fn words(text: &str) -> PartKind<'static> {
    PartKind::Text(Text::plain(text))
}

pub(crate) fn user(text: &str) -> Message<'static> {
    message(Role::User, vec![words(text)])
}

pub(crate) fn call(id: &str, name: &str, arguments: &str) -> PartKind<'static> {
    PartKind::ToolCall(ToolCall {
        id: Text::plain(id),
        name: Text::plain(name),
        arguments: Arguments::Text(Text::plain(arguments)),
        signature: None,
        custom: false,
    })
}

pub(crate) fn result_of(id: &str, parts: Vec<PartKind<'static>>, is_error: bool) -> PartKind<'static> {
    let parts = parts.into_iter().map(Part::from).collect();
    PartKind::ToolResult(ToolResult { id: Text::plain(id), name: None, parts, is_error })
}

pub(crate) fn result(id: &str, text: &str) -> PartKind<'static> {
    result_of(id, vec![words(text)], false)
}

pub(crate) fn image(source: Source<'static>, media_type: Option<&'static str>) -> PartKind<'static> {
    PartKind::Image(Media { source, media_type: media_type.map(Text::literal), name: None, detail: None })
}

pub(crate) fn tool(name: &str, schema: &str) -> Tool<'static> {
    Tool {
        name: Text::plain(name),
        description: None,
        schema: Some(Raw::owned(schema.as_bytes().to_vec())),
        strict: None,
        custom: false,
        cache: None,
    }
}
