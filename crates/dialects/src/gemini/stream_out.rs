//! Streams as clients get them: every event is an answer with the next pieces, as a server-sent event or as an element of
//! an array.

use sluice_types::Usage;

use super::answer::{write_origin, write_thought};
use super::contents_out::write_call;
use super::error::write_error;
use super::finish::{finish_message, finish_reason};
use super::logprobs;
use super::usage::write_usage;
use crate::exchange::{Arguments, Event, Finish, Text, ToolCall};
use crate::json::Out;
use crate::wire::{AnswerContext, Encode};

/// Writes a stream. Calls are sent whole, since this dialect knows no pieces of them; reasons to finish wait for the end,
/// so that the usage stands with them.
#[derive(Debug)]
pub struct Encoder {
    context: AnswerContext,
    /// What ends every event: which model answered, and under which id.
    origin: Vec<u8>,
    choices: Vec<Choice>,
    usage: Option<Usage>,
    /// Something was written, so that an array is open.
    begun: bool,
    ended: bool,
}

#[derive(Debug, Default)]
struct Choice {
    index: u32,
    /// Calls that are not written yet.
    calls: Vec<Call>,
    finish: Option<Finish>,
}

#[derive(Debug)]
struct Call {
    tool: u32,
    call: ToolCall<'static>,
    arguments: Text<'static>,
}

impl Encoder {
    /// A writer for one answer.
    #[must_use]
    pub fn new(context: AnswerContext) -> Self {
        let mut encoder = Self {
            context,
            origin: Vec::new(),
            choices: Vec::new(),
            usage: None,
            begun: false,
            ended: false,
        };
        encoder.set_origin(None);
        encoder
    }

    fn set_origin(&mut self, id: Option<&Text<'_>>) {
        self.origin.clear();
        self.origin.push(b',');
        write_origin(id, &self.context, &mut Out::new(&mut self.origin));
        self.origin.push(b'}');
    }

    fn choice(&mut self, index: u32) -> &mut Choice {
        let known = self.choices.iter().position(|choice| choice.index == index);
        let at = known.unwrap_or_else(|| {
            self.choices.push(Choice { index, ..Choice::default() });
            self.choices.len() - 1
        });
        &mut self.choices[at]
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        let mark: &[u8] = match (self.context.json_array, self.begun) {
            (false, _) => b"data: ",
            (true, false) => b"[",
            (true, true) => b",\r\n",
        };
        out.extend_from_slice(mark);
        self.begun = true;
    }

    fn end(&self, out: &mut Vec<u8>) {
        if !self.context.json_array {
            out.extend_from_slice(b"\r\n\r\n");
        }
    }

    /// Writes an event with one part of one choice.
    fn part(&mut self, choice: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Out<'_>)) {
        self.begin(out);
        out.extend_from_slice(b"{\"candidates\":[{\"content\":{\"parts\":[");
        write(&mut Out::new(out));
        out.extend_from_slice(b"],\"role\":\"model\"},\"index\":");
        Out::new(out).number(choice.into());
        out.extend_from_slice(b"}]");
        out.extend_from_slice(&self.origin);
        self.end(out);
    }

    fn text(&mut self, choice: u32, text: &Text<'_>, out: &mut Vec<u8>) {
        self.choice(choice);
        if !text.is_empty() {
            self.part(choice, out, |out| _ = out.begin_object().key("text").text(text).end_object());
        }
    }

    fn thought(&mut self, choice: u32, text: &Text<'_>, signature: Option<&Text<'_>>, out: &mut Vec<u8>) {
        self.choice(choice);
        if !text.is_empty() || signature.is_some_and(|signature| !signature.is_empty()) {
            self.part(choice, out, |out| write_thought(text, signature, out));
        }
    }

    fn call_ended(&mut self, choice: u32, tool: u32, out: &mut Vec<u8>) {
        let calls = &mut self.choice(choice).calls;
        let Some(at) = calls.iter().position(|call| call.tool == tool) else { return };
        let call = calls.remove(at).whole();
        self.part(choice, out, |out| write_in_line(&call, out));
    }

    fn arguments(&mut self, choice: u32, tool: u32, fragment: &Text<'_>) {
        let calls = &mut self.choice(choice).calls;
        if let Some(call) = calls.iter_mut().find(|call| call.tool == tool) {
            call.arguments.push(fragment);
        }
    }

    /// The last event: what is left of the calls, why each choice ended, and the usage.
    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.choices.is_empty() && self.usage.is_none() && !self.begun && self.context.json_array {
            out.extend_from_slice(b"[]");
            return;
        }
        if self.choices.is_empty() {
            self.choice(0);
        }
        self.begin(out);
        out.extend_from_slice(b"{\"candidates\":[");
        let mut candidates = Out::new(out);
        self.choices.drain(..).for_each(|choice| choice.write_end(&mut candidates));
        out.push(b']');
        if let Some(usage) = &self.usage {
            write_usage(usage, Out::new(out).key("usageMetadata"));
        }
        out.extend_from_slice(&self.origin);
        self.end(out);
        self.close_array(out);
    }

    fn close_array(&self, out: &mut Vec<u8>) {
        if self.context.json_array {
            out.push(b']');
        }
    }
}

impl Call {
    fn whole(self) -> ToolCall<'static> {
        ToolCall { arguments: Arguments::Text(self.arguments), ..self.call }
    }
}

/// Appends a call without line ends, which would cut the event. Within texts they are escaped, so any that is left is white
/// space between the arguments.
fn write_in_line(call: &ToolCall<'_>, out: &mut Out<'_>) {
    let before = out.bytes().len();
    write_call(call, &call.name, true, false, out);
    let written = out.bytes().iter_mut().skip(before);
    written.filter(|byte| matches!(**byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
}

impl Choice {
    fn write_end(self, out: &mut Out<'_>) {
        out.begin_object().key("content").begin_object().key("parts").begin_array();
        if self.calls.is_empty() {
            // Clients take an answer without parts for a broken one.
            out.begin_object().field("text", "").end_object();
        }
        for call in self.calls {
            write_in_line(&call.whole(), out);
        }
        out.end_array().field("role", "model").end_object();
        let finish = self.finish.unwrap_or_default();
        out.field("finishReason", finish_reason(finish));
        if let Some(message) = finish_message(finish) {
            out.field("finishMessage", message);
        }
        out.field_number("index", Some(self.index.into())).end_object();
    }
}

impl Encode for Encoder {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::Start { id, .. } => {
                self.set_origin(id.as_ref());
            }
            Event::Text { choice, text } | Event::Refusal { choice, text } => self.text(*choice, text, out),
            Event::Thinking { choice, text } => self.thought(*choice, text, None, out),
            Event::Signature { choice, signature } => {
                self.thought(*choice, &Text::default(), Some(signature), out);
            }
            // Nothing in this dialect holds another provider's hidden thought.
            Event::RedactedThinking { .. } => {}
            Event::ToolStart { choice, tool, id, name, custom, signature } => {
                let call = ToolCall {
                    id: id.clone().into_owned(),
                    name: name.clone().into_owned(),
                    arguments: Arguments::Text(Text::default()),
                    signature: signature.clone().map(Text::into_owned),
                    custom: *custom,
                };
                self.choice(*choice).calls.push(Call { tool: *tool, call, arguments: Text::default() });
            }
            Event::ToolArguments { choice, tool, fragment } => self.arguments(*choice, *tool, fragment),
            Event::ToolEnd { choice, tool } => self.call_ended(*choice, *tool, out),
            Event::Media { choice, media_type, data } => self.part(*choice, out, |out| {
                out.begin_object().key("inlineData").begin_object();
                out.key("mimeType").text(media_type).key("data").text(data).end_object().end_object();
            }),
            Event::Logprobs { choice, logprobs } => self.logprobs(*choice, logprobs, out),
            Event::Finish { choice, finish, .. } => self.choice(*choice).finish = Some(*finish),
            Event::Usage(usage) => self.usage.get_or_insert_default().merge_max(*usage),
            Event::Error(error) => {
                self.ended = true;
                self.begin(out);
                write_error(error, out);
                self.end(out);
                self.close_array(out);
            }
            Event::End => {
                self.ended = true;
                self.finish(out);
            }
        }
    }
}

impl Encoder {
    fn logprobs(&mut self, choice: u32, logprobs: &crate::exchange::Raw<'_>, out: &mut Vec<u8>) {
        self.begin(out);
        out.extend_from_slice(b"{\"candidates\":[");
        let mut candidate = Out::new(out);
        candidate.begin_object().field_number("index", Some(choice.into()));
        logprobs::write_google(logprobs, &mut candidate);
        candidate.end_object().end_array();
        out.extend_from_slice(&self.origin);
        self.end(out);
    }
}
