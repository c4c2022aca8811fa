//! A gateway before scripted upstreams, for tests: what is sent is bytes, what comes back is bytes.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "each test file uses its own part, and only tests do"
)]

mod answer;
pub mod dialects;
mod gateway;
pub mod h2_client;
pub mod h2_frames;
pub mod meters;
mod process;
mod record;
mod upstream;
mod wire;

pub use answer::{Answer, is_closed, read_answer, read_to_end};
pub use gateway::{Gateway, KEY, PROVIDER_KEY, digest, parse, snapshot, with};
pub use process::{GatewayProcess, served_as_child};
pub use record::Record;
pub use upstream::{Keep, Upstream, read_message, refusing_address, reset, wait_for_end};
pub use wire::{
    CHAT, COMPLETION, DONE, FINISH, ROLE, STREAM, STREAM_HEAD, USAGE, chat_request, chunk, get, json_answer,
    post, post_with, stream_of, token,
};

use std::thread;
use std::time::{Duration, Instant};

/// Waits until something is so, for at most five seconds.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !is_so() {
        assert!(Instant::now() < deadline, "not within five seconds: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// How many connections of `wanted` can be open with both of their ends in this process.
pub fn connections_at_once(wanted: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let descriptors: usize = line.split_whitespace().nth(3).unwrap().parse().unwrap_or(usize::MAX);
    wanted.min(descriptors.saturating_sub(200) / 2)
}

/// Runs every case of a table on a thread of its own, so that cases which wait do not add up.
pub fn for_each<T: Send>(cases: impl IntoIterator<Item = T>, check: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        let running: Vec<_> = cases.into_iter().map(|case| scope.spawn(|| check(case))).collect();
        for case in running {
            if let Err(panic) = case.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}
