//! The local journal of usage records: what a killed process leaves to the next.
//!
//! A thread takes records out of the workers' rings twenty times a second and appends them to a file as checksummed frames,
//! one write each; another syncs the file four times a second. Whoever keeps records for good takes them from here in
//! order, and acknowledges what it has kept. A file is deleted when all of its frames are acknowledged; what is found at
//! the next start is given out again. Delivery is therefore at least once, under (boot id, sequence), which the store
//! turns into exactly once.
//!
//! Files, memory and time are bounded; what a bound costs is counted. Nothing here is called per request.

mod disk;
mod frame;
mod leftovers;
mod queue;
mod writer;

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use sluice_types::{JournalOptions, JournalStats, JournalSync};

pub use leftovers::Damage;
pub use queue::Batch;
pub use writer::Source;

use disk::{Disk, FileSystem, private};
use leftovers::Leftovers;
use queue::Queue;
use writer::{PART_BYTES, Shared, Writer, part_path, sync_at_intervals};

/// Fewest files that the bound of a journal is divided into.
const LEAST_PARTS: u64 = 8;

/// Why a journal could not be opened.
#[derive(Debug)]
pub struct OpenError {
    /// Stable code: `journal_locked`, or `journal_unwritable`.
    pub code: &'static str,
    /// What happened, where, and what can be done.
    pub message: String,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for OpenError {}

/// A journal. It is its directory's only one until it is closed or dropped.
pub struct Journal {
    options: JournalOptions,
    directory: PathBuf,
    shared: Arc<Shared>,
    leftovers: Mutex<Leftovers>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Holds the lock as long as it is open.
    lock_file: Mutex<Option<File>>,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Journal {
    /// Makes the directory if need be, locks it and looks what earlier runs have left.
    ///
    /// # Errors
    /// When another process holds the directory, or it cannot be written.
    pub fn open(options: JournalOptions) -> Result<Self, OpenError> {
        let directory = PathBuf::from(&options.directory);
        let unwritable = |error: io::Error| OpenError {
            code: "journal_unwritable",
            message: format!(
                "cannot keep usage records in {}: {error}; choose a data_dir that can be written",
                directory.display()
            ),
        };
        if !frame::is_boot_id(&options.boot_id) {
            return Err(unwritable(io::Error::other(format!("{:?} is no boot id", options.boot_id))));
        }
        make_directory(&directory).map_err(unwritable)?;
        let lock_file = private().write(true).create(true).truncate(false).open(directory.join("lock"));
        let lock_file = lock_file.map_err(unwritable)?;
        match lock_file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(&directory)),
            Err(TryLockError::Error(error)) => return Err(unwritable(error)),
        }
        let leftovers = Leftovers::list(&directory).map_err(unwritable)?;
        // A disk that takes nothing is found out here, not by the first record.
        fs::write(directory.join("lock"), format!("{}\n", std::process::id())).map_err(unwritable)?;
        let (parts_in, boot_id) = (directory.clone(), options.boot_id.clone());
        let path_of = Box::new(move |number| part_path(&parts_in, &boot_id, number));
        let queue = Queue::new(path_of, options.max_bytes, options.max_memory_bytes);
        Ok(Self {
            shared: Arc::new(Shared::new(queue)),
            directory,
            options,
            leftovers: Mutex::new(leftovers),
            threads: Mutex::default(),
            lock_file: Mutex::new(Some(lock_file)),
        })
    }

    /// Starts to take records from a source. Once is enough.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(&self, source: Source) -> io::Result<()> {
        self.start_on(source, Box::new(FileSystem))
    }

    fn start_on(&self, source: Source, disk: Box<dyn Disk>) -> io::Result<()> {
        let writer = self.writer(source, disk);
        let mut threads = lock(&self.threads);
        threads.push(Builder::new().name("sluice-journal".into()).spawn(move || writer.run())?);
        if self.options.sync == JournalSync::Interval {
            let (shared, directory) = (Arc::clone(&self.shared), self.directory.clone());
            let body = move || sync_at_intervals(&shared, &directory);
            threads.push(Builder::new().name("sluice-sync".into()).spawn(body)?);
        }
        Ok(())
    }

    fn writer(&self, source: Source, disk: Box<dyn Disk>) -> Writer {
        let JournalOptions { boot_id, sync, max_bytes, .. } = &self.options;
        let part_bytes = PART_BYTES.min(max_bytes / LEAST_PARTS);
        let (shared, directory) = (Arc::clone(&self.shared), self.directory.clone());
        Writer::new(shared, source, disk, directory, boot_id.clone(), *sync, part_bytes)
    }

    /// The next records of this run in order, up to `max` unless a single frame has more. They are not given again.
    #[must_use]
    pub fn next(&self, max: u32) -> Option<Batch> {
        lock(&self.shared.queue).next(max)
    }

    /// Says that the frames up to a sequence are kept elsewhere.
    pub fn acknowledge(&self, sequence: u64) {
        lock(&self.shared.queue).acknowledge(sequence);
    }

    /// Boot ids of the earlier runs that left records, the oldest first.
    #[must_use]
    pub fn left_behind(&self) -> Vec<String> {
        lock(&self.leftovers).boot_ids()
    }

    /// The records of an earlier run after a sequence, up to `max` unless a single frame has more; absent where there are
    /// no more.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn recover(&self, boot_id: &str, after: u64, max: u32) -> io::Result<Option<Batch>> {
        lock(&self.leftovers).next(boot_id, after, max)
    }

    /// Deletes what an earlier run left, and tells what was wrong with it. Damaged files are kept under another name.
    ///
    /// # Errors
    /// When a file cannot be deleted.
    pub fn forget(&self, boot_id: &str) -> io::Result<Damage> {
        lock(&self.leftovers).forget(boot_id)
    }

    /// What it holds and has done.
    #[must_use]
    pub fn stats(&self) -> JournalStats {
        let mut stats = JournalStats {
            failures: self.shared.failures.load(Relaxed),
            syncs: self.shared.syncs.load(Relaxed),
            sync_us: self.shared.sync_us.load(Relaxed),
            last_failure: lock(&self.shared.last_failure).clone(),
            ..JournalStats::default()
        };
        lock(&self.shared.queue).read(&mut stats);
        stats
    }

    /// Takes what its source still has, writes and syncs it, and ends the threads. Records can be taken and acknowledged
    /// all the same.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Relaxed);
        for thread in lock(&self.threads).drain(..) {
            thread.thread().unpark();
            // A thread that panicked has written what it could.
            let _ = thread.join();
        }
        self.shared.sync(&self.directory);
    }

    /// Stops, deletes the files where everything in them was acknowledged, and gives the directory free.
    pub fn close(&self) {
        self.stop();
        let queue = lock(&self.shared.queue);
        if queue.is_done() {
            for number in queue.part_numbers() {
                // What stays is found at the next start to be in the store.
                let _ = fs::remove_file(part_path(&self.directory, &self.options.boot_id, number));
            }
        }
        *lock(&self.lock_file) = None;
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.stop();
    }
}

fn make_directory(directory: &std::path::Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

fn locked(directory: &std::path::Path) -> OpenError {
    let holder = fs::read_to_string(directory.join("lock")).unwrap_or_default();
    let holder: String = holder.trim().chars().filter(char::is_ascii_digit).take(10).collect();
    let by = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
    OpenError {
        code: "journal_locked",
        message: format!(
            "another gateway{by} is using {}: give each gateway a data_dir of its own, or stop that one first",
            directory.display()
        ),
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What the mutexes here hold is whole at every point where a panic is possible.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
