//! `POST /v1/chat/completions`

use serde_json::Value;

use super::chat_wire::{
    Chunk, Completion, Delta, DeltaChoice, FullChoice, Function, Message, ToolCall, Usage,
};
use super::speech::{Ask, Choice, Content, Conversation, Speech, Tool, speak};
use super::{Context, Refusal, count, flag, include_usage, model, single_choice};
use crate::reply::{Reply, STAMP_PLACE, StreamReply};
use crate::text;

/// Parts a tool's arguments are streamed in.
const ARGUMENT_PARTS: usize = 4;
const FINGERPRINT: &str = "fp_demo";

/// Answers a chat request.
pub(super) fn answer(body: &Value, context: &Context<'_>) -> Result<Reply, Refusal> {
    single_choice(body)?;
    let ask = read(body)?;
    let speech = speak(&ask, context.options);
    let stream = flag(body, "stream")?;
    Ok(if stream {
        streamed(&ask, &speech, include_usage(body), context)
    } else {
        whole(&ask, &speech, context)
    })
}

fn read(body: &Value) -> Result<Ask<'_>, Refusal> {
    let max_tokens = count(body, "max_completion_tokens")?.or(count(body, "max_tokens")?);
    Ok(Ask {
        model: model(body)?,
        conversation: conversation(body)?,
        tools: tools(body),
        choice: choice(body),
        json: json(body),
        max_tokens,
    })
}

fn conversation(body: &Value) -> Result<Conversation, Refusal> {
    let messages = body.get("messages").ok_or_else(|| Refusal::missing("messages"))?;
    let messages = messages.as_array().filter(|list| !list.is_empty());
    let messages =
        messages.ok_or_else(|| Refusal::invalid("messages", "an array of at least one message"))?;
    let mut conversation = Conversation::default();
    for message in messages {
        let role = message.get("role").and_then(Value::as_str);
        let role = role.ok_or_else(|| Refusal::invalid("messages", "an array of messages with a role"))?;
        conversation.hear(role, content(message.get("content")));
    }
    Ok(conversation)
}

/// The text of a message's content, which is a string or an array of parts.
pub(super) fn content(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str));
            texts.collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

fn tools(body: &Value) -> Vec<Tool<'_>> {
    let definitions = body.get("tools").and_then(Value::as_array).into_iter().flatten();
    definitions
        .filter_map(|definition| {
            let function = definition.get("function")?;
            let name = function.get("name")?.as_str()?;
            Some(Tool { name, parameters: function.get("parameters") })
        })
        .collect()
}

fn choice(body: &Value) -> Choice<'_> {
    match body.get("tool_choice") {
        Some(Value::String(mode)) if mode == "none" => Choice::Never,
        Some(Value::String(mode)) if mode == "required" => Choice::Required,
        Some(choice) => match choice.pointer("/function/name").and_then(Value::as_str) {
            Some(name) => Choice::Named(name),
            None => Choice::Auto,
        },
        None => Choice::Auto,
    }
}

fn json(body: &Value) -> Option<Option<&Value>> {
    let format = body.get("response_format")?;
    match format.get("type")?.as_str()? {
        "json_object" => Some(None),
        "json_schema" => Some(format.pointer("/json_schema/schema")),
        _ => None,
    }
}

fn whole(ask: &Ask<'_>, speech: &Speech, context: &Context<'_>) -> Reply {
    let call_id = context.id("call_");
    let (content, tool_calls) = match &speech.content {
        Content::Text(text) => (Some(text.as_str()), None),
        Content::ToolCall { name, arguments } => {
            let function = Function { name: Some(name), arguments };
            (None, Some([ToolCall { index: None, id: Some(&call_id), kind: Some("function"), function }]))
        }
    };
    let message = Message { role: "assistant", content, refusal: None, annotations: [], tool_calls };
    let choice = FullChoice { index: 0, message, logprobs: None, finish_reason: finish_reason(speech) };
    let completion = Completion {
        id: &context.id("chatcmpl-"),
        object: "chat.completion",
        created: context.created,
        model: ask.model,
        choices: [choice],
        usage: Usage::of(speech),
        service_tier: "default",
        system_fingerprint: FINGERPRINT,
    };
    Reply::json(200, &context.request_id(), &completion)
}

fn finish_reason(speech: &Speech) -> &'static str {
    match &speech.content {
        Content::ToolCall { .. } => "tool_calls",
        Content::Text(_) if speech.cut => "length",
        Content::Text(_) => "stop",
    }
}

/// The role comes with the first part and the end with the last, so a stream has as many writes as parts.
fn streamed(ask: &Ask<'_>, speech: &Speech, usage: bool, context: &Context<'_>) -> Reply {
    let reply = Reply::stream(&context.request_id());
    let mut stream = ChunkStream { id: context.id("chatcmpl-"), model: ask.model, usage, context, reply };
    match &speech.content {
        Content::Text(said) => stream.text(said, finish_reason(speech)),
        Content::ToolCall { name, arguments } => stream.tool_call(name, arguments, finish_reason(speech)),
    }
    if usage {
        stream.chunk(&[], Some(Usage::of(speech)), false);
    }
    stream.reply.done();
    stream.reply.finish()
}

struct ChunkStream<'a> {
    id: String,
    model: &'a str,
    usage: bool,
    context: &'a Context<'a>,
    reply: StreamReply,
}

impl ChunkStream<'_> {
    fn text(&mut self, said: &str, finish_reason: &'static str) {
        self.delta(Delta { role: Some("assistant"), content: Some(""), tool_calls: None }, None);
        let parts = text::parts(said, self.context.options.chunks as usize);
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.reply.flush();
            }
            self.delta(Delta { content: Some(part), ..Delta::default() }, None);
        }
        self.delta(Delta::default(), Some(finish_reason));
    }

    fn tool_call(&mut self, name: &str, arguments: &str, finish_reason: &'static str) {
        let id = self.context.id("call_");
        let function = Function { name: Some(name), arguments: "" };
        let call = ToolCall { index: Some(0), id: Some(&id), kind: Some("function"), function };
        self.delta(Delta { role: Some("assistant"), content: None, tool_calls: Some([call]) }, None);
        for part in text::slices(arguments, ARGUMENT_PARTS) {
            self.reply.flush();
            let function = Function { name: None, arguments: part };
            let call = ToolCall { index: Some(0), id: None, kind: None, function };
            self.delta(Delta { tool_calls: Some([call]), ..Delta::default() }, None);
        }
        self.delta(Delta::default(), Some(finish_reason));
    }

    fn delta(&mut self, delta: Delta<'_>, finish_reason: Option<&'static str>) {
        let stamp = delta.role.is_none() && finish_reason.is_none();
        self.chunk(&[DeltaChoice { index: 0, delta, logprobs: None, finish_reason }], None, stamp);
    }

    fn chunk(&mut self, choices: &[DeltaChoice<'_>], usage_now: Option<Usage>, stamp: bool) {
        self.reply.event(&Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.context.created,
            model: self.model,
            service_tier: "default",
            system_fingerprint: FINGERPRINT,
            choices,
            usage: self.usage.then_some(usage_now),
            obfuscation: (stamp && self.context.options.stamp_chunks).then_some(STAMP_PLACE),
        });
    }
}
