//! `POST /v1/completions`

use serde::Serialize;
use serde_json::Value;

use super::chat_wire::Usage;
use super::speech::{Ask, Choice, Content, Conversation, Speech, speak};
use super::{Context, Refusal, count, flag, include_usage, model, single_choice};
use crate::reply::Reply;
use crate::text;

/// Tokens generated when the client sets no limit, as OpenAI has it.
const DEFAULT_MAX_TOKENS: usize = 16;

#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [TextChoice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
}

#[derive(Serialize)]
struct TextChoice<'a> {
    text: &'a str,
    index: u32,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

pub(super) fn answer(body: &Value, context: &Context<'_>) -> Result<Reply, Refusal> {
    single_choice(body)?;
    let ask = read(body, context)?;
    let speech = speak(&ask, context.options);
    let Content::Text(said) = &speech.content else { unreachable!("no tools were offered") };
    let writer = Writer { id: context.id("cmpl-"), model: ask.model, context };
    if flag(body, "stream")? {
        return Ok(writer.streamed(said, &speech, include_usage(body)));
    }
    let choice =
        TextChoice { text: said, index: 0, logprobs: None, finish_reason: Some(finish_reason(&speech)) };
    let completion = writer.completion(std::slice::from_ref(&choice), Some(Some(Usage::of(&speech))));
    Ok(Reply::json(200, &context.request_id(), &completion))
}

fn read<'a>(body: &'a Value, context: &Context<'_>) -> Result<Ask<'a>, Refusal> {
    let sized = context.options.chunks > 0 || context.options.response_bytes > 0;
    let default_max = if sized { usize::MAX } else { DEFAULT_MAX_TOKENS };
    let mut conversation = Conversation::default();
    conversation.hear("user", prompt(body)?.to_owned());
    conversation.tokens -= text::TOKENS_PER_MESSAGE;
    Ok(Ask {
        model: model(body)?,
        conversation,
        tools: Vec::new(),
        choice: Choice::Never,
        json: None,
        max_tokens: Some(count(body, "max_tokens")?.unwrap_or(default_max)),
    })
}

fn prompt(body: &Value) -> Result<&str, Refusal> {
    match body.get("prompt") {
        None => Err(Refusal::missing("prompt")),
        Some(Value::String(prompt)) => Ok(prompt),
        Some(Value::Array(prompts)) => match prompts.as_slice() {
            [Value::String(prompt)] => Ok(prompt),
            _ => Err(Refusal::invalid("prompt", "one string with the demo provider")),
        },
        Some(_) => Err(Refusal::invalid("prompt", "a string")),
    }
}

fn finish_reason(speech: &Speech) -> &'static str {
    if speech.cut { "length" } else { "stop" }
}

struct Writer<'a> {
    id: String,
    model: &'a str,
    context: &'a Context<'a>,
}

impl Writer<'_> {
    fn completion<'a>(
        &'a self,
        choices: &'a [TextChoice<'a>],
        usage: Option<Option<Usage>>,
    ) -> Completion<'a> {
        let created = self.context.created;
        Completion { id: &self.id, object: "text_completion", created, model: self.model, choices, usage }
    }

    fn streamed(&self, said: &str, speech: &Speech, usage: bool) -> Reply {
        let mut reply = Reply::stream(&self.context.request_id());
        let none_yet = usage.then_some(None);
        let parts = text::parts(said, self.context.options.chunks as usize);
        for (index, part) in parts.iter().enumerate() {
            let finish_reason = (index + 1 == parts.len()).then(|| finish_reason(speech));
            let choice = TextChoice { text: part, index: 0, logprobs: None, finish_reason };
            reply.event(&self.completion(&[choice], none_yet));
            if finish_reason.is_none() {
                reply.flush();
            }
        }
        if usage {
            reply.event(&self.completion(&[], Some(Some(Usage::of(speech)))));
        }
        reply.done();
        reply.finish()
    }
}
