//! What is between the thread that writes and whoever takes: the frames that are held, and where the others lie.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use sluice_types::{JournalStats, RECORD_BYTES};

use crate::frame::{FILE_HEADER_BYTES, FRAME_HEADER_BYTES, Frame, FrameHead};

/// Files whose frames have all been acknowledged are kept up to this size: a database that loses power may lose its last
/// transactions (SQLite's write-ahead log is synced when it is checkpointed, every 32 MiB), and finds them here again.
const KEPT_BYTES: u64 = 64 * 1024 * 1024;

/// What a held frame costs besides its bytes.
const FRAME_OVERHEAD: usize = 96;

/// Records that were taken together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Sequence of the last frame among them.
    pub sequence: u64,
    /// How many records.
    pub count: u32,
    /// Bytes of each.
    pub record_bytes: usize,
    /// All of them, in order.
    pub records: Vec<u8>,
}

/// Where a frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) part: u32,
    pub(crate) offset: u64,
    /// Records in the frames before it, in this part.
    pub(crate) records_before: u64,
}

/// One file of this run.
#[derive(Clone, Copy, Debug)]
struct PartFile {
    number: u32,
    bytes: u64,
    records: u64,
    last_sequence: u64,
}

/// A frame in memory, header included.
struct Held {
    sequence: u64,
    count: u32,
    bytes: Arc<Vec<u8>>,
    place: Option<Place>,
}

/// A frame that is to be written.
pub(crate) struct Unwritten {
    pub(crate) sequence: u64,
    pub(crate) count: u32,
    pub(crate) bytes: Arc<Vec<u8>>,
}

/// The state both sides share, under one lock. The writer holds it for moments; a taker also while it reads a file.
pub(crate) struct Queue {
    path_of: Box<dyn Fn(u32) -> PathBuf + Send>,
    max_bytes: u64,
    max_memory: usize,
    /// In order of sequence. The first `taken` are kept only until they are written.
    frames: VecDeque<Held>,
    taken: usize,
    memory: usize,
    /// Where the next frame to take lies, where memory no longer holds it.
    spilled: Option<Place>,
    reading: Option<(u32, File)>,
    parts: VecDeque<PartFile>,
    bytes: u64,
    last_sequence: u64,
    acknowledged: u64,
    records: u64,
    lost: u64,
}

impl Queue {
    pub(crate) fn new(
        path_of: Box<dyn Fn(u32) -> PathBuf + Send>,
        max_bytes: u64,
        max_memory_bytes: u64,
    ) -> Self {
        Self {
            path_of,
            max_bytes,
            max_memory: usize::try_from(max_memory_bytes).unwrap_or(usize::MAX),
            frames: VecDeque::new(),
            taken: 0,
            memory: 0,
            spilled: None,
            reading: None,
            parts: VecDeque::new(),
            bytes: 0,
            last_sequence: 0,
            acknowledged: 0,
            records: 0,
            lost: 0,
        }
    }

    /// Holds a frame that is yet to be written. Beyond the bound the oldest go: those that are written are read back.
    pub(crate) fn push(&mut self, sequence: u64, count: u32, bytes: Vec<u8>) {
        self.memory += bytes.len() + FRAME_OVERHEAD;
        self.records += u64::from(count);
        self.last_sequence = sequence;
        self.frames.push_back(Held { sequence, count, bytes: Arc::new(bytes), place: None });
        while self.memory > self.max_memory && self.frames.len() > 1 {
            self.let_go();
        }
    }

    fn let_go(&mut self) {
        let was_taken = self.taken > 0;
        let Some(oldest) = self.pop() else { return };
        match oldest.place {
            _ if was_taken => {}
            Some(_) if self.spilled.is_some() => {}
            Some(place) => self.spilled = Some(place),
            None => self.lost += u64::from(oldest.count),
        }
    }

    fn pop(&mut self) -> Option<Held> {
        let oldest = self.frames.pop_front()?;
        self.memory -= oldest.bytes.len() + FRAME_OVERHEAD;
        self.taken = self.taken.saturating_sub(1);
        Some(oldest)
    }

    /// The frames that are yet to be written, in order.
    pub(crate) fn unwritten(&self) -> Vec<Unwritten> {
        let waiting = self.frames.iter().rev().take_while(|frame| frame.place.is_none());
        let mut frames: Vec<_> = waiting
            .map(|Held { sequence, count, bytes, .. }| Unwritten {
                sequence: *sequence,
                count: *count,
                bytes: Arc::clone(bytes),
            })
            .collect();
        frames.reverse();
        frames
    }

    /// A new file is there; its header has been written.
    pub(crate) fn part_begun(&mut self, number: u32) {
        let bytes = FILE_HEADER_BYTES as u64;
        self.bytes += bytes;
        self.parts.push_back(PartFile { number, bytes, records: 0, last_sequence: self.acknowledged });
    }

    /// A frame was written at the end of the last file.
    pub(crate) fn written(&mut self, frame: &Unwritten) {
        let Some(part) = self.parts.back_mut() else { return };
        let place = Place { part: part.number, offset: part.bytes, records_before: part.records };
        part.bytes += frame.bytes.len() as u64;
        part.records += u64::from(frame.count);
        part.last_sequence = frame.sequence;
        self.bytes += frame.bytes.len() as u64;
        if let Some(held) = self.frames.iter_mut().rev().find(|held| held.sequence == frame.sequence) {
            held.place = Some(place);
        }
        while self.taken > 0 && self.frames.front().is_some_and(|held| held.place.is_some()) {
            self.pop();
        }
    }

    /// Takes files out of the account that are no longer needed, or for which there is no room; the caller deletes them.
    pub(crate) fn removable(&mut self) -> Vec<u32> {
        let mut numbers = Vec::new();
        while self.parts.len() > 1 {
            let Some(oldest) = self.parts.front().copied() else { break };
            let spare = self.acknowledged_bytes().saturating_sub(oldest.bytes);
            let is_done =
                oldest.last_sequence <= self.acknowledged && spare >= KEPT_BYTES.min(self.max_bytes / 2);
            if !is_done && self.bytes <= self.max_bytes {
                break;
            }
            self.forget_spilled_in(&oldest);
            self.parts.pop_front();
            self.bytes -= oldest.bytes;
            numbers.push(oldest.number);
        }
        numbers
    }

    fn acknowledged_bytes(&self) -> u64 {
        let done = self.parts.iter().take_while(|part| part.last_sequence <= self.acknowledged);
        done.map(|part| part.bytes).sum()
    }

    /// Counts what has neither been taken nor is in memory, and goes on with the next file.
    fn forget_spilled_in(&mut self, part: &PartFile) {
        let Some(place) = self.spilled.filter(|place| place.part == part.number) else { return };
        let held = self.first_place().filter(|held| held.part == part.number);
        let end = held.map_or(part.records, |held| held.records_before);
        self.lost += end.saturating_sub(place.records_before);
        self.spilled = if held.is_some() { None } else { self.after(part.number) };
    }

    fn after(&self, number: u32) -> Option<Place> {
        let next = self.parts.iter().find(|part| part.number > number)?;
        Some(Place { part: next.number, offset: FILE_HEADER_BYTES as u64, records_before: 0 })
    }

    /// Where the first frame lies that is in memory and not taken.
    fn first_place(&self) -> Option<Place> {
        self.frames.get(self.taken).and_then(|held| held.place)
    }

    /// The next records in order, up to `max` unless a single frame has more; absent where none are waiting.
    pub(crate) fn next(&mut self, max: u32) -> Option<Batch> {
        let mut batch = Batch { sequence: 0, count: 0, record_bytes: RECORD_BYTES, records: Vec::new() };
        while self.add_spilled(&mut batch, max) || self.add_held(&mut batch, max) {}
        (batch.count > 0).then_some(batch)
    }

    fn add_held(&mut self, batch: &mut Batch, max: u32) -> bool {
        if self.spilled.is_some() {
            return false;
        }
        let Some(held) = self.frames.get(self.taken) else { return false };
        if !fits(batch, held.count, max) {
            return false;
        }
        batch.records.extend_from_slice(&held.bytes[FRAME_HEADER_BYTES..]);
        batch.count += held.count;
        batch.sequence = held.sequence;
        if held.place.is_some() && self.taken == 0 {
            self.pop();
        } else {
            self.taken += 1;
        }
        true
    }

    /// Adds one frame from a file. False where the batch is full, or memory holds what comes next.
    fn add_spilled(&mut self, batch: &mut Batch, max: u32) -> bool {
        while let Some(place) = self.spilled {
            let Some(part) = self.parts.iter().find(|part| part.number == place.part).copied() else {
                self.spilled = self.after(place.part);
                continue;
            };
            let is_held =
                self.first_place().is_some_and(|held| held.part == place.part && held.offset <= place.offset);
            if is_held {
                self.spilled = None;
            } else if place.offset >= part.bytes {
                self.spilled = self.after(part.number);
            } else {
                match self.read_at(place, batch, max) {
                    Ok(added) => return added,
                    Err(_) => self.forget_spilled_in(&part),
                }
            }
        }
        false
    }

    fn read_at(&mut self, place: Place, batch: &mut Batch, max: u32) -> io::Result<bool> {
        let broken = || io::Error::from(io::ErrorKind::InvalidData);
        let path = (self.path_of)(place.part);
        let file = match self.reading.take() {
            Some((part, file)) if part == place.part => file,
            _ => File::open(path)?,
        };
        let file = &mut self.reading.insert((place.part, file)).1;
        file.seek(SeekFrom::Start(place.offset))?;
        let mut bytes = vec![0; FRAME_HEADER_BYTES];
        file.read_exact(&mut bytes)?;
        let head = FrameHead::read(&bytes, RECORD_BYTES).ok_or_else(broken)?;
        if !fits(batch, head.count, max) {
            return Ok(false);
        }
        bytes.resize(head.bytes, 0);
        file.read_exact(&mut bytes[FRAME_HEADER_BYTES..])?;
        let frame = Frame::read(&bytes, RECORD_BYTES).ok_or_else(broken)?;
        batch.records.extend_from_slice(frame.records);
        batch.count += frame.count;
        batch.sequence = frame.sequence;
        self.spilled = Some(Place {
            offset: place.offset + head.bytes as u64,
            records_before: place.records_before + u64::from(head.count),
            ..place
        });
        Ok(true)
    }

    pub(crate) fn acknowledge(&mut self, sequence: u64) {
        self.acknowledged = self.acknowledged.max(sequence.min(self.last_sequence));
    }

    /// Whether everything that was appended has been acknowledged.
    pub(crate) fn is_done(&self) -> bool {
        self.acknowledged == self.last_sequence
    }

    /// Numbers of all files there are.
    pub(crate) fn part_numbers(&self) -> Vec<u32> {
        self.parts.iter().map(|part| part.number).collect()
    }

    /// Adds what the queue knows to a reading.
    pub(crate) fn read(&self, stats: &mut JournalStats) {
        let unwritten = self.frames.back().is_some_and(|frame| frame.place.is_none());
        stats.bytes = self.bytes;
        stats.memory_bytes = self.memory as u64;
        stats.unacknowledged_frames = self.last_sequence - self.acknowledged;
        stats.records = self.records;
        stats.lost_records = self.lost;
        let pending = self.bytes.saturating_sub(self.acknowledged_bytes());
        stats.crowded = pending > self.max_bytes / 4 * 3 || (unwritten && self.memory > self.max_memory / 2);
    }
}

fn fits(batch: &Batch, count: u32, max: u32) -> bool {
    batch.count == 0 || batch.count + count <= max
}
