use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most connections of one run, a little above what one address pair's ports allow in practice.
const MAX_CONNECTIONS: u32 = 60_000;
/// Most generator threads.
const MAX_THREADS: u32 = 64;
/// Longest request body.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;
/// Highest rate of an open loop, per second.
const MAX_RATE: f64 = 1_000_000.0;

/// One load run.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LoadOptions {
    /// `http://host:port/path`
    pub url: String,
    /// Request headers besides `host`, `content-type` and `content-length`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Request body.
    #[serde(default)]
    pub body: Body,
    /// Whether the answers are event streams that end with `[DONE]`.
    #[serde(default)]
    pub stream: bool,
    /// How requests are paced.
    pub mode: Mode,
    /// Measured time, milliseconds.
    #[serde(default = "ten_seconds")]
    pub duration_ms: u64,
    /// Time before that, in which requests are sent but not counted, milliseconds.
    #[serde(default)]
    pub warmup_ms: u64,
    /// A request not answered in this time has failed, milliseconds.
    #[serde(default = "half_a_minute")]
    pub timeout_ms: u64,
    /// Generator threads; connections and rate are shared out among them.
    #[serde(default = "one")]
    pub threads: u32,
    /// The status that counts as success.
    #[serde(default = "ok")]
    pub expect_status: u16,
}

/// How requests are paced.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Mode {
    /// Every connection sends its next request when the last is answered.
    Closed {
        /// Connections, all open before the first request.
        connections: u32,
    },
    /// Requests fall due at even intervals, answered or not.
    Open {
        /// Requests per second over all threads.
        requests_per_second: f64,
        /// Connections opened at most; requests due when all are busy wait, and their wait counts.
        max_connections: u32,
    },
    /// One connection to each of two URLs, in turn; `url` is the one whose added latency is asked for.
    Paired {
        /// The URL to compare with.
        direct_url: String,
        /// Headers for that URL.
        #[serde(default)]
        direct_headers: BTreeMap<String, String>,
        /// Length of a turn, milliseconds.
        #[serde(default = "slice")]
        slice_ms: u64,
    },
}

/// The body of every request.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Body {
    /// No body: a `GET`.
    #[default]
    Empty,
    /// A chat request of an exact size; see [`crate::chat_body`].
    Chat {
        /// Size in bytes.
        bytes: usize,
        /// The `model` asked for.
        model: String,
    },
    /// The given text.
    Text {
        /// The body.
        text: String,
    },
}

fn ten_seconds() -> u64 {
    10_000
}

fn half_a_minute() -> u64 {
    30_000
}

fn slice() -> u64 {
    200
}

fn one() -> u32 {
    1
}

fn ok() -> u16 {
    200
}

impl LoadOptions {
    /// What is wrong with the options, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        within("threads", u64::from(self.threads), 1, u64::from(MAX_THREADS))?;
        within("duration_ms", self.duration_ms, 1, u64::from(u32::MAX))?;
        within("warmup_ms", self.warmup_ms, 0, u64::from(u32::MAX))?;
        within("timeout_ms", self.timeout_ms, 1, u64::from(u32::MAX))?;
        if let Body::Chat { bytes, .. } = self.body {
            within("body.bytes", bytes as u64, 0, MAX_BODY_BYTES as u64)?;
        }
        match self.mode {
            Mode::Closed { connections } => self.check_connections(connections),
            Mode::Open { requests_per_second, max_connections } => {
                if !(requests_per_second > 0.0 && requests_per_second <= MAX_RATE) {
                    return Err(format!(
                        "requests_per_second is {requests_per_second}; it must be from 0 to {MAX_RATE}"
                    ));
                }
                self.check_connections(max_connections)
            }
            Mode::Paired { slice_ms, .. } => within("slice_ms", slice_ms, 1, u64::from(u32::MAX)),
        }
    }

    fn check_connections(&self, connections: u32) -> Result<(), String> {
        within("connections", u64::from(connections), u64::from(self.threads), u64::from(MAX_CONNECTIONS))
    }
}

fn within(name: &str, value: u64, least: u64, most: u64) -> Result<(), String> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(format!("{name} is {value}; it must be from {least} to {most}"))
}
