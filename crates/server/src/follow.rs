//! Following a stream that passes untouched: where its events end, and what they say.

use sluice_dialects::event_stream;
use sluice_dialects::openai::Endpoint;
use sluice_dialects::openai::stream::{EventClass, StreamTap};
use sluice_dialects::sse::{self, Data, Event, EventBoundary};
use sluice_dialects::wire::{Frame, Malformed, Tap};
use sluice_dialects::{anthropic, bedrock, cohere, gemini, media_stream};
use sluice_types::{Route, Usage};

/// The tap of the stream's dialect.
pub(crate) enum Follow {
    Openai(StreamTap),
    Anthropic(anthropic::StreamTap),
    Gemini(gemini::StreamTap),
    Bedrock(bedrock::StreamTap),
    Cohere(cohere::StreamTap),
    Media(media_stream::StreamTap),
}

impl Follow {
    /// A tap for the answers of a route.
    pub(crate) fn of(route: Route) -> Self {
        match route {
            Route::Messages => Self::Anthropic(anthropic::StreamTap::default()),
            Route::StreamGenerateContent => Self::Gemini(gemini::StreamTap::default()),
            Route::ConverseStream => Self::Bedrock(bedrock::StreamTap::default()),
            Route::CohereChat => Self::Cohere(cohere::StreamTap::default()),
            Route::Images | Route::ImageEdits | Route::Transcriptions => {
                Self::Media(media_stream::StreamTap::default())
            }
            route => Self::Openai(StreamTap::new(Endpoint::from_route(route).unwrap_or(Endpoint::Chat))),
        }
    }

    /// Looks at a server-sent event.
    pub(crate) fn event(&mut self, event: &Event<'_>) -> EventClass {
        match self {
            Self::Openai(tap) => tap.event(event),
            _ => match event.data() {
                Data::None => EventClass::Forward,
                Data::Line(data) => self.frame(Frame { name: event.name, data }),
                Data::Lines => {
                    let mut data = Vec::new();
                    event.join_data(&mut data);
                    self.frame(Frame { name: event.name, data: &data })
                }
            },
        }
    }

    /// Looks at a frame of any sort.
    fn frame(&mut self, frame: Frame<'_>) -> EventClass {
        match self {
            // Its events come as server-sent ones only.
            Self::Openai(_) => EventClass::Malformed,
            Self::Anthropic(tap) => tap.frame(frame),
            Self::Gemini(tap) => tap.frame(frame),
            Self::Bedrock(tap) => tap.frame(frame),
            Self::Cohere(tap) => tap.frame(frame),
            Self::Media(tap) => tap.frame(frame),
        }
    }

    /// Usage as far as it was reported.
    pub(crate) fn usage(&self) -> Option<Usage> {
        match self {
            Self::Openai(tap) => tap.usage(),
            Self::Anthropic(tap) => tap.usage(),
            Self::Gemini(tap) => tap.usage(),
            Self::Bedrock(tap) => tap.usage(),
            Self::Cohere(tap) => tap.usage(),
            Self::Media(tap) => tap.usage(),
        }
    }

    /// Whether the generation has come to its end.
    pub(crate) fn finished(&self) -> bool {
        match self {
            Self::Openai(tap) => tap.finished(),
            Self::Anthropic(tap) => tap.finished(),
            Self::Gemini(tap) => tap.finished(),
            Self::Bedrock(tap) => tap.finished(),
            Self::Cohere(tap) => tap.finished(),
            Self::Media(tap) => tap.finished(),
        }
    }

    /// Bytes of generated text.
    pub(crate) fn output_bytes(&self) -> u64 {
        match self {
            Self::Openai(tap) => tap.output_bytes(),
            Self::Anthropic(tap) => tap.output_bytes(),
            Self::Gemini(tap) => tap.output_bytes(),
            Self::Bedrock(tap) => tap.output_bytes(),
            Self::Cohere(tap) => tap.output_bytes(),
            Self::Media(tap) => tap.output_bytes(),
        }
    }

    /// The number an event of our own has in a Responses stream.
    pub(crate) fn next_sequence_number(&self) -> u64 {
        match self {
            Self::Openai(tap) => tap.next_sequence_number(),
            _ => 0,
        }
    }

    /// Whether the events of its dialect are binary messages.
    pub(crate) fn is_binary(&self) -> bool {
        matches!(self, Self::Bedrock(_))
    }

    /// What the first event that says something is, if it is there whole; `seen` bytes are known to say nothing.
    pub(crate) fn first(&mut self, bytes: &[u8], seen: usize) -> Option<EventClass> {
        if self.is_binary() {
            // The first message of a stream that has come whole; what is not whole is none.
            let whole = event_stream::whole_messages(bytes).unwrap_or_default();
            return event_stream::messages(&bytes[..whole]).next().map(|message| self.frame(message.frame()));
        }
        let event = sse::events(&bytes[seen..]).find(|event| event.data() != Data::None)?;
        Some(self.event(&event))
    }

    /// Looks at all events in `bytes` until `stop` says so of one; returns where that one is.
    pub(crate) fn each(
        &mut self,
        bytes: &[u8],
        mut stop: impl FnMut(EventClass) -> bool,
    ) -> Option<std::ops::Range<usize>> {
        if self.is_binary() {
            let mut messages = event_stream::messages(bytes);
            return messages.find(|message| stop(self.frame(message.frame()))).map(|message| message.range);
        }
        sse::events(bytes).find(|event| stop(self.event(event))).map(|event| event.start..event.end)
    }
}

/// Where whole events end.
pub(crate) enum Boundary {
    /// Of server-sent events.
    Events(EventBoundary),
    /// Of binary messages.
    Messages,
}

impl Boundary {
    pub(crate) fn of(follow: &Follow) -> Self {
        if follow.is_binary() { Self::Messages } else { Self::Events(EventBoundary::new()) }
    }

    /// Bytes of the whole events at the front of `bytes`.
    pub(crate) fn whole(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        match self {
            Self::Events(boundary) => Ok(boundary.whole_events(bytes)),
            Self::Messages => event_stream::whole_messages(bytes),
        }
    }

    /// So many bytes at the front are gone.
    pub(crate) fn consumed(&mut self, count: usize) {
        if let Self::Events(boundary) = self {
            boundary.consumed(count);
        }
    }
}
