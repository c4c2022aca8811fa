//! Writing a stream.

use sluice_types::{ErrorKind, Usage};

use super::answer_out::{answer_id, write_finish_details, write_usage};
use super::names::write_finish;
use super::{error, media, messages_out, thinking};
use crate::exchange::{ApiError, Event, Finish, Text};
use crate::json::Out;
use crate::wire::{AnswerContext, Encode};

/// Writes the chunks of a stream.
#[derive(Debug)]
pub struct Encoder {
    context: AnswerContext,
    /// A chunk as far as the number of its choice, which is the same for all.
    head: Vec<u8>,
    choices: Vec<Choice>,
    usage: Option<Usage>,
    ended: bool,
}

/// How far one choice has come.
#[derive(Debug, Default)]
struct Choice {
    number: u32,
    has_refusal: bool,
    finished: bool,
    /// It is finished, and its last chunk is yet to be written: if no choice has come to a good end, there is an error
    /// in its place.
    failed: bool,
    tools: Vec<Tool>,
}

/// A tool call whose arguments are being written.
#[derive(Debug)]
struct Tool {
    number: u32,
    custom: bool,
    has_arguments: bool,
}

impl Encode for Encoder {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::Start { id, .. } => {
                if self.head.is_empty() {
                    self.head = head(id.as_ref(), &self.context);
                }
                self.choice(0, out);
            }
            Event::Usage(usage) => self.usage.get_or_insert_default().merge_max(*usage),
            Event::Finish { choice, finish, stop_sequence } => {
                let at = self.choice(*choice, out);
                if *finish == Finish::Error && !self.choices[at].finished {
                    (self.choices[at].finished, self.choices[at].failed) = (true, true);
                }
                self.finish(at, *finish, stop_sequence.as_ref(), out);
            }
            Event::End => self.end(out),
            Event::Error(failed) => self.fail(failed, out),
            _ => self.delta(event, out),
        }
    }
}

impl Encoder {
    /// For one answer.
    #[must_use]
    pub fn new(context: AnswerContext) -> Self {
        Self { context, head: Vec::new(), choices: Vec::new(), usage: None, ended: false }
    }

    /// The place of a choice, whose first chunk is written where it is new.
    fn choice(&mut self, number: u32, out: &mut Vec<u8>) -> usize {
        if let Some(at) = self.choices.iter().position(|choice| choice.number == number) {
            return at;
        }
        self.choices.push(Choice { number, ..Choice::default() });
        self.chunk(number, out, |out| {
            out.field("role", "assistant").field("content", "");
        });
        self.choices.len() - 1
    }

    /// One chunk with a delta.
    fn chunk(&mut self, choice: u32, out: &mut Vec<u8>, members: impl FnOnce(&mut Out<'_>)) {
        let mut out = self.open(choice, out);
        out.key("delta").begin_object();
        members(&mut out);
        out.end_object().key("logprobs").null().key("finish_reason").null();
        self.close(out);
    }

    fn open<'o>(&mut self, choice: u32, out: &'o mut Vec<u8>) -> Out<'o> {
        if self.head.is_empty() {
            self.head = head(None, &self.context);
        }
        out.extend_from_slice(&self.head);
        let mut out = Out::new(out);
        out.number(choice.into());
        out
    }

    fn close(&self, mut out: Out<'_>) {
        let end: &[u8] = if self.context.include_usage { b"}],\"usage\":null}\n\n" } else { b"}]}\n\n" };
        out.bytes().extend_from_slice(end);
    }

    fn delta(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Text { choice, text } => self.text(*choice, "content", text, out),
            Event::Thinking { choice, text } => self.text(*choice, "reasoning_content", text, out),
            Event::Refusal { choice, text } => {
                let at = self.text(*choice, "refusal", text, out);
                self.choices[at].has_refusal = true;
                at
            }
            Event::Signature { choice, signature } => self.blocks(*choice, out, |out| {
                thinking::signed(&Text::default(), Some(signature), out);
            }),
            Event::RedactedThinking { choice, data } => {
                self.blocks(*choice, out, |out| thinking::redacted(data, out))
            }
            Event::ToolStart { choice, tool, id, name, custom, signature } => {
                let start = Start { tool: *tool, id, name, custom: *custom, signature: signature.as_ref() };
                self.tool_start(*choice, &start, out)
            }
            Event::ToolArguments { choice, tool, fragment } => self.arguments(*choice, *tool, fragment, out),
            Event::ToolEnd { choice, tool } => {
                let at = self.choice(*choice, out);
                self.tool_end(at, *tool, out);
                at
            }
            Event::Media { choice, media_type, data } => self.media(*choice, media_type, data, out),
            Event::Logprobs { choice, logprobs } => {
                let at = self.choice(*choice, out);
                let mut out = self.open(*choice, out);
                out.key("delta").begin_object().end_object().key("logprobs").raw(logprobs.as_bytes());
                out.key("finish_reason").null();
                self.close(out);
                at
            }
            _ => 0,
        };
    }

    fn text(&mut self, choice: u32, member: &str, text: &Text<'_>, out: &mut Vec<u8>) -> usize {
        let at = self.choice(choice, out);
        self.chunk(choice, out, |out| {
            out.key(member).text(text);
        });
        at
    }

    fn blocks(&mut self, choice: u32, out: &mut Vec<u8>, block: impl FnOnce(&mut Out<'_>)) -> usize {
        let at = self.choice(choice, out);
        self.chunk(choice, out, |out| {
            out.key("thinking_blocks").begin_array();
            block(out);
            out.end_array();
        });
        at
    }

    fn media(&mut self, choice: u32, media_type: &Text<'_>, data: &Text<'_>, out: &mut Vec<u8>) -> usize {
        let at = self.choice(choice, out);
        self.chunk(choice, out, |out| {
            if media_type.as_escaped().starts_with(b"audio") {
                out.key("audio").begin_object().key("data").text(data).end_object();
            } else {
                let url = media::data_url(Some(media_type), data, "image/png");
                out.key("images").begin_array().begin_object().field("type", "image_url");
                out.key("image_url").begin_object().key("url").text(&url);
                out.end_object().end_object().end_array();
            }
        });
        at
    }

    fn tool_start(&mut self, choice: u32, start: &Start<'_>, out: &mut Vec<u8>) -> usize {
        let at = self.choice(choice, out);
        let tool = Tool { number: start.tool, custom: start.custom, has_arguments: false };
        self.choices[at].tools.push(tool);
        self.chunk(choice, out, |out| start.write(out));
        at
    }

    fn arguments(&mut self, choice: u32, tool: u32, fragment: &Text<'_>, out: &mut Vec<u8>) -> usize {
        let at = self.choice(choice, out);
        let state = self.choices[at].tools.iter_mut().find(|state| state.number == tool);
        let Some(state) = state.filter(|_| !fragment.is_empty()) else { return at };
        state.has_arguments = true;
        let (kind, member) = if state.custom { ("custom", "input") } else { ("function", "arguments") };
        self.chunk(choice, out, |out| {
            out.key("tool_calls").begin_array().begin_object().key("index").number(tool.into());
            out.key(kind).begin_object().key(member).text(fragment);
            out.end_object().end_object().end_array();
        });
        at
    }

    /// A call without arguments gets empty ones: clients parse them as JSON, and no text is none.
    fn tool_end(&mut self, at: usize, tool: u32, out: &mut Vec<u8>) {
        let choice = &self.choices[at];
        let number = choice.number;
        if choice.tools.iter().any(|state| state.number == tool && !state.custom && !state.has_arguments) {
            self.arguments(number, tool, &Text::literal("{}"), out);
        }
    }

    fn finish(&mut self, at: usize, finish: Finish, stop_sequence: Option<&Text<'_>>, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.choices[at].finished, true) {
            return;
        }
        self.last_chunk(at, finish, stop_sequence, out);
    }

    fn last_chunk(&mut self, at: usize, finish: Finish, stop_sequence: Option<&Text<'_>>, out: &mut Vec<u8>) {
        let tools: Vec<u32> = self.choices[at].tools.iter().map(|tool| tool.number).collect();
        tools.into_iter().for_each(|tool| self.tool_end(at, tool, out));
        let (number, has_refusal) = (self.choices[at].number, self.choices[at].has_refusal);
        let mut out = self.open(number, out);
        out.key("delta").begin_object().end_object().key("logprobs").null();
        out.field("finish_reason", write_finish(finish, has_refusal));
        write_finish_details(finish, stop_sequence, &mut out);
        self.close(out);
    }

    fn fail(&mut self, failed: &ApiError, out: &mut Vec<u8>) {
        self.ended = true;
        out.extend_from_slice(b"data: ");
        error::write_error(failed, out);
        out.extend_from_slice(b"\n\n");
    }

    /// Ends what is open, and the stream: each choice has one reason to finish, then comes usage, then the last line. A
    /// stream of failures only ends with an error, which every client knows, where OpenAI has no reason for it.
    fn end(&mut self, out: &mut Vec<u8>) {
        self.choice(0, out);
        if self.choices.iter().all(|choice| choice.failed) {
            self.usage(out);
            let failed =
                ApiError::own(ErrorKind::UpstreamError, "The provider failed to finish the answer.", None);
            return self.fail(&failed, out);
        }
        for at in 0..self.choices.len() {
            if self.choices[at].failed {
                self.last_chunk(at, Finish::Error, None, out);
            }
            let finish = if self.choices[at].tools.is_empty() { Finish::Stop } else { Finish::ToolCalls };
            self.finish(at, finish, None, out);
        }
        self.usage(out);
        out.extend_from_slice(b"data: [DONE]\n\n");
        self.ended = true;
    }

    fn usage(&self, out: &mut Vec<u8>) {
        if let Some(usage) = self.usage.filter(|_| self.context.include_usage) {
            let choice = b"{\"index\":".len();
            out.extend_from_slice(&self.head[..self.head.len() - choice]);
            let mut out = Out::new(out);
            out.end_array();
            write_usage(&usage, &mut out);
            out.end_object().bytes().extend_from_slice(b"\n\n");
        }
    }
}

/// The beginning of a tool call.
struct Start<'e> {
    tool: u32,
    id: &'e Text<'e>,
    name: &'e Text<'e>,
    custom: bool,
    signature: Option<&'e Text<'e>>,
}

impl Start<'_> {
    fn write(&self, out: &mut Out<'_>) {
        let (kind, member) = if self.custom { ("custom", "input") } else { ("function", "arguments") };
        out.key("tool_calls").begin_array().begin_object().key("index").number(self.tool.into());
        out.key("id").text(self.id).field("type", kind).key(kind).begin_object();
        out.key("name").text(self.name).field(member, "").end_object();
        if let Some(signature) = self.signature {
            messages_out::write_signature(signature, out);
        }
        out.end_object().end_array();
    }
}

/// What all chunks of an answer begin with.
fn head(id: Option<&Text<'_>>, context: &AnswerContext) -> Vec<u8> {
    let mut head = b"data: ".to_vec();
    let mut out = Out::new(&mut head);
    out.begin_object().key("id").text(&answer_id(id, context)).field("object", "chat.completion.chunk");
    out.key("created").number(context.created).field("model", &context.model);
    out.key("choices").begin_array().begin_object().key("index");
    head
}
