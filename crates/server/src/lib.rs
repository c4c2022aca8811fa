//! The data plane: listeners, lanes, upstream pools, relay, drain, metrics and rings.
//!
//! [`DataPlane`] owns its threads: one acceptor and a worker per core, each an event loop of its own. A request lives on
//! one worker from its first byte to its last; [`fast_lane`] shows its life. The rest of the process reaches in through
//! the methods here and never while a request waits.

mod acceptor;
mod admission;
mod answer;
mod buffers;
mod call_view;
mod client;
mod content_coding;
mod count_tokens;
mod data_plane;
mod dispatch;
mod exchange;
mod fast_lane;
#[cfg(feature = "fault-injection")]
mod fault;
mod follow;
mod form;
mod full_lane;
mod gate;
mod h1_answer;
mod h2_answer;
mod hold;
mod hold_translated;
mod hyper_io;
mod inflow;
mod kept_headers;
mod key_info;
mod limit_headers;
mod meter_refusal;
mod metrics;
mod models_api;
mod models_list;
mod models_page;
mod open_call;
mod outbound;
mod pool;
mod refusal;
mod relay;
mod relay_translated;
mod request_body;
mod retry_after;
mod rotation;
mod scratch;
mod settle;
mod shared;
mod stored;
mod stream;
mod stream_error;
mod timers;
mod tls;
mod translate;
mod translate_other;
mod translated_stream;
mod verdict;
mod worker;

pub use data_plane::{DataPlane, StartError};
pub use sluice_pipeline::window_start;
