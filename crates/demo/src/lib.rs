//! The demo provider: an upstream that speaks OpenAI's API, made for first steps without an account, for tests, and as
//! the other end of a benchmark.
//!
//! ```no_run
//! let provider = sluice_demo::start(sluice_demo::DemoOptions::default())?;
//! println!("http://{}/v1/chat/completions", provider.address());
//! provider.stop();
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! What it does not do: it holds no state between requests, reads no clock to make an answer (the same request has the
//! same answer, ids included), and knows no model: any name is served, and the answer names it.
//!
//! It shares the processor with what is measured against it, so an answer is rendered once per distinct request, kept,
//! and then leaves in one write.

mod api;
mod certificate;
mod connection;
mod example;
mod options;
mod prng;
mod provider;
mod reply;
mod service;
mod text;

pub use options::{DemoOptions, DemoTls};
pub use provider::{DemoCounts, DemoProvider, start};
