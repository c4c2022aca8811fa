//! The journal of usage records: how it is opened, and what it counts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When what was written reaches the disk. A killed process loses nothing that was written in any case; a machine that
/// loses power does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JournalSync {
    /// After every write.
    Always,
    /// Four times a second, where something was written.
    #[default]
    Interval,
    /// When the system sees fit.
    Never,
}

/// How a journal is opened.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JournalOptions {
    /// Its directory, made if absent.
    pub directory: String,
    /// Unique per run of the gateway: 1 to 40 letters, digits and hyphens.
    pub boot_id: String,
    /// When what was written reaches the disk.
    #[serde(default)]
    pub sync: JournalSync,
    /// Bytes its files may take up; beyond that the oldest records are lost.
    pub max_bytes: u64,
    /// Bytes of records held in memory: those that could not be written, and those that wait to be taken.
    pub max_memory_bytes: u64,
}

/// What a journal holds and has done. Counters rise from the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct JournalStats {
    /// Bytes of this run's files.
    pub bytes: u64,
    /// Bytes of records held in memory.
    pub memory_bytes: u64,
    /// Frames that have not been acknowledged.
    pub unacknowledged_frames: u64,
    /// True while its files are near their bound, or records cannot be written and memory is near its own.
    pub crowded: bool,
    /// Records appended.
    pub records: u64,
    /// Records lost because neither the files nor memory had room for them.
    pub lost_records: u64,
    /// Failed attempts to write or sync.
    pub failures: u64,
    /// Syncs done.
    pub syncs: u64,
    /// Time these took, microseconds.
    pub sync_us: u64,
    /// The last failure in words; empty without one.
    pub last_failure: String,
}
