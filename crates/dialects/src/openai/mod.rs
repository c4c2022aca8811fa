//! OpenAI's dialect: chat completions, completions, embeddings and responses.
//!
//! Source of the shapes: OpenAI's specification 2.3.0, the types of its official clients and recorded traffic.

pub mod body;
pub(crate) mod output;
mod request;
mod splice;
pub mod stream;
mod usage;
mod whole;

pub use request::{MAX_MODEL_BYTES, RequestError, RequestView, inspect, inspect_call};
pub(crate) use request::{count, flag, required, scan};
pub use splice::{MAX_PIECES, Pieces};
pub(crate) use usage::read_usage;
pub use whole::{answer_tier, usage_at_end};

use sluice_types::Route;

/// An endpoint that takes a body and generates something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`
    Chat,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/embeddings`
    Embeddings,
    /// `POST /v1/responses`
    Responses,
}

impl Endpoint {
    /// The endpoint of a route; `None` for those of other dialects and without a body.
    #[must_use]
    pub fn from_route(route: Route) -> Option<Self> {
        match route {
            Route::Chat => Some(Self::Chat),
            Route::Completions => Some(Self::Completions),
            Route::Embeddings => Some(Self::Embeddings),
            Route::Responses => Some(Self::Responses),
            _ => None,
        }
    }

    /// Whether usage in a stream must be asked for with `stream_options.include_usage`. A Responses stream always ends
    /// with it, and embeddings do not stream.
    #[must_use]
    pub fn usage_is_optional(self) -> bool {
        matches!(self, Self::Chat | Self::Completions)
    }
}
