//! Reading streams.

use crate::exchange::{Event, Finish, PartKind, Text};
use crate::json::{Doc, Value};
use crate::openai::read_usage;
use crate::tier::tier_of;
use crate::wire::{Decode, Frame, Malformed};

use super::answer_in::{Seen, finish_of, image, logprobs};
use super::error::error_of_event;
use super::items_in::{PARAGRAPH, call, thought};

type Sink<'s> = &'s mut dyn FnMut(Event<'_>);

/// Reads the events of a stream, which end with `response.completed`, `response.incomplete`, `response.failed` or
/// `error`. Kinds that are not known are passed over: new ones come every month.
#[derive(Debug, Default)]
pub struct Decoder {
    started: bool,
    ended: bool,
    seen: Seen,
    /// What the last items began with, by `output_index`; in order of their beginning.
    calls: Vec<CallState>,
    /// Text or refusal of the part at hand was seen, so that its whole is not news.
    part_seen: bool,
    /// The same of the item at hand.
    item_seen: bool,
    /// The same of its thoughts.
    thought_seen: bool,
    /// Any item was seen; if not, the last event brings them all.
    any_seen: bool,
}

/// One call.
#[derive(Debug)]
struct CallState {
    output_index: u64,
    arguments_seen: bool,
    ended: bool,
}

impl Decode for Decoder {
    fn frame(&mut self, frame: Frame<'_>, sink: Sink<'_>) -> Result<(), Malformed> {
        let data = frame.data.trim_ascii();
        // Some servers end with the mark of chat completions.
        if self.ended || data.is_empty() || data == b"[DONE]" {
            return Ok(());
        }
        let doc = Doc::parse(data).map_err(|_| Malformed("has an event that is not JSON"))?;
        let event = doc.root();
        let kind = event.text_of("type");
        let named = frame.name.and_then(|name| std::str::from_utf8(name).ok());
        match (&kind, named) {
            (Some(kind), _) => self.event(&kind.decode(), event, data, sink),
            (None, Some(name)) => self.event(name, event, data, sink),
            (None, None) if event.get("error").is_some() => self.event("error", event, data, sink),
            (None, None) => {}
        }
        Ok(())
    }

    /// Streams say when they are over; one that does not was cut off.
    fn end(&mut self, _: Sink<'_>) {}
}

impl Decoder {
    fn event(&mut self, kind: &str, event: Value<'_>, data: &[u8], sink: Sink<'_>) {
        if let Some(response) = event.get("response") {
            self.start(response, sink);
        }
        match kind.strip_prefix("response.").unwrap_or(kind) {
            "output_text.delta" => self.text(event, sink),
            "function_call_arguments.delta" | "custom_tool_call_input.delta" => {
                self.arguments(event, event.text_of("delta"), sink);
            }
            "reasoning_summary_text.delta" | "reasoning_text.delta" => {
                self.thought_seen = true;
                fragment(event, sink, |text| Event::Thinking { choice: 0, text });
            }
            "refusal.delta" => {
                self.see_part();
                self.seen.refusal = true;
                fragment(event, sink, |text| Event::Refusal { choice: 0, text });
            }
            "output_item.added" => self.item_added(event, sink),
            "output_item.done" => self.item_done(event, sink),
            "content_part.added" => self.part_seen = false,
            "reasoning_summary_part.added" if event.get("summary_index").and_then(Value::u64) > Some(0) => {
                sink(Event::Thinking { choice: 0, text: PARAGRAPH });
            }
            "output_text.done" if !self.part_seen => self.whole_text(event.text_of("text"), sink),
            "refusal.done" if !self.part_seen => self.whole_refusal(event.text_of("refusal"), sink),
            "function_call_arguments.done" => self.whole_arguments(event, event.text_of("arguments"), sink),
            "custom_tool_call_input.done" => self.whole_arguments(event, event.text_of("input"), sink),
            "completed" | "incomplete" => self.finish(event, sink),
            "failed" | "error" => {
                self.ended = true;
                if let Some(usage) = usage(event) {
                    sink(Event::Usage(usage));
                }
                sink(Event::Error(error_of_event(data)));
            }
            _ => {}
        }
    }

    fn start(&mut self, response: Value<'_>, sink: Sink<'_>) {
        if !std::mem::replace(&mut self.started, true) {
            sink(Event::Start { id: response.text_of("id"), model: response.text_of("model") });
        }
    }

    fn see_part(&mut self) {
        (self.part_seen, self.item_seen) = (true, true);
    }

    fn next_item(&mut self) {
        self.any_seen = true;
        (self.part_seen, self.item_seen, self.thought_seen) = (false, false, false);
    }

    fn text(&mut self, event: Value<'_>, sink: Sink<'_>) {
        self.see_part();
        self.seen.text = true;
        fragment(event, sink, |text| Event::Text { choice: 0, text });
        if let Some(logprobs) = logprobs(event) {
            sink(Event::Logprobs { choice: 0, logprobs });
        }
    }

    fn whole_text(&mut self, text: Option<Text<'_>>, sink: Sink<'_>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.see_part();
            self.seen.text = true;
            sink(Event::Text { choice: 0, text });
        }
    }

    fn whole_refusal(&mut self, text: Option<Text<'_>>, sink: Sink<'_>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.see_part();
            self.seen.refusal = true;
            sink(Event::Refusal { choice: 0, text });
        }
    }

    /// The call that an event is about, by where its item is.
    fn tool(&self, event: Value<'_>) -> Option<usize> {
        let index = output_index(event)?;
        self.calls.iter().rposition(|call| call.output_index == index)
    }

    fn arguments(&mut self, event: Value<'_>, fragment: Option<Text<'_>>, sink: Sink<'_>) {
        let Some(at) = self.tool(event) else { return };
        if let Some(fragment) = fragment.filter(|fragment| !fragment.is_empty()) {
            self.calls[at].arguments_seen = true;
            sink(Event::ToolArguments { choice: 0, tool: number(at), fragment });
        }
    }

    fn whole_arguments(&mut self, event: Value<'_>, whole: Option<Text<'_>>, sink: Sink<'_>) {
        if self.tool(event).is_some_and(|at| !self.calls[at].arguments_seen) {
            self.arguments(event, whole, sink);
        }
    }

    fn item_added(&mut self, event: Value<'_>, sink: Sink<'_>) {
        self.next_item();
        if let Some(item) = event.get("item") {
            self.begin_call(item, output_index(event), sink);
        }
    }

    /// Begins a call, if the item is one; says which.
    fn begin_call(&mut self, item: Value<'_>, index: Option<u64>, sink: Sink<'_>) -> Option<usize> {
        let kind = item.text_of("type")?;
        let custom = kind.is("custom_tool_call");
        if !custom && !kind.is("function_call") {
            return None;
        }
        let call = call(item, if custom { "input" } else { "arguments" }, custom).ok()?;
        self.seen.calls = true;
        let at = self.calls.len();
        let arguments = call.arguments.to_text();
        let arguments_seen = !arguments.is_empty();
        self.calls.push(CallState { output_index: index.unwrap_or(u64::MAX), arguments_seen, ended: false });
        let (id, name) = (call.id, call.name);
        sink(Event::ToolStart { choice: 0, tool: number(at), id, name, custom, signature: None });
        if arguments_seen {
            sink(Event::ToolArguments { choice: 0, tool: number(at), fragment: arguments });
        }
        Some(at)
    }

    fn item_done(&mut self, event: Value<'_>, sink: Sink<'_>) {
        let Some(item) = event.get("item") else { return };
        let known = self.tool(event);
        self.whole_item(item, known, output_index(event), sink);
        self.next_item();
    }

    /// What of a whole item was not seen in pieces.
    fn whole_item(&mut self, item: Value<'_>, known: Option<usize>, index: Option<u64>, sink: Sink<'_>) {
        let Some(kind) = item.text_of("type") else { return };
        match &*kind.decode() {
            "function_call" | "custom_tool_call" => self.whole_call(item, known, index, sink),
            "message" if !self.item_seen => {
                for part in item.get("content").into_iter().flat_map(Value::elements) {
                    self.whole_text(part.text_of("text"), sink);
                    self.whole_refusal(part.text_of("refusal"), sink);
                }
            }
            "reasoning" => self.whole_thought(item, sink),
            "image_generation_call" => {
                if let Some(image) = image(item)
                    && let crate::exchange::Source::Base64(data) = image.source
                {
                    let media_type = image.media_type.unwrap_or_default();
                    sink(Event::Media { choice: 0, media_type, data });
                }
            }
            _ => {}
        }
    }

    fn whole_call(&mut self, item: Value<'_>, known: Option<usize>, index: Option<u64>, sink: Sink<'_>) {
        let Some(at) = known.or_else(|| self.begin_call(item, index, sink)) else { return };
        if !self.calls[at].arguments_seen
            && let Some(arguments) = item.text_of("arguments").or_else(|| item.text_of("input"))
            && !arguments.is_empty()
        {
            self.calls[at].arguments_seen = true;
            sink(Event::ToolArguments { choice: 0, tool: number(at), fragment: arguments });
        }
        if !std::mem::replace(&mut self.calls[at].ended, true) {
            sink(Event::ToolEnd { choice: 0, tool: number(at) });
        }
    }

    fn whole_thought(&mut self, item: Value<'_>, sink: Sink<'_>) {
        match thought(item) {
            Some(PartKind::Thinking { text, signature }) => {
                if !self.thought_seen && !text.is_empty() {
                    sink(Event::Thinking { choice: 0, text });
                }
                if let Some(signature) = signature {
                    sink(Event::Signature { choice: 0, signature });
                }
            }
            Some(PartKind::RedactedThinking(data)) => sink(Event::RedactedThinking { choice: 0, data }),
            _ => {}
        }
    }

    fn finish(&mut self, event: Value<'_>, sink: Sink<'_>) {
        self.ended = true;
        let response = event.get("response").unwrap_or(event);
        if !self.any_seen && !self.seen.text && !self.seen.refusal {
            for item in response.get("output").into_iter().flat_map(Value::elements) {
                self.whole_item(item, None, None, sink);
                self.next_item();
            }
        }
        if let Some(usage) = usage(event) {
            sink(Event::Usage(usage));
        }
        let finish = match finish_of(response, self.seen) {
            // The kind of the event says so where the response does not.
            Finish::Stop if event.get("type").is_some_and(|kind| kind.is("response.incomplete")) => {
                Finish::Length
            }
            finish => finish,
        };
        sink(Event::Finish { choice: 0, finish, stop_sequence: None });
        sink(Event::End);
    }
}

fn fragment<'e>(event: Value<'e>, sink: Sink<'_>, make: fn(Text<'e>) -> Event<'e>) {
    if let Some(text) = event.text_of("delta").filter(|text| !text.is_empty()) {
        sink(make(text));
    }
}

fn usage(event: Value<'_>) -> Option<sluice_types::Usage> {
    let response = event.get("response")?;
    let usage = read_usage(response.get("usage")?.raw())?;
    let tier = response.get("service_tier").map_or(&[][..], |tier| tier.raw());
    Some(sluice_types::Usage { tier: tier_of(tier), ..usage })
}

fn output_index(event: Value<'_>) -> Option<u64> {
    event.get("output_index").and_then(Value::u64)
}

/// Which of the calls: more than fit are not sent.
fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
