//! What is learnt from a stream that passes through.
//!
//! Events are not parsed one by one. Each is searched for the few names that can matter; where one is found with a value
//! other than `null`, and only there, the event is scanned exactly. A name found anywhere else (in a tool's schema, in
//! generated text, where its quotes are escaped) makes for a scan in vain, never for a wrong answer.

use sluice_types::Usage;

use super::Endpoint;
use super::output::Output;
use super::usage::read_usage;
use crate::json::{self, JsonErrorKind, Kind, Names};
use crate::sse::{Data, Event};
use crate::tier::tier_of;

/// What to do with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventClass {
    /// Pass it on.
    Forward,
    /// It carries usage and no choices: to be left out where the client did not ask for it.
    UsageOnly,
    /// It is an error of the provider.
    Error,
    /// `[DONE]`, after which nothing counts.
    Done,
    /// Its data is not what the dialect allows.
    Malformed,
}

/// What a chunk of chat completions is searched for. The order is that of the indices below.
const CHAT: Names = Names::new(["\"delta\"", "\"finish_reason\"", "\"usage\"", "\"error\""]);

/// What a chunk of completions is searched for.
const COMPLETIONS: Names = Names::new(["\"text\"", "\"finish_reason\"", "\"usage\"", "\"error\""]);

/// Index of the name whose values the model wrote.
const OUTPUT: usize = 0;

/// Index of `finish_reason`.
const FINISH_REASON: usize = 1;

/// Follows one stream, event by event.
#[derive(Clone, Debug)]
pub struct StreamTap {
    endpoint: Endpoint,
    usage: Option<Usage>,
    finished: bool,
    saw_output: bool,
    output_bytes: u64,
    data_events: u64,
    /// For the data of several lines, which no known provider sends.
    scratch: Vec<u8>,
}

impl StreamTap {
    /// A tap on the answer of an endpoint.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            usage: None,
            finished: false,
            saw_output: false,
            output_bytes: 0,
            data_events: 0,
            scratch: Vec::new(),
        }
    }

    /// Looks at the next event.
    pub fn event(&mut self, event: &Event<'_>) -> EventClass {
        match event.data() {
            Data::None => EventClass::Forward,
            Data::Line(data) => self.data(event.name, data),
            Data::Lines => {
                let mut scratch = std::mem::take(&mut self.scratch);
                event.join_data(&mut scratch);
                let class = self.data(event.name, &scratch);
                self.scratch = scratch;
                class
            }
        }
    }

    /// Usage as far as it was reported, the largest of each count.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Whether the generation has come to its end: a choice has a reason to finish, or the last event of a Responses
    /// stream was seen. A stream that breaks off before is truncated.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// Whether anything generated was seen: after that, failing over to another provider would show. The preamble (the
    /// chunk with the role, a content filter's verdict on the prompt, `response.created`) is not output.
    #[must_use]
    pub fn saw_output(&self) -> bool {
        self.saw_output
    }

    /// Bytes of generated text, tool calls included, as they are written in JSON: to estimate tokens by where the provider
    /// reports none.
    #[must_use]
    pub fn output_bytes(&self) -> u64 {
        self.output_bytes
    }

    /// The `sequence_number` of the event that would come next in a Responses stream, for an event of our own.
    #[must_use]
    pub fn next_sequence_number(&self) -> u64 {
        self.data_events
    }

    fn data(&mut self, name: Option<&[u8]>, data: &[u8]) -> EventClass {
        let data = data.trim_ascii();
        match data {
            b"" => return EventClass::Forward,
            b"[DONE]" => return EventClass::Done,
            _ => self.data_events += 1,
        }
        if !(data.starts_with(b"{") && data.ends_with(b"}")) {
            return if name == Some(b"error") { EventClass::Error } else { EventClass::Malformed };
        }
        match self.endpoint {
            Endpoint::Responses => self.response_event(name, data),
            Endpoint::Completions => self.chunk(name, data, &COMPLETIONS),
            Endpoint::Chat | Endpoint::Embeddings => self.chunk(name, data, &CHAT),
        }
    }

    fn chunk(&mut self, name: Option<&[u8]>, data: &[u8], names: &Names) -> EventClass {
        let mut telling = false;
        let mut output = Output::default();
        names.each_in(data, |index, at| match index {
            OUTPUT => output.measure(data, at),
            FINISH_REASON if self.finished => {}
            _ => telling |= !data[at..].starts_with(b"null"),
        });
        self.count(output);
        if name == Some(b"error") {
            EventClass::Error
        } else if telling {
            self.telling_chunk(data)
        } else {
            EventClass::Forward
        }
    }

    fn telling_chunk(&mut self, data: &[u8]) -> EventClass {
        let [choices, usage, error, tier] =
            match members(data, &["choices", "usage", "error", "service_tier"]) {
                Ok(values) => values,
                Err(class) => return class,
            };
        let mut reasons = json::elements(choices).map(|choice| member(choice, "finish_reason"));
        self.finished |= reasons.any(|reason| json::kind_of(reason) == Kind::String);
        self.merge_usage(usage, tier);
        if is_error(error) {
            EventClass::Error
        } else if json::kind_of(usage) == Kind::Object && is_empty_array(choices) {
            EventClass::UsageOnly
        } else {
            EventClass::Forward
        }
    }

    /// An event of a Responses stream. Its kind is in the `event` field, or else in the data.
    fn response_event(&mut self, name: Option<&[u8]>, data: &[u8]) -> EventClass {
        let named = name.filter(|name| name.starts_with(b"response.") || *name == b"error");
        let kind = match named {
            Some(name) => name,
            None => match members(data, &["type", "error"]) {
                Ok([_, error]) if is_error(error) => b"error",
                Ok([kind, _]) => kind
                    .trim_ascii_start()
                    .strip_prefix(b"\"")
                    .and_then(|kind| kind.strip_suffix(b"\""))
                    .unwrap_or_default(),
                Err(class) => return class,
            },
        };
        match kind {
            b"error" => EventClass::Error,
            b"response.created" | b"response.in_progress" | b"response.queued" => EventClass::Forward,
            b"response.completed" | b"response.incomplete" => self.response_end(data, EventClass::Forward),
            b"response.failed" => self.response_end(data, EventClass::Error),
            _ => {
                let mut output = Output::default();
                output.any = true;
                CHAT.each_in(data, |index, at| {
                    if index == OUTPUT {
                        output.measure(data, at);
                    }
                });
                self.count(output);
                EventClass::Forward
            }
        }
    }

    fn response_end(&mut self, data: &[u8], class: EventClass) -> EventClass {
        match members(data, &["response"]) {
            Ok([response]) => {
                self.finished = true;
                if let Ok([usage, tier]) = members(response, &["usage", "service_tier"]) {
                    self.merge_usage(usage, tier);
                }
                class
            }
            Err(class) => class,
        }
    }

    fn merge_usage(&mut self, value: &[u8], tier: &[u8]) {
        if let Some(usage) = read_usage(value) {
            let usage = Usage { tier: tier_of(tier), ..usage };
            self.usage.get_or_insert_default().merge_max(usage);
        }
    }

    fn count(&mut self, output: Output) {
        self.output_bytes += output.text_bytes;
        self.saw_output |= output.any;
    }
}

/// Whether a value is an error: OpenAI's clients take anything true for one.
fn is_error(value: &[u8]) -> bool {
    matches!(json::kind_of(value), Kind::Object | Kind::String)
}

fn is_empty_array(value: &[u8]) -> bool {
    json::kind_of(value) == Kind::Array && json::elements(value).next().is_none()
}

/// The values of the wanted members, empty where there is none. What is nested too deep to be looked at is passed on.
fn members<'a, const N: usize>(data: &'a [u8], wanted: &[&str; N]) -> Result<[&'a [u8]; N], EventClass> {
    match json::scan_object_lenient(data, wanted) {
        Ok(members) => Ok(members.values.map(|span| span.map_or(&[][..], |span| span.of(data)))),
        Err(error) if error.kind == JsonErrorKind::TooDeep => Err(EventClass::Forward),
        Err(_) => Err(EventClass::Malformed),
    }
}

/// The value of one member of an object that was scanned as part of a larger one; empty where it has none.
fn member<'a>(object: &'a [u8], name: &str) -> &'a [u8] {
    members(object, &[name]).map_or(&[][..], |[value]| value)
}
