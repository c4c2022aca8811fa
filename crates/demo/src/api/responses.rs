//! `POST /v1/responses`

use serde::Serialize;
use serde_json::{Value, json};

use super::chat::content;
use super::speech::{Ask, Choice, Content, Conversation, Speech, Tool, speak};
use super::{Context, Refusal, count, flag, model};
use crate::reply::{Reply, StreamReply};
use crate::text;

/// Parts a function's arguments are streamed in.
const ARGUMENT_PARTS: usize = 4;

/// One event; all carry a number that rises by one.
#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    sequence_number: usize,
    #[serde(flatten)]
    rest: Value,
}

/// Answers a request for a response.
pub(super) fn answer(body: &Value, context: &Context<'_>) -> Result<Reply, Refusal> {
    let ask = read(body)?;
    let speech = speak(&ask, context.options);
    let writer = Writer { body, context, speech: &speech, item_id: item_id(&speech, context) };
    if flag(body, "stream")? {
        return Ok(writer.streamed());
    }
    Ok(Reply::json(200, &context.request_id(), &writer.finished()))
}

fn read(body: &Value) -> Result<Ask<'_>, Refusal> {
    Ok(Ask {
        model: model(body)?,
        conversation: conversation(body)?,
        tools: tools(body),
        choice: choice(body),
        json: json_wanted(body),
        max_tokens: count(body, "max_output_tokens")?,
    })
}

fn conversation(body: &Value) -> Result<Conversation, Refusal> {
    let mut conversation = Conversation::default();
    if let Some(instructions) = body.get("instructions").and_then(Value::as_str) {
        conversation.hear("system", instructions.to_owned());
    }
    match body.get("input") {
        None => return Err(Refusal::missing("input")),
        Some(Value::String(text)) => conversation.hear("user", text.clone()),
        Some(Value::Array(items)) => items.iter().for_each(|item| hear_item(&mut conversation, item)),
        Some(_) => return Err(Refusal::invalid("input", "a string or an array of items")),
    }
    Ok(conversation)
}

fn hear_item(conversation: &mut Conversation, item: &Value) {
    let text = |name: &str| content(item.get(name));
    match item.get("type").and_then(Value::as_str) {
        Some("function_call_output") => conversation.hear("tool", text("output")),
        Some("message") | None => {
            let role = item.get("role").and_then(Value::as_str).unwrap_or("user");
            conversation.hear(role, text("content"));
        }
        Some(_) => {}
    }
}

fn tools(body: &Value) -> Vec<Tool<'_>> {
    let definitions = body.get("tools").and_then(Value::as_array).into_iter().flatten();
    let functions = definitions.filter(|tool| tool.get("type").and_then(Value::as_str) == Some("function"));
    functions
        .filter_map(|tool| {
            Some(Tool { name: tool.get("name")?.as_str()?, parameters: tool.get("parameters") })
        })
        .collect()
}

fn choice(body: &Value) -> Choice<'_> {
    match body.get("tool_choice") {
        Some(Value::String(mode)) if mode == "none" => Choice::Never,
        Some(Value::String(mode)) if mode == "required" => Choice::Required,
        Some(choice) => choice.get("name").and_then(Value::as_str).map_or(Choice::Auto, Choice::Named),
        None => Choice::Auto,
    }
}

fn json_wanted(body: &Value) -> Option<Option<&Value>> {
    let format = body.pointer("/text/format")?;
    match format.get("type")?.as_str()? {
        "json_object" => Some(None),
        "json_schema" => Some(format.get("schema")),
        _ => None,
    }
}

fn item_id(speech: &Speech, context: &Context<'_>) -> String {
    match &speech.content {
        Content::Text(_) => context.id("msg_"),
        Content::ToolCall { .. } => context.id("fc_"),
    }
}

struct Writer<'a> {
    body: &'a Value,
    context: &'a Context<'a>,
    speech: &'a Speech,
    item_id: String,
}

impl Writer<'_> {
    /// The response object; what the client asked for comes back in it.
    fn response(&self, status: &str, output: Value, usage: Value) -> Value {
        let asked = |name: &str, default: Value| self.body.get(name).cloned().unwrap_or(default);
        let cut = status == "incomplete";
        json!({
            "id": self.context.id("resp_"),
            "object": "response",
            "created_at": self.context.created,
            "status": status,
            "error": null,
            "incomplete_details": if cut { json!({"reason": "max_output_tokens"}) } else { Value::Null },
            "instructions": asked("instructions", Value::Null),
            "max_output_tokens": asked("max_output_tokens", Value::Null),
            "metadata": asked("metadata", json!({})),
            "model": asked("model", Value::Null),
            "output": output,
            "parallel_tool_calls": asked("parallel_tool_calls", json!(true)),
            "previous_response_id": null,
            "store": false,
            "temperature": asked("temperature", json!(1.0)),
            "text": asked("text", json!({"format": {"type": "text"}})),
            "tool_choice": asked("tool_choice", json!("auto")),
            "tools": asked("tools", json!([])),
            "top_p": asked("top_p", json!(1.0)),
            "truncation": "disabled",
            "usage": usage,
        })
    }

    fn started(&self) -> Value {
        json!({ "response": self.response("in_progress", json!([]), Value::Null) })
    }

    fn finished(&self) -> Value {
        let status = if self.speech.cut { "incomplete" } else { "completed" };
        let (input, output) = (self.speech.prompt_tokens, self.speech.completion_tokens);
        let usage = json!({
            "input_tokens": input,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": input + output,
        });
        self.response(status, json!([self.item(true)]), usage)
    }

    /// The one output item, empty when it is announced and whole in the end.
    fn item(&self, whole: bool) -> Value {
        let status = if whole { "completed" } else { "in_progress" };
        match &self.speech.content {
            Content::Text(text) => {
                let content = if whole { json!([text_part(text)]) } else { json!([]) };
                json!({"id": self.item_id, "type": "message", "role": "assistant", "status": status,
                    "content": content})
            }
            Content::ToolCall { name, arguments } => {
                let arguments = if whole { arguments } else { "" };
                json!({"id": self.item_id, "type": "function_call", "status": status, "name": name,
                    "call_id": self.context.id("call_"), "arguments": arguments})
            }
        }
    }

    /// The events in OpenAI's order. Nothing follows the last one: this API has no `[DONE]`.
    fn streamed(&self) -> Reply {
        let mut events = Events { reply: Reply::stream(&self.context.request_id()), next: 0 };
        events.push("response.created", self.started());
        events.push("response.in_progress", self.started());
        events.push("response.output_item.added", json!({"output_index": 0, "item": self.item(false)}));
        match &self.speech.content {
            Content::Text(text) => self.text(text, &mut events),
            Content::ToolCall { name, arguments } => self.call(name, arguments, &mut events),
        }
        events.push("response.output_item.done", json!({"output_index": 0, "item": self.item(true)}));
        let last = if self.speech.cut { "response.incomplete" } else { "response.completed" };
        events.push(last, json!({ "response": self.finished() }));
        events.reply.finish()
    }

    fn text(&self, text: &str, events: &mut Events) {
        let place = |rest: Value| {
            merged(json!({"item_id": self.item_id, "output_index": 0, "content_index": 0}), rest)
        };
        events.push("response.content_part.added", place(json!({"part": text_part("")})));
        for (index, part) in text::parts(text, self.context.options.chunks as usize).iter().enumerate() {
            if index > 0 {
                events.reply.flush();
            }
            events.push("response.output_text.delta", place(json!({"delta": part, "logprobs": []})));
        }
        events.push("response.output_text.done", place(json!({"text": text, "logprobs": []})));
        events.push("response.content_part.done", place(json!({"part": text_part(text)})));
    }

    fn call(&self, name: &str, arguments: &str, events: &mut Events) {
        let place = |rest: Value| merged(json!({"item_id": self.item_id, "output_index": 0}), rest);
        for part in text::slices(arguments, ARGUMENT_PARTS) {
            events.push("response.function_call_arguments.delta", place(json!({"delta": part})));
            events.reply.flush();
        }
        let done = json!({"name": name, "arguments": arguments});
        events.push("response.function_call_arguments.done", place(done));
    }
}

fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn merged(mut left: Value, right: Value) -> Value {
    if let (Value::Object(left), Value::Object(right)) = (&mut left, right) {
        left.extend(right);
    }
    left
}

struct Events {
    reply: StreamReply,
    next: usize,
}

impl Events {
    fn push(&mut self, kind: &str, rest: Value) {
        self.reply.named_event(kind, &Event { kind, sequence_number: self.next, rest });
        self.next += 1;
    }
}
