//! The journal of usage records, as JavaScript sees it.

use std::sync::Arc;

use napi::bindgen_prelude::Buffer;
use napi::{Env, Result};
use napi_derive::napi;
use sluice_journal::{Batch, Journal as Inner};
use sluice_types::JournalOptions;

use crate::{DataPlane, from_json, refused};

/// Records that were taken together.
#[napi(object)]
pub struct JournalBatch {
    /// Sequence of the last frame among them.
    pub sequence: i64,
    pub count: u32,
    /// Bytes of each.
    pub record_bytes: u32,
    pub records: Buffer,
}

impl From<Batch> for JournalBatch {
    fn from(Batch { sequence, count, record_bytes, records }: Batch) -> Self {
        Self {
            sequence: i64::try_from(sequence).unwrap_or(i64::MAX),
            count,
            record_bytes: u32::try_from(record_bytes).unwrap_or(u32::MAX),
            records: records.into(),
        }
    }
}

/// What was found wrong in the files of an earlier run.
#[napi(object)]
pub struct JournalDamage {
    pub cut_bytes: i64,
    pub damaged_bytes: i64,
    pub kept: Vec<String>,
}

/// An open journal.
#[napi]
pub struct Journal {
    inner: Arc<Inner>,
}

#[napi]
impl Journal {
    /// Opens and locks; `options` is JSON.
    #[napi(factory)]
    pub fn open(env: Env, options: String) -> Result<Self> {
        let options: JournalOptions = from_json("options", &options)?;
        let inner = Inner::open(options).map_err(|error| refused("data_dir", error.code, &error.message))?;
        let inner = Arc::new(inner);
        // Threads must not outlive the environment whose addon holds their code.
        let hooked = Arc::downgrade(&inner);
        env.add_env_cleanup_hook(hooked, |hooked| {
            if let Some(journal) = hooked.upgrade() {
                journal.stop();
            }
        })?;
        Ok(Self { inner })
    }

    /// Starts to take the records of a data plane.
    #[napi]
    pub fn start(&self, plane: &DataPlane) -> Result<()> {
        let plane = Arc::downgrade(&plane.plane);
        let source = Box::new(move |out: &mut Vec<u8>, max| {
            if let Some(plane) = plane.upgrade() {
                plane.drain_records(out, max);
            }
        });
        self.inner.start(source).map_err(|error| refused("options", "no_thread", &error.to_string()))
    }

    /// The next records of this run; they are not given again.
    #[napi]
    pub fn next(&self, max: u32) -> Option<JournalBatch> {
        self.inner.next(max).map(Into::into)
    }

    /// Says that the frames up to a sequence are kept elsewhere.
    #[napi]
    pub fn acknowledge(&self, sequence: i64) {
        self.inner.acknowledge(from_js(sequence));
    }

    /// Boot ids of the earlier runs that left records.
    #[napi]
    pub fn left_behind(&self) -> Vec<String> {
        self.inner.left_behind()
    }

    /// Records of an earlier run after a sequence.
    #[napi]
    pub fn recover(&self, boot_id: String, after: i64, max: u32) -> Result<Option<JournalBatch>> {
        let found = self.inner.recover(&boot_id, from_js(after), max);
        found.map(|batch| batch.map(Into::into)).map_err(|error| unreadable(&error))
    }

    /// Deletes what an earlier run left.
    #[napi]
    pub fn forget(&self, boot_id: String) -> Result<JournalDamage> {
        let damage = self.inner.forget(&boot_id).map_err(|error| unreadable(&error))?;
        let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        Ok(JournalDamage {
            cut_bytes: number(damage.cut_bytes),
            damaged_bytes: number(damage.damaged_bytes),
            kept: damage.kept,
        })
    }

    /// What it holds and has done, as JSON.
    #[napi]
    pub fn stats(&self) -> Result<String> {
        serde_json::to_string(&self.inner.stats())
            .map_err(|error| refused("", "internal", &error.to_string()))
    }

    /// Takes what its source still has, and ends its threads.
    #[napi]
    pub fn stop(&self) {
        self.inner.stop();
    }

    /// Stops, and gives its directory free.
    #[napi]
    pub fn close(&self) {
        self.inner.close();
    }
}

fn from_js(sequence: i64) -> u64 {
    u64::try_from(sequence).unwrap_or(0)
}

fn unreadable(error: &std::io::Error) -> napi::Error {
    refused("data_dir", "journal_unreadable", &format!("the journal of an earlier run: {error}"))
}
