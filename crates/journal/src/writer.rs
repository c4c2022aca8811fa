//! The thread that takes records out of the rings and writes them, and the one that syncs what was written.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sluice_types::{JournalSync, RECORD_BYTES};

use crate::disk::{Disk, Part};
use crate::frame::{FRAME_HEADER_BYTES, FileHeader, MAX_FRAME_RECORDS, seal};
use crate::lock;
use crate::queue::{Queue, Unwritten};

/// Time between two looks at the rings. A ring holds 65,536 records, so that half of one fills in this time only at more
/// than 600,000 requests a second on one core: no worker needs to wake the writer.
pub(crate) const WRITE_INTERVAL: Duration = Duration::from_millis(50);

/// Time between two syncs of what was written, where they are not made after every write.
pub(crate) const SYNC_INTERVAL: Duration = Duration::from_millis(250);

/// A file beyond this is followed by another.
pub(crate) const PART_BYTES: u64 = 16 * 1024 * 1024;

/// Pauses between attempts to write to a disk that refuses.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Gives records: adds up to so many to the buffer, `RECORD_BYTES` each.
pub type Source = Box<dyn FnMut(&mut Vec<u8>, usize) + Send>;

type Sync = Arc<dyn Fn() -> io::Result<()> + Send + std::marker::Sync>;

/// What the threads and the journal's owner share.
pub(crate) struct Shared {
    pub(crate) queue: Mutex<Queue>,
    pub(crate) stopping: AtomicBool,
    pub(crate) failures: AtomicU64,
    pub(crate) last_failure: Mutex<String>,
    pub(crate) syncs: AtomicU64,
    pub(crate) sync_us: AtomicU64,
    /// Files written since the last sync, by part; 0 stands for the directory.
    unsynced: Mutex<Vec<(u32, Sync)>>,
}

impl Shared {
    pub(crate) fn new(queue: Queue) -> Self {
        Self {
            queue: Mutex::new(queue),
            stopping: AtomicBool::new(false),
            failures: AtomicU64::new(0),
            last_failure: Mutex::default(),
            syncs: AtomicU64::new(0),
            sync_us: AtomicU64::new(0),
            unsynced: Mutex::default(),
        }
    }

    pub(crate) fn failed(&self, what: &str, path: &Path, error: &io::Error) {
        self.failures.fetch_add(1, Relaxed);
        *lock(&self.last_failure) = format!("{what} {}: {error}", path.display());
    }

    /// Syncs the files written since the last time.
    pub(crate) fn sync(&self, directory: &Path) {
        let files = std::mem::take(&mut *lock(&self.unsynced));
        for (_, sync) in files {
            let begun = Instant::now();
            if let Err(error) = sync() {
                self.failed("cannot sync", directory, &error);
            }
            self.syncs.fetch_add(1, Relaxed);
            self.sync_us.fetch_add(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX), Relaxed);
        }
    }
}

/// The body of the thread that syncs: a slow disk delays it, and never the thread that writes.
pub(crate) fn sync_at_intervals(shared: &Shared, directory: &Path) {
    while !shared.stopping.load(Relaxed) {
        thread::park_timeout(SYNC_INTERVAL);
        shared.sync(directory);
    }
}

/// The file that is being written.
struct Current {
    file: Box<dyn Part>,
    path: PathBuf,
    bytes: u64,
    /// False once a failed write could not be undone: what follows in it would not be found.
    is_sound: bool,
}

/// Writes what a source gives.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) source: Source,
    pub(crate) disk: Box<dyn Disk>,
    pub(crate) directory: PathBuf,
    pub(crate) boot_id: String,
    pub(crate) sync: JournalSync,
    pub(crate) part_bytes: u64,
    current: Option<Current>,
    sequence: u64,
    part: u32,
    pause: Duration,
    retry_at: Option<Instant>,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        source: Source,
        disk: Box<dyn Disk>,
        directory: PathBuf,
        boot_id: String,
        sync: JournalSync,
        part_bytes: u64,
    ) -> Self {
        Self {
            shared,
            source,
            disk,
            directory,
            boot_id,
            sync,
            part_bytes,
            current: None,
            sequence: 0,
            part: 0,
            pause: FIRST_PAUSE,
            retry_at: None,
        }
    }

    /// The body of the thread. The last round comes after the order to stop, so it takes what was there by then.
    pub(crate) fn run(mut self) {
        loop {
            let is_last = self.shared.stopping.load(Relaxed);
            if is_last {
                self.retry_at = None;
            }
            self.round();
            if is_last {
                return;
            }
            thread::park_timeout(WRITE_INTERVAL);
        }
    }

    /// Takes all that waits, writes it, and deletes what is no longer needed.
    pub(crate) fn round(&mut self) {
        loop {
            let count = self.take();
            self.write();
            if count < MAX_FRAME_RECORDS {
                break;
            }
        }
        let numbers = lock(&self.shared.queue).removable();
        for number in numbers {
            let path = part_path(&self.directory, &self.boot_id, number);
            if let Err(error) = std::fs::remove_file(&path) {
                self.shared.failed("cannot delete", &path, &error);
            }
        }
    }

    fn take(&mut self) -> usize {
        let mut frame = vec![0; FRAME_HEADER_BYTES];
        (self.source)(&mut frame, MAX_FRAME_RECORDS);
        let count = (frame.len() - FRAME_HEADER_BYTES) / RECORD_BYTES;
        if count > 0 {
            let records = u32::try_from(count).unwrap_or(u32::MAX);
            self.sequence += 1;
            seal(&mut frame, self.sequence, records);
            lock(&self.shared.queue).push(self.sequence, records, frame);
        }
        count
    }

    fn write(&mut self) {
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        let frames = lock(&self.shared.queue).unwritten();
        for frame in &frames {
            if let Err((path, error)) = self.write_frame(frame) {
                self.shared.failed("cannot write to", &path, &error);
                self.retry_at = Some(Instant::now() + self.pause);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                return;
            }
            self.pause = FIRST_PAUSE;
            self.retry_at = None;
        }
    }

    fn write_frame(&mut self, frame: &Unwritten) -> Result<(), (PathBuf, io::Error)> {
        let current = self.current_part()?;
        if let Err(error) = current.file.append(&frame.bytes) {
            current.is_sound = current.file.cut(current.bytes).is_ok();
            return Err((current.path.clone(), error));
        }
        current.bytes += frame.bytes.len() as u64;
        let sync = current.file.syncing();
        lock(&self.shared.queue).written(frame);
        self.note_unsynced(self.part, sync);
        Ok(())
    }

    /// The file to write to: a new one where there is none yet, it is full, or it cannot be trusted.
    fn current_part(&mut self) -> Result<&mut Current, (PathBuf, io::Error)> {
        let goes_on = |current: &Current| current.is_sound && current.bytes < self.part_bytes;
        match self.current.take().filter(goes_on) {
            Some(current) => Ok(self.current.insert(current)),
            None => {
                let begun = self.begin_part()?;
                Ok(self.current.insert(begun))
            }
        }
    }

    fn begin_part(&mut self) -> Result<Current, (PathBuf, io::Error)> {
        let number = self.part + 1;
        let path = part_path(&self.directory, &self.boot_id, number);
        let header = FileHeader { boot_id: self.boot_id.clone(), record_bytes: RECORD_BYTES, part: number };
        let mut file = self.disk.create(&path).map_err(|error| (path.clone(), error))?;
        if let Err(error) = file.append(&header.to_bytes()) {
            return Err((path, error)); // the next attempt empties it and begins again
        }
        self.part = number;
        lock(&self.shared.queue).part_begun(number);
        let directory = self.directory.clone();
        self.note_unsynced(0, Arc::new(move || sync_directory(&directory)));
        Ok(Current { file, path, bytes: header.to_bytes().len() as u64, is_sound: true })
    }

    fn note_unsynced(&self, part: u32, sync: Sync) {
        if self.sync == JournalSync::Never {
            return;
        }
        let mut unsynced = lock(&self.shared.unsynced);
        if unsynced.iter().all(|(known, _)| *known != part) {
            unsynced.push((part, sync));
        }
        drop(unsynced);
        if self.sync == JournalSync::Always {
            self.shared.sync(&self.directory);
        }
    }
}

/// A file's name is on the disk once its directory is.
fn sync_directory(directory: &Path) -> io::Result<()> {
    std::fs::File::open(directory)?.sync_all()
}

/// Path of a part.
pub(crate) fn part_path(directory: &Path, boot_id: &str, part: u32) -> PathBuf {
    directory.join(format!("{boot_id}-{part:08}.journal"))
}
