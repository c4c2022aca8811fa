//! An error that came as the first event of a stream, as the HTTP error it should have been.

use sluice_dialects::errors::http_error_of_event;
use sluice_dialects::event_stream;
use sluice_dialects::exchange::{ApiError, Event};
use sluice_dialects::openai::Endpoint;
use sluice_dialects::sse::{self, Data};
use sluice_dialects::wire::{Frame, Wire};
use sluice_pipeline::wire_of;
use sluice_types::Route;

/// The HTTP error.
pub(crate) struct StreamError {
    pub(crate) status: u16,
    pub(crate) document: Vec<u8>,
    /// For Bedrock's clients; else empty.
    pub(crate) error_type: &'static str,
}

/// Reads the error that the stream begins with; `None` where it is none of this dialect.
pub(crate) fn stream_error(route: Route, body: &[u8]) -> Option<StreamError> {
    let wire = wire_of(route);
    if wire == Wire::Bedrock {
        let message = event_stream::messages(body).next()?;
        return error_of(wire, message.frame());
    }
    let event = sse::events(body).find(|event| event.data() != Data::None)?;
    let mut data = Vec::new();
    event.join_data(&mut data);
    if let Some(endpoint) = Endpoint::from_route(route) {
        let (status, document) = http_error_of_event(endpoint, &data);
        let is_document = document.trim_ascii_start().starts_with(b"{");
        return is_document.then_some(StreamError { status, document, error_type: "" });
    }
    error_of(wire, Frame { name: event.name, data: &data })
}

fn error_of(wire: Wire, frame: Frame<'_>) -> Option<StreamError> {
    let mut found = None;
    let read = wire.decoder().frame(frame, &mut |event| {
        if let Event::Error(error) = event {
            found = Some(error);
        }
    });
    read.ok()?;
    found.map(|error| written(wire, &error))
}

/// An error in the words of a dialect.
pub(crate) fn written(wire: Wire, error: &ApiError) -> StreamError {
    let mut document = Vec::new();
    wire.write_error(error, &mut document);
    StreamError { status: client_status(wire, error.status), document, error_type: error_type(wire, error) }
}

/// Anthropic's 529 is nobody else's.
fn client_status(wire: Wire, status: u16) -> u16 {
    if status == 529 && wire != Wire::Anthropic { 503 } else { status }
}

/// The name of the error that Bedrock's clients find in a header.
fn error_type(wire: Wire, error: &ApiError) -> &'static str {
    if wire == Wire::Bedrock { sluice_dialects::bedrock::error_type(error) } else { "" }
}
