//! A stream on its way from one dialect into another: frames in, frames out.

use sluice_dialects::event_stream;
use sluice_dialects::exchange::{ApiError, Event};
use sluice_dialects::sse::{self, Data, EventBoundary};
use sluice_dialects::wire::{Decode, Encode, Frame, Malformed, Wire};
use sluice_types::Usage;

use crate::hold::Media;
use crate::hold_translated::speaks;
use crate::outbound::{ChangedTools, Translated, Translation};

/// How the provider's stream is cut into frames.
enum Framing {
    Events(EventBoundary),
    Messages,
    /// So many bytes at the front are known to hold no line end, so that a long line is not searched again with every read.
    Lines(usize),
}

/// What is written for the client.
enum Writer {
    /// The events in its dialect.
    Events(Box<dyn Encode>),
    /// The data of each frame as it is, as elements of an array.
    Array { open: bool },
}

/// One stream.
pub(crate) struct TranslatedStream {
    framing: Framing,
    decoder: Box<dyn Decode>,
    writer: Writer,
    to: Wire,
    tools: ChangedTools,
    /// Gemini's client wants a JSON array, not events.
    json_array: bool,
    /// Bytes of the provider that are no whole frame yet.
    rest: Vec<u8>,
    /// What is written and not sent yet.
    out: Vec<u8>,
    state: State,
}

/// What is known of the stream so far.
#[derive(Default)]
struct State {
    usage: Option<Usage>,
    output_bytes: u64,
    spoke: bool,
    ended: bool,
    error: Option<ApiError>,
}

impl TranslatedStream {
    pub(crate) fn new(translation: &Translation) -> Self {
        let wire = match translation.kind {
            Translated::Chat(wire) => wire,
            _ => Wire::Gemini,
        };
        let framing = match wire {
            Wire::Bedrock => Framing::Messages,
            Wire::Ollama => Framing::Lines(0),
            _ => Framing::Events(EventBoundary::new()),
        };
        let writer = match translation.kind {
            Translated::GeminiArray => Writer::Array { open: false },
            _ => Writer::Events(translation.to.encoder(translation.context.clone())),
        };
        Self {
            framing,
            decoder: wire.decoder(),
            writer,
            to: translation.to,
            tools: translation.tools.clone(),
            json_array: translation.context.json_array,
            rest: Vec::new(),
            out: Vec::new(),
            state: State::default(),
        }
    }

    /// The media type of what is written.
    pub(crate) fn media(&self) -> Media {
        match (&self.writer, self.to) {
            (Writer::Array { .. }, _) => Media::Json,
            (_, Wire::Gemini) if self.json_array => Media::Json,
            (_, Wire::Bedrock) => Media::AmazonEvents,
            _ => Media::Events,
        }
    }

    /// Reads the whole frames at the front of `bytes` and takes them out.
    pub(crate) fn feed(&mut self, bytes: &mut Vec<u8>) -> Result<(), Malformed> {
        let whole = match &mut self.framing {
            Framing::Events(boundary) => {
                let whole = boundary.whole_events(bytes);
                boundary.consumed(whole);
                whole
            }
            Framing::Messages => event_stream::whole_messages(bytes)?,
            Framing::Lines(searched) => {
                let from = (*searched).min(bytes.len());
                let end = bytes[from..].iter().rposition(|byte| *byte == b'\n');
                let whole = end.map_or(0, |at| from + at + 1);
                *searched = bytes.len() - whole;
                whole
            }
        };
        let read = self.frames(&bytes[..whole]);
        bytes.drain(..whole);
        read
    }

    fn frames(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        match self.framing {
            Framing::Events(_) => {
                let mut joined = Vec::new();
                sse::events(bytes).try_for_each(|event| match event.data() {
                    Data::None => Ok(()),
                    Data::Line(data) => self.frame(Frame { name: event.name, data }),
                    Data::Lines => {
                        event.join_data(&mut joined);
                        self.frame(Frame { name: event.name, data: &joined })
                    }
                })
            }
            Framing::Messages => {
                event_stream::messages(bytes).try_for_each(|message| self.frame(message.frame()))
            }
            Framing::Lines(_) => bytes
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.trim_ascii().is_empty())
                .try_for_each(|data| self.frame(Frame { name: None, data })),
        }
    }

    fn frame(&mut self, frame: Frame<'_>) -> Result<(), Malformed> {
        if self.state.ended || self.state.error.is_some() {
            return Ok(());
        }
        let (writer, state, out) = (&mut self.writer, &mut self.state, &mut self.out);
        let ChangedTools { names, custom } = &mut self.tools;
        self.decoder.frame(frame, &mut |mut event| {
            names.restore_event(&mut event);
            custom.restore_event(event, &mut |event| pass(&event, writer, state, out));
        })?;
        // An error has been written as the last element already.
        if let Writer::Array { open } = writer
            && state.error.is_none()
        {
            out.extend_from_slice(if *open { b",\r\n" } else { b"[" });
            out.extend_from_slice(frame.data);
            *open = true;
        }
        Ok(())
    }

    /// The provider's stream has ended. What is left of it is read as a last frame, where it is one.
    pub(crate) fn end(&mut self) {
        let mut rest = std::mem::take(&mut self.rest);
        if let Framing::Events(_) | Framing::Lines(_) = self.framing {
            rest.extend_from_slice(b"\n\n");
            // What cannot be read was cut off, and the missing end says so.
            let _ = self.feed(&mut rest);
        }
        let (writer, state, out) = (&mut self.writer, &mut self.state, &mut self.out);
        if !state.ended && state.error.is_none() {
            let custom = &mut self.tools.custom;
            self.decoder.end(&mut |event| {
                custom.restore_event(event, &mut |event| pass(&event, writer, state, out));
            });
        }
    }

    /// Keeps what is no whole frame yet.
    pub(crate) fn keep(&mut self, rest: Vec<u8>) {
        self.rest = rest;
    }

    /// More of the provider's bytes.
    pub(crate) fn more(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(bytes);
        let read = self.feed(&mut rest);
        self.rest = rest;
        read
    }

    /// Bytes that are no whole frame yet.
    pub(crate) fn unread(&self) -> usize {
        self.rest.len()
    }

    /// The error the stream began with, before it said anything.
    pub(crate) fn take_first_error(&mut self) -> Option<ApiError> {
        if self.state.spoke { None } else { self.state.error.take() }
    }

    /// Whether it has said something.
    pub(crate) fn has_spoken(&self) -> bool {
        self.state.spoke
    }

    /// Whether it has come to its end as it should.
    pub(crate) fn ended(&self) -> bool {
        self.state.ended
    }

    /// Whether it ended with an error of the provider, which has been written.
    pub(crate) fn failed(&self) -> bool {
        self.state.error.is_some()
    }

    /// Usage as far as it was reported.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.state.usage
    }

    /// Bytes of generated text.
    pub(crate) fn output_bytes(&self) -> u64 {
        self.state.output_bytes
    }

    /// Writes an error of the gateway's own as the last event.
    pub(crate) fn break_off(&mut self, error: ApiError) {
        let (writer, state, out) = (&mut self.writer, &mut self.state, &mut self.out);
        pass(&Event::Error(error), writer, state, out);
    }

    /// What is written and not sent yet.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }
}

fn pass(event: &Event<'_>, writer: &mut Writer, state: &mut State, out: &mut Vec<u8>) {
    match event {
        Event::Error(error) if !state.spoke => {
            // Nothing has been sent yet, so this can still be an HTTP error.
            state.error = Some(error.clone());
            return;
        }
        Event::Error(error) => state.error = Some(error.clone()),
        Event::Usage(usage) => state.usage.get_or_insert_default().merge_max(*usage),
        Event::End => state.ended = true,
        Event::Text { text, .. } | Event::Thinking { text, .. } | Event::Refusal { text, .. } => {
            state.output_bytes += text.as_escaped().len() as u64;
        }
        Event::ToolArguments { fragment, .. } => state.output_bytes += fragment.as_escaped().len() as u64,
        _ => {}
    }
    state.spoke |= speaks(event);
    match writer {
        Writer::Events(encoder) => encoder.event(event, out),
        Writer::Array { open } => match event {
            Event::End => out.extend_from_slice(if *open { b"]" } else { b"[]" }),
            Event::Error(error) => {
                out.extend_from_slice(if *open { b",\r\n" } else { b"[" });
                Wire::Gemini.write_error(error, out);
                out.push(b']');
            }
            _ => {}
        },
    }
}
