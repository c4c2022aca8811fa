use sluice_types::Usage;

use super::finish_of;
use crate::exchange::{Arguments, ChatAnswer, Choice, PartKind, Raw, Text, ToolCall};
use crate::json::{self, Doc, Value};
use crate::wire::Malformed;

/// Reads a whole answer.
///
/// # Errors
///
/// Where there is no message, or a tool is called that has no name.
pub fn read_answer<'d>(doc: &'d Doc<'d>) -> Result<ChatAnswer<'d>, Malformed> {
    let root = doc.root();
    let message =
        root.get("message").filter(|message| message.is_object()).ok_or(Malformed("has no message"))?;
    let mut parts = Vec::new();
    let not_empty = |text: &Text<'_>| !text.is_empty();
    parts.extend(
        message
            .text_of("thinking")
            .filter(not_empty)
            .map(|text| PartKind::Thinking { text, signature: None }.into()),
    );
    parts.extend(message.text_of("content").filter(not_empty).map(|text| PartKind::Text(text).into()));
    let mut calls_tools = false;
    for (position, call) in message.get("tool_calls").into_iter().flat_map(Value::elements).enumerate() {
        parts.push(PartKind::ToolCall(read_call(call, position)?).into());
        calls_tools = true;
    }
    let reason = root.text_of("done_reason").unwrap_or_default();
    let choice = Choice {
        parts,
        finish: finish_of(&reason.decode(), calls_tools),
        logprobs: read_logprobs(root),
        ..Choice::default()
    };
    Ok(ChatAnswer {
        id: None,
        model: root.text_of("model"),
        choices: vec![choice],
        usage: read_usage(root.raw()),
        service_tier: None,
    })
}

/// One call of a tool; without an id it is numbered by its position.
pub(super) fn read_call(call: Value<'_>, position: usize) -> Result<ToolCall<'_>, Malformed> {
    let function = call.get("function").unwrap_or(call);
    let arguments = match function.get("arguments") {
        Some(arguments) if arguments.is_object() => Arguments::Object(Raw::written(arguments.raw())),
        arguments => Arguments::Text(arguments.and_then(Value::text).unwrap_or_default()),
    };
    Ok(ToolCall {
        id: call.text_of("id").unwrap_or_else(|| Text::plain(&format!("call_{position}"))),
        name: function.text_of("name").ok_or(Malformed("calls a tool without a name"))?,
        arguments,
        signature: None,
        custom: false,
    })
}

/// Probabilities, which are as OpenAI has them but for the object around.
pub(super) fn read_logprobs(root: Value<'_>) -> Option<Raw<'static>> {
    let tokens = root.get("logprobs").filter(|tokens| tokens.is_array())?;
    tokens.elements().next()?;
    Some(Raw::owned([b"{\"content\":", tokens.raw(), b"}"].concat()))
}

/// Reads the counts, which stand in the last document of an answer itself.
#[must_use]
pub fn read_usage(document: &[u8]) -> Option<Usage> {
    let (mut input, mut output) = (None, None);
    json::walk_counts(document, 0, &mut |around, name, number| {
        let into = match (around, name) {
            (b"", b"prompt_eval_count") => &mut input,
            (b"", b"eval_count") => &mut output,
            _ => return,
        };
        *into = json::as_u64(number).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    })
    .ok()?;
    input.or(output)?;
    // A prompt that is cached whole is not counted.
    Some(Usage { input: input.unwrap_or_default(), output: output.unwrap_or_default(), ..Usage::default() })
}
