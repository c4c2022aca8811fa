//! HTTP/1.1 load with the timing that matters for LLM traffic, against one URL.
//!
//! Three modes: *closed* loop (each connection sends its next request when the last is answered), *open* loop (requests
//! fall due on a fixed schedule and are timed from when they were due, so a server that stalls cannot hide it by
//! slowing the generator down) and *paired* (one connection each to two URLs in alternating slices, for the latency
//! that the second adds).
//!
//! Every answer is checked: status, complete framing, and the `[DONE]` of a stream. What fails is counted by kind and
//! never timed as a success. Memory is bounded: answers are read and dropped, times go into histograms.
//!
//! What it does not have: TLS, HTTP/2, redirects, and the gateway's own HTTP parser, whose defects it must be able to
//! see.

mod body;
mod connection;
mod exchange;
mod failure;
mod histogram;
mod options;
mod paired;
mod plan;
mod report;
mod response;
mod sse;
mod wait;
mod worker;

pub use body::chat_body;
pub use histogram::Histogram;
pub use options::{Body, LoadOptions, Mode};
pub use report::{LoadReport, PairedReport, Summary};

use plan::Plan;

/// Runs a load and returns when it is done; blocks the calling thread for the duration asked for and a little more.
///
/// # Errors
/// In words: options that cannot be used, an address that cannot be resolved, or no connection at all. A server that
/// answers wrongly is not an error but a count in the report.
pub fn run(options: &LoadOptions) -> Result<LoadReport, String> {
    options.check()?;
    match &options.mode {
        Mode::Paired { direct_url, direct_headers, slice_ms } => {
            let gateway = Plan::new(options, &options.url, &options.headers)?;
            let direct = Plan::new(options, direct_url, direct_headers)?;
            paired::run(options, &direct, &gateway, *slice_ms)
        }
        Mode::Closed { .. } | Mode::Open { .. } => {
            let plan = Plan::new(options, &options.url, &options.headers)?;
            worker::run(options, &plan)
        }
    }
}
