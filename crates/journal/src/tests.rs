//! The journal as a whole, its threads replaced by rounds that the test makes.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use sluice_types::RECORD_BYTES;

use super::*;
use crate::disk::Part;

/// A directory that is deleted with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Relaxed);
        let path = std::env::temp_dir().join(format!("sluice-journal-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path.join("journal"))
    }

    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).expect("the directory is there");
        let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|found| found == extension));
        paths.sort();
        paths
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().expect("it has one"));
    }
}

fn options(directory: &Directory, boot_id: &str) -> JournalOptions {
    JournalOptions {
        directory: directory.0.display().to_string(),
        boot_id: boot_id.into(),
        sync: JournalSync::Never,
        max_bytes: 1 << 30,
        max_memory_bytes: 64 << 20,
    }
}

/// What the rings hold: numbers of records, each number in all bytes of its record.
type Rings = Arc<Mutex<VecDeque<u64>>>;

fn source(rings: &Rings) -> Source {
    let rings = Arc::clone(rings);
    Box::new(move |out, max| {
        for _ in 0..max {
            let Some(number) = lock(&rings).pop_front() else { return };
            out.extend(record(number));
        }
    })
}

fn record(number: u64) -> Vec<u8> {
    number.to_le_bytes().into_iter().cycle().take(RECORD_BYTES).collect()
}

/// Numbers of the records in a batch.
fn numbers(batch: &Batch) -> Vec<u64> {
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes"));
    let records = batch.records.chunks(batch.record_bytes);
    assert_eq!(records.len(), batch.count as usize);
    records.map(number).collect()
}

/// Takes everything there is.
fn taken(journal: &Journal) -> Vec<u64> {
    std::iter::from_fn(|| journal.next(1_000)).flat_map(|batch| numbers(&batch)).collect()
}

fn recovered(journal: &Journal, boot_id: &str, mut after: u64) -> Vec<u64> {
    let mut found = Vec::new();
    while let Some(batch) = journal.recover(boot_id, after, 1_000).expect("files can be read") {
        after = batch.sequence;
        found.extend(numbers(&batch));
    }
    found
}

/// A disk with an amount of room, which takes half of the write that does not fit.
#[derive(Clone)]
struct SmallDisk(Arc<AtomicUsize>);

struct SmallPart(Box<dyn Part>, Arc<AtomicUsize>);

impl Disk for SmallDisk {
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn Part>> {
        Ok(Box::new(SmallPart(FileSystem.create(path)?, Arc::clone(&self.0))))
    }
}

impl Part for SmallPart {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.1.fetch_update(Relaxed, Relaxed, |room| room.checked_sub(bytes.len())).is_ok() {
            return self.0.append(bytes);
        }
        self.0.append(&bytes[..bytes.len() / 2])?;
        Err(io::ErrorKind::StorageFull.into())
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.0.cut(length)
    }

    fn syncing(&self) -> Arc<dyn Fn() -> io::Result<()> + Send + Sync> {
        self.0.syncing()
    }
}

#[test]
fn records_are_taken_in_order_and_what_is_not_acknowledged_is_found_at_the_next_start() {
    let directory = Directory::new();
    let rings = Rings::default();
    let killed = Journal::open(options(&directory, "boot-1")).expect("it opens");
    let mut writer = killed.writer(source(&rings), Box::new(FileSystem));
    for round in 0..10 {
        lock(&rings).extend(round * 100..(round + 1) * 100);
        writer.round();
    }
    let first = killed.next(250).expect("records wait");
    assert_eq!((first.sequence, numbers(&first)), (2, (0..200).collect::<Vec<_>>()));
    assert_eq!(taken(&killed), (200..1_000).collect::<Vec<_>>());
    killed.acknowledge(4);
    assert_eq!(killed.stats().unacknowledged_frames, 6);
    drop((writer, killed)); // its files stay, as those of a killed process do

    let heir = Journal::open(options(&directory, "boot-2")).expect("the lock is free");
    assert_eq!(heir.left_behind(), ["boot-1"]);
    assert_eq!(recovered(&heir, "boot-1", 0), (0..1_000).collect::<Vec<_>>());
    assert_eq!(recovered(&heir, "boot-1", 7), (700..1_000).collect::<Vec<_>>());
    assert_eq!(heir.forget("boot-1").expect("files can be deleted"), Damage::default());
    assert!(directory.files("journal").is_empty());
    assert_eq!(recovered(&heir, "boot-1", 0), [0; 0]);
    assert!(heir.left_behind().is_empty());
}

#[test]
fn a_second_process_is_refused_and_told_who_holds_the_directory() {
    let directory = Directory::new();
    let held = Journal::open(options(&directory, "a")).expect("it opens");
    let refused = Journal::open(options(&directory, "b")).expect_err("it is held");
    assert_eq!(refused.code, "journal_locked");
    assert!(refused.message.contains(&format!("process {}", std::process::id())), "{refused}");
    held.close();
    Journal::open(options(&directory, "b")).expect("it is free again");
}

#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    let mut wanted = options(&Directory::new(), "a");
    wanted.directory = "/proc/sluice/journal".into();
    let refused = Journal::open(wanted).expect_err("nothing can be made there");
    assert_eq!(refused.code, "journal_unwritable");
    assert!(refused.message.contains("/proc/sluice/journal"), "{refused}");
}

#[test]
fn a_torn_end_is_cut_and_damage_is_kept_aside() {
    let directory = Directory::new();
    let rings = Rings::default();
    let killed = Journal::open(options(&directory, "boot-1")).expect("it opens");
    let mut writer = killed.writer(source(&rings), Box::new(FileSystem));
    for round in 0..3 {
        lock(&rings).extend(round * 10..(round + 1) * 10);
        writer.round();
    }
    drop((writer, killed));
    let path = directory.files("journal").remove(0);
    let whole = fs::read(&path).expect("it is there");
    let frame = frame::FRAME_HEADER_BYTES + 10 * RECORD_BYTES;

    fs::write(&path, &whole[..whole.len() - 5]).expect("it can be written");
    let heir = Journal::open(options(&directory, "boot-2")).expect("it opens");
    assert_eq!(recovered(&heir, "boot-1", 0), (0..20).collect::<Vec<_>>());
    let damage = heir.forget("boot-1").expect("it can be deleted");
    assert_eq!(damage, Damage { cut_bytes: frame as u64 - 5, ..Damage::default() });
    drop(heir);

    let mut wrong = whole;
    wrong[frame::FILE_HEADER_BYTES + frame + 30] ^= 1;
    fs::write(&path, wrong).expect("it can be written");
    let heir = Journal::open(options(&directory, "boot-3")).expect("it opens");
    assert_eq!(recovered(&heir, "boot-1", 0), (0..10).chain(20..30).collect::<Vec<_>>());
    let damage = heir.forget("boot-1").expect("it can be renamed");
    assert_eq!((damage.cut_bytes, damage.damaged_bytes), (0, frame as u64));
    assert_eq!(damage.kept, ["boot-1-00000001.damaged"]);
    assert_eq!(directory.files("damaged").len(), 1);
}

#[test]
fn records_of_an_earlier_version_are_read_at_their_size() {
    let directory = Directory::new();
    let narrow = frame::FileHeader { boot_id: "old".into(), record_bytes: 96, part: 1 };
    let mut bytes = narrow.to_bytes().to_vec();
    let mut frame = vec![0; frame::FRAME_HEADER_BYTES];
    frame.extend(record(5).iter().cycle().take(2 * 96));
    frame::seal(&mut frame, 1, 2);
    bytes.extend(frame);
    let journal = Journal::open(options(&directory, "new")).expect("it opens");
    drop(journal);
    fs::write(directory.0.join("old-00000001.journal"), bytes).expect("it can be written");
    let journal = Journal::open(options(&directory, "new")).expect("it opens");
    let batch = journal.recover("old", 0, 100).expect("it can be read").expect("it has records");
    assert_eq!((batch.count, batch.record_bytes, batch.records.len()), (2, 96, 192));
}

#[test]
fn a_full_disk_costs_nothing_while_memory_has_room() {
    let directory = Directory::new();
    let rings = Rings::default();
    let journal = Journal::open(options(&directory, "boot-1")).expect("it opens");
    let room = Arc::new(AtomicUsize::new(4_000));
    let mut writer = journal.writer(source(&rings), Box::new(SmallDisk(Arc::clone(&room))));
    for round in 0..5 {
        lock(&rings).extend(round * 20..(round + 1) * 20);
        writer.round();
    }
    let stats = journal.stats();
    assert_eq!((stats.failures, stats.lost_records), (1, 0), "{stats:?}");
    assert!(stats.last_failure.contains("boot-1-00000001.journal"), "{stats:?}");
    assert_eq!(taken(&journal), (0..100).collect::<Vec<_>>());
    room.store(1 << 20, Relaxed);
    let begun = Instant::now();
    while journal.stats().memory_bytes > 0 && begun.elapsed() < Duration::from_secs(10) {
        writer.round();
        std::thread::sleep(Duration::from_millis(10));
    }
    drop((writer, journal));
    let heir = Journal::open(options(&directory, "boot-2")).expect("it opens");
    assert_eq!(recovered(&heir, "boot-1", 0), (0..100).collect::<Vec<_>>());
    assert_eq!(heir.forget("boot-1").expect("it can be deleted"), Damage::default());
}

#[test]
fn beyond_the_bound_of_memory_the_oldest_unwritten_records_are_lost_and_counted() {
    let directory = Directory::new();
    let rings = Rings::default();
    let small = JournalOptions { max_memory_bytes: 100_000, ..options(&directory, "boot-1") };
    let journal = Journal::open(small).expect("it opens");
    let mut writer = journal.writer(source(&rings), Box::new(SmallDisk(Arc::default())));
    for round in 0..200 {
        lock(&rings).extend(round * 10..(round + 1) * 10);
        writer.round();
    }
    let stats = journal.stats();
    assert!(stats.memory_bytes <= 100_000, "{stats:?}");
    assert!(stats.crowded);
    let left = taken(&journal);
    assert_eq!(stats.lost_records + left.len() as u64, 2_000);
    assert_eq!(left, (stats.lost_records..2_000).collect::<Vec<_>>());
}

#[test]
fn what_memory_has_no_room_for_is_read_back_from_the_files() {
    let directory = Directory::new();
    let rings = Rings::default();
    let small =
        JournalOptions { max_memory_bytes: 20_000, max_bytes: 1 << 20, ..options(&directory, "boot-1") };
    let journal = Journal::open(small).expect("it opens");
    let mut writer = journal.writer(source(&rings), Box::new(FileSystem));
    let mut seen = Vec::new();
    for round in 0..400_u64 {
        lock(&rings).extend(round * 10..(round + 1) * 10);
        writer.round();
        assert!(journal.stats().memory_bytes <= 20_000);
        if round % 7 == 3 {
            seen.extend(journal.next(15).map(|batch| numbers(&batch)).unwrap_or_default());
        }
        if round == 200 {
            seen.extend(taken(&journal));
        }
    }
    seen.extend(taken(&journal));
    assert_eq!(seen, (0..4_000).collect::<Vec<_>>());
    assert_eq!(journal.stats().lost_records, 0);
}

#[test]
fn beyond_the_bound_of_the_files_the_oldest_records_are_lost_and_counted() {
    let directory = Directory::new();
    let rings = Rings::default();
    let small =
        JournalOptions { max_memory_bytes: 20_000, max_bytes: 200_000, ..options(&directory, "boot-1") };
    let journal = Journal::open(small).expect("it opens");
    let mut writer = journal.writer(source(&rings), Box::new(FileSystem));
    for round in 0..400_u64 {
        lock(&rings).extend(round * 10..(round + 1) * 10);
        writer.round();
    }
    let on_disk: u64 =
        directory.files("journal").iter().map(|path| fs::metadata(path).expect("there").len()).sum();
    let stats = journal.stats();
    assert_eq!(stats.bytes, on_disk);
    assert!(on_disk <= 200_000 + 25_000, "{on_disk}");
    assert!(stats.crowded && stats.lost_records > 0, "{stats:?}");
    assert_eq!(taken(&journal), (stats.lost_records..4_000).collect::<Vec<_>>());
}

#[test]
fn acknowledged_files_are_deleted_but_for_the_last_and_all_of_them_at_the_end() {
    let directory = Directory::new();
    let rings = Rings::default();
    let small = JournalOptions { max_bytes: 400_000, ..options(&directory, "boot-1") };
    let journal = Journal::open(small).expect("it opens");
    let mut writer = journal.writer(source(&rings), Box::new(FileSystem));
    for round in 0..400_u64 {
        lock(&rings).extend(round * 10..(round + 1) * 10);
        writer.round();
        journal.acknowledge(journal.next(100).map_or(0, |batch| batch.sequence));
    }
    let stats = journal.stats();
    assert!(stats.bytes <= 400_000 && !stats.crowded, "{stats:?}");
    assert_eq!((stats.lost_records, stats.unacknowledged_frames), (0, 0));
    drop(writer);
    journal.close();
    assert!(directory.files("journal").is_empty());
}

#[test]
fn the_threads_write_within_the_window_sync_and_take_the_rest_when_they_stop() {
    let directory = Directory::new();
    let rings = Rings::default();
    let synced = JournalOptions { sync: JournalSync::Interval, ..options(&directory, "boot-1") };
    let journal = Journal::open(synced).expect("it opens");
    journal.start(source(&rings)).expect("threads are there");
    lock(&rings).extend(0..10);
    let begun = Instant::now();
    while journal.stats().syncs == 0 && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(taken(&journal), (0..10).collect::<Vec<_>>());
    lock(&rings).extend(10..20);
    journal.stop();
    assert_eq!(taken(&journal), (10..20).collect::<Vec<_>>());
    journal.close();
    assert_eq!(directory.files("journal").len(), 1, "nothing was acknowledged");
}
