//! Writing the items of a stream, one after another.

use crate::exchange::{Raw, Text};
use crate::json::{Out, scan_object_lenient};

use super::answer_out::{call_prefix, logprob_elements, marked};
use super::response_out::{
    CallItem, item_id, list, write_call, write_image, write_message, write_reasoning, write_refusal_part,
    write_summary_part, write_text_part,
};
use super::{CALL_SIGNATURE, REDACTED};

/// Numbers the events.
#[derive(Debug, Default)]
pub(super) struct Frames {
    sequence: u64,
}

impl Frames {
    /// Appends an event of a kind, with the members that `write` appends to the first two.
    pub(super) fn push(&mut self, kind: &str, out: &mut Vec<u8>, write: impl FnOnce(&mut Out<'_>)) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        let mut data = Out::new(out);
        data.begin_object().field("type", kind).key("sequence_number").number(self.sequence);
        write(&mut data);
        data.end_object();
        out.extend_from_slice(b"\n\n");
        self.sequence += 1;
    }
}

/// The item that is being written.
#[derive(Debug)]
enum Open {
    Nothing,
    Message { content: Vec<u8>, content_index: u64, part: Option<OpenPart> },
    Reasoning { summary: Text<'static>, proof: Text<'static>, part: bool },
    Call(OpenCall),
}

/// A part of a message.
#[derive(Debug)]
struct OpenPart {
    refusal: bool,
    text: Text<'static>,
    /// Elements of the list of probabilities.
    logprobs: Vec<u8>,
}

/// A call of a tool, as it begins and as it grows.
#[derive(Debug)]
pub(super) struct OpenCall {
    /// Which, by the events.
    pub(super) tool: u32,
    pub(super) call_id: Text<'static>,
    pub(super) name: Text<'static>,
    pub(super) custom: bool,
    pub(super) arguments: Text<'static>,
    /// Gemini's signature of it.
    pub(super) signature: Option<Text<'static>>,
    /// The provider has said that it is whole.
    pub(super) ended: bool,
}

impl OpenCall {
    /// Whether nothing can follow: it has ended, or its arguments are a whole object.
    pub(super) fn is_complete(&self) -> bool {
        self.ended
            || !self.custom
                && self.arguments.as_escaped().trim_ascii_end().ends_with(b"}")
                && scan_object_lenient(self.arguments.decode().as_bytes(), &[]).is_ok()
    }
}

/// Writes items; one is open at a time.
#[derive(Debug)]
pub(super) struct Items {
    pub(super) frames: Frames,
    /// The items that are whole, with commas between them.
    pub(super) output: Vec<u8>,
    /// The model refused in words.
    pub(super) refused: bool,
    /// What the ids of items are made of.
    id: String,
    /// The id of the open item, and where it is.
    item: String,
    index: u64,
    open: Open,
    /// Probabilities of a text that has not come yet.
    logprobs: Vec<u8>,
}

impl Items {
    pub(super) fn new(id: &str) -> Self {
        Self {
            frames: Frames::default(),
            output: Vec::new(),
            refused: false,
            id: id.to_owned(),
            item: String::new(),
            index: 0,
            open: Open::Nothing,
            logprobs: Vec::new(),
        }
    }

    /// The call that is open.
    pub(super) fn open_call(&mut self) -> Option<&mut OpenCall> {
        match &mut self.open {
            Open::Call(call) => Some(call),
            _ => None,
        }
    }

    /// Appends to the text, or to the refusal, of a message.
    pub(super) fn text(&mut self, fragment: &Text<'_>, refusal: bool, out: &mut Vec<u8>) {
        self.open_part(refusal, out);
        self.refused |= refusal;
        let (item, index) = (&self.item, self.index);
        let Open::Message { content_index, part: Some(part), .. } = &mut self.open else { return };
        let kind = if refusal { "response.refusal.delta" } else { "response.output_text.delta" };
        let logprobs = if refusal { Vec::new() } else { std::mem::take(&mut self.logprobs) };
        self.frames.push(kind, out, |data| {
            place(data, item, index);
            data.key("content_index").number(*content_index).key("delta").text(fragment);
            if !refusal {
                list("logprobs", &logprobs, data);
            }
        });
        part.text.push(fragment);
        if !logprobs.is_empty() {
            Out::new(&mut part.logprobs).raw(&logprobs);
        }
    }

    /// Probabilities: with a fragment of their own if the text is there already, or with the next one.
    pub(super) fn logprobs(&mut self, logprobs: &Raw<'_>, out: &mut Vec<u8>) {
        let elements = logprob_elements(logprobs);
        if elements.is_empty() {
            return;
        }
        Out::new(&mut self.logprobs).raw(&elements);
        if matches!(&self.open, Open::Message { part: Some(OpenPart { refusal: false, .. }), .. }) {
            self.text(&Text::default(), false, out);
        }
    }

    fn open_part(&mut self, refusal: bool, out: &mut Vec<u8>) {
        if !matches!(self.open, Open::Message { .. }) {
            self.close("completed", out);
            self.item = item_id("msg", &self.id, self.index);
            self.added(out, |item, data| write_message(item, "in_progress", b"", data));
            self.open = Open::Message { content: Vec::new(), content_index: 0, part: None };
        }
        if matches!(&self.open, Open::Message { part: Some(part), .. } if part.refusal != refusal) {
            self.close_part(out);
        }
        let (item, index) = (&self.item, self.index);
        if let Open::Message { content_index, part: part @ None, .. } = &mut self.open {
            let open = OpenPart { refusal, text: Text::default(), logprobs: Vec::new() };
            self.frames.push("response.content_part.added", out, |data| {
                place(data, item, index);
                data.key("content_index").number(*content_index).key("part");
                write_part(&open, data);
            });
            *part = Some(open);
        }
    }

    fn close_part(&mut self, out: &mut Vec<u8>) {
        let (item, index) = (&self.item, self.index);
        let Open::Message { content, content_index, part } = &mut self.open else { return };
        let Some(part) = part.take() else { return };
        let kind = if part.refusal { "response.refusal.done" } else { "response.output_text.done" };
        self.frames.push(kind, out, |data| {
            place(data, item, index);
            data.key("content_index").number(*content_index);
            if part.refusal {
                data.key("refusal").text(&part.text);
            } else {
                data.key("text").text(&part.text);
                list("logprobs", &part.logprobs, data);
            }
        });
        self.frames.push("response.content_part.done", out, |data| {
            place(data, item, index);
            data.key("content_index").number(*content_index).key("part");
            write_part(&part, data);
        });
        write_part(&part, &mut Out::new(content));
        *content_index += 1;
    }

    /// Appends to a summary of thoughts. What follows a proof is another thought.
    pub(super) fn thinking(&mut self, fragment: &Text<'_>, out: &mut Vec<u8>) {
        if !matches!(&self.open, Open::Reasoning { proof, .. } if proof.is_empty()) {
            self.open_reasoning(out);
        }
        let (item, index) = (&self.item, self.index);
        let Open::Reasoning { summary, part, .. } = &mut self.open else { return };
        if fragment.is_empty() {
            return;
        }
        if !std::mem::replace(part, true) {
            self.frames.push("response.reasoning_summary_part.added", out, |data| {
                place(data, item, index);
                data.key("summary_index").number(0).key("part");
                write_summary_part(&Text::default(), data);
            });
        }
        self.frames.push("response.reasoning_summary_text.delta", out, |data| {
            place(data, item, index);
            data.key("summary_index").number(0).key("delta").text(fragment);
        });
        summary.push(fragment);
    }

    /// Appends to the proof of the thoughts.
    pub(super) fn proof(&mut self, fragment: &Text<'_>, out: &mut Vec<u8>) {
        if !matches!(self.open, Open::Reasoning { .. }) {
            self.open_reasoning(out);
        }
        if let Open::Reasoning { proof, .. } = &mut self.open {
            proof.push(fragment);
        }
    }

    /// A thought that only its provider can read.
    pub(super) fn redacted(&mut self, data: &Text<'_>, out: &mut Vec<u8>) {
        self.sealed(&marked(REDACTED, data), out);
    }

    /// A reasoning item that holds nothing but a proof.
    fn sealed(&mut self, proof: &Text<'_>, out: &mut Vec<u8>) {
        self.open_reasoning(out);
        self.proof(proof, out);
        self.close("completed", out);
    }

    fn open_reasoning(&mut self, out: &mut Vec<u8>) {
        self.close("completed", out);
        self.item = item_id("rs", &self.id, self.index);
        self.added(out, |item, data| write_reasoning(item, &Text::default(), &Text::default(), data));
        self.open = Open::Reasoning { summary: Text::default(), proof: Text::default(), part: false };
    }

    /// Begins a call; arguments that are there already come as one fragment.
    pub(super) fn call(&mut self, mut call: OpenCall, out: &mut Vec<u8>) {
        self.close("completed", out);
        if let Some(signature) = call.signature.take() {
            self.sealed(&marked(CALL_SIGNATURE, &signature), out);
        }
        self.item = item_id(call_prefix(call.custom), &self.id, self.index);
        let arguments = std::mem::take(&mut call.arguments);
        self.added(out, |item, data| write_call(&call.item(item, "in_progress"), data));
        self.open = Open::Call(call);
        if !arguments.is_empty() {
            self.arguments(&arguments, out);
        }
    }

    /// Appends to the arguments of the open call.
    pub(super) fn arguments(&mut self, fragment: &Text<'_>, out: &mut Vec<u8>) {
        let (item, index) = (&self.item, self.index);
        let Open::Call(call) = &mut self.open else { return };
        let kind = if call.custom {
            "response.custom_tool_call_input.delta"
        } else {
            "response.function_call_arguments.delta"
        };
        self.frames.push(kind, out, |data| {
            place(data, item, index);
            data.key("delta").text(fragment);
        });
        call.arguments.push(fragment);
    }

    /// A generated image.
    pub(super) fn image(&mut self, image: &Text<'_>, out: &mut Vec<u8>) {
        self.close("completed", out);
        self.item = item_id("ig", &self.id, self.index);
        self.added(out, |item, data| write_image(item, None, data));
        self.done(|item, output| write_image(item, Some(image), output), out);
    }

    /// Ends the open item, if there is one.
    pub(super) fn close(&mut self, status: &str, out: &mut Vec<u8>) {
        self.close_part(out);
        if self.open_call().is_some_and(|call| !call.custom && call.arguments.is_blank()) {
            // Arguments are an object, be it an empty one.
            self.arguments(&Text::literal("{}"), out);
        }
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => {}
            Open::Message { content, .. } => {
                self.done(|item, output| write_message(item, status, &content, output), out);
            }
            Open::Reasoning { summary, proof, part } => {
                if part {
                    self.close_summary(&summary, out);
                }
                self.done(|item, output| write_reasoning(item, &summary, &proof, output), out);
            }
            Open::Call(call) => {
                self.close_arguments(&call, out);
                self.done(|item, output| write_call(&call.item(item, status), output), out);
            }
        }
    }

    fn close_summary(&mut self, summary: &Text<'_>, out: &mut Vec<u8>) {
        let (item, index) = (&self.item, self.index);
        self.frames.push("response.reasoning_summary_text.done", out, |data| {
            place(data, item, index);
            data.key("summary_index").number(0).key("text").text(summary);
        });
        self.frames.push("response.reasoning_summary_part.done", out, |data| {
            place(data, item, index);
            data.key("summary_index").number(0).key("part");
            write_summary_part(summary, data);
        });
    }

    fn close_arguments(&mut self, call: &OpenCall, out: &mut Vec<u8>) {
        let (item, index) = (&self.item, self.index);
        let (kind, member) = if call.custom {
            ("response.custom_tool_call_input.done", "input")
        } else {
            ("response.function_call_arguments.done", "arguments")
        };
        self.frames.push(kind, out, |data| {
            place(data, item, index);
            data.key(member).text(&call.arguments);
            if !call.custom {
                data.key("name").text(&call.name);
            }
        });
    }

    fn added(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&str, &mut Out<'_>)) {
        let (item, index) = (&self.item, self.index);
        self.frames.push("response.output_item.added", out, |data| {
            data.key("output_index").number(index).key("item");
            write(item, data);
        });
    }

    /// Writes a whole item where the response will have it, and in its last event.
    fn done(&mut self, write: impl FnOnce(&str, &mut Out<'_>), out: &mut Vec<u8>) {
        let start = self.output.len();
        write(&self.item, &mut Out::new(&mut self.output));
        let (index, item) = (self.index, &self.output[start..]);
        let item = item.strip_prefix(b",").unwrap_or(item);
        self.frames.push("response.output_item.done", out, |data| {
            data.key("output_index").number(index).key("item").raw(item);
        });
        self.index += 1;
    }
}

impl OpenCall {
    fn item<'c>(&'c self, id: &'c str, status: &'c str) -> CallItem<'c> {
        CallItem {
            id,
            call_id: &self.call_id,
            name: &self.name,
            custom: self.custom,
            arguments: &self.arguments,
            status,
        }
    }
}

fn write_part(part: &OpenPart, out: &mut Out<'_>) {
    if part.refusal {
        write_refusal_part(&part.text, out);
    } else {
        write_text_part(&part.text, b"", &part.logprobs, out);
    }
}

/// The members that say where an event belongs.
fn place(data: &mut Out<'_>, item: &str, index: u64) {
    data.field("item_id", item).key("output_index").number(index);
}
