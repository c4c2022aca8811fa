//! The format of a journal file, version 1: a header, then frames, all numbers little-endian.
//!
//! ```text
//! header  "sluicejl"  version u32  record bytes u32  boot id, 40 bytes padded with 0  part u32  CRC-32 of these u32
//! frame   length u32  sequence u64  count u32  CRC-32 of these and the records u32  records, `length` bytes
//! ```
//!
//! A record's size stands in the header, so a file of an earlier version is read as it was written. The CRC is that of
//! IEEE 802.3. Sequences rise within a file, by more than one where frames were lost.

use crc32fast::Hasher;

/// Bytes of a file's header.
pub(crate) const FILE_HEADER_BYTES: usize = 64;
/// Bytes of a frame before its records.
pub(crate) const FRAME_HEADER_BYTES: usize = 20;
/// Most records of one frame.
pub(crate) const MAX_FRAME_RECORDS: usize = 16_384;
/// Longest boot id: that of a UUID is 36 characters.
pub(crate) const MAX_BOOT_ID_BYTES: usize = 40;

const MAGIC: &[u8; 8] = b"sluicejl";
const VERSION: u32 = 1;
const HEADER_SUM_AT: usize = FILE_HEADER_BYTES - 4;
const FRAME_SUM_AT: usize = FRAME_HEADER_BYTES - 4;

/// Checksums tried after damage before the rest of a file is given up, so that no file takes long to read.
const MAX_RESYNC_TRIES: usize = 4_096;

/// What a file's header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) boot_id: String,
    pub(crate) record_bytes: usize,
    pub(crate) part: u32,
}

impl FileHeader {
    pub(crate) fn to_bytes(&self) -> [u8; FILE_HEADER_BYTES] {
        let mut bytes = [0; FILE_HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&u32::try_from(self.record_bytes).unwrap_or(u32::MAX).to_le_bytes());
        let id = self.boot_id.as_bytes();
        let length = id.len().min(MAX_BOOT_ID_BYTES);
        bytes[16..16 + length].copy_from_slice(&id[..length]);
        bytes[56..60].copy_from_slice(&self.part.to_le_bytes());
        let sum = crc32fast::hash(&bytes[..HEADER_SUM_AT]);
        bytes[HEADER_SUM_AT..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Absent for bytes that no version of ours has written, or a later one.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..FILE_HEADER_BYTES)?;
        let sum = crc32fast::hash(&bytes[..HEADER_SUM_AT]);
        if &bytes[..8] != MAGIC || number(bytes, 8) != VERSION || number(bytes, HEADER_SUM_AT) != sum {
            return None;
        }
        let record_bytes = number(bytes, 12) as usize;
        let id = bytes[16..56].split(|byte| *byte == 0).next()?;
        let boot_id = String::from_utf8(id.to_vec()).ok().filter(|id| is_boot_id(id))?;
        (record_bytes > 0).then_some(Self { boot_id, record_bytes, part: number(bytes, 56) })
    }
}

/// Whether a text can be a boot id; it becomes part of a file's name.
pub(crate) fn is_boot_id(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.is_empty() && text.len() <= MAX_BOOT_ID_BYTES && text.bytes().all(known)
}

/// Completes a frame whose records lie behind room for its header.
pub(crate) fn seal(frame: &mut [u8], sequence: u64, count: u32) {
    let length = u32::try_from(frame.len() - FRAME_HEADER_BYTES).unwrap_or(u32::MAX);
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame[4..12].copy_from_slice(&sequence.to_le_bytes());
    frame[12..16].copy_from_slice(&count.to_le_bytes());
    let sum = frame_sum(frame);
    frame[FRAME_SUM_AT..FRAME_HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
}

fn frame_sum(frame: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&frame[..FRAME_SUM_AT]);
    hasher.update(&frame[FRAME_HEADER_BYTES..]);
    hasher.finalize()
}

/// What a frame says about itself before its checksum is known to be right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameHead {
    pub(crate) sequence: u64,
    pub(crate) count: u32,
    /// Bytes of the whole frame.
    pub(crate) bytes: usize,
}

impl FrameHead {
    /// Absent where the bytes cannot begin a frame of such records.
    pub(crate) fn read(bytes: &[u8], record_bytes: usize) -> Option<Self> {
        let head = bytes.get(..FRAME_HEADER_BYTES)?;
        let length = number(head, 0) as usize;
        let count = number(head, 12);
        let sequence = u64::from(number(head, 4)) | u64::from(number(head, 8)) << 32;
        let fits = (1..=MAX_FRAME_RECORDS).contains(&(count as usize))
            && (count as usize).checked_mul(record_bytes) == Some(length);
        fits.then_some(Self { sequence, count, bytes: FRAME_HEADER_BYTES + length })
    }
}

/// One frame, checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) sequence: u64,
    pub(crate) count: u32,
    pub(crate) records: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame at the beginning of the bytes; absent where there is none, whole and right.
    pub(crate) fn read(bytes: &'a [u8], record_bytes: usize) -> Option<Self> {
        let head = FrameHead::read(bytes, record_bytes)?;
        let frame = bytes.get(..head.bytes)?;
        let is_right = number(frame, FRAME_SUM_AT) == frame_sum(frame);
        let FrameHead { sequence, count, .. } = head;
        is_right.then_some(Self { sequence, count, records: &frame[FRAME_HEADER_BYTES..] })
    }
}

/// Goes through the frames of a file, over what is damaged.
pub(crate) struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    record_bytes: usize,
    sequence: u64,
    tries: usize,
    /// Bytes skipped with whole frames behind them.
    pub(crate) damaged: usize,
    /// Bytes at the end without a whole frame: what a killed process, or a machine without power, left unfinished.
    pub(crate) cut: usize,
}

impl<'a> Scan<'a> {
    /// Over a whole file, its header included.
    pub(crate) fn new(bytes: &'a [u8], record_bytes: usize) -> Self {
        let at = FILE_HEADER_BYTES.min(bytes.len());
        Self { bytes, at, record_bytes, sequence: 0, tries: MAX_RESYNC_TRIES, damaged: 0, cut: 0 }
    }

    fn frame_at(&self, at: usize) -> Option<Frame<'a>> {
        let frame = Frame::read(&self.bytes[at..], self.record_bytes)?;
        (frame.sequence > self.sequence).then_some(frame)
    }

    /// Where the next whole frame begins, after damage.
    fn resync(&mut self) -> Option<usize> {
        for at in self.at + 1..self.bytes.len() {
            if FrameHead::read(&self.bytes[at..], self.record_bytes).is_none() {
                continue;
            }
            self.tries = self.tries.checked_sub(1)?;
            if self.frame_at(at).is_some() {
                return Some(at);
            }
        }
        None
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        if self.at < self.bytes.len() && self.frame_at(self.at).is_none() {
            let next = self.resync();
            match next {
                Some(at) => self.damaged += at - self.at,
                None => self.cut += self.bytes.len() - self.at,
            }
            self.at = next.unwrap_or(self.bytes.len());
        }
        let frame = self.frame_at(self.at)?;
        self.at += FRAME_HEADER_BYTES + frame.records.len();
        self.sequence = frame.sequence;
        Some(frame)
    }
}

/// The number at a place; callers have checked that it is there.
fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "test data is small")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RECORD: usize = 16;

    fn frame(sequence: u64, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; FRAME_HEADER_BYTES];
        bytes.extend((0..count * RECORD).map(|at| (at as u64 * 31 + sequence) as u8));
        seal(&mut bytes, sequence, count as u32);
        bytes
    }

    fn header() -> FileHeader {
        FileHeader { boot_id: "0b1c-9".into(), record_bytes: RECORD, part: 7 }
    }

    /// A file of frames with so many records each; their sequences are 1, 2, 3, …
    fn file(counts: &[usize]) -> Vec<u8> {
        let mut bytes = header().to_bytes().to_vec();
        for (at, count) in counts.iter().enumerate() {
            bytes.extend(frame(at as u64 + 1, *count));
        }
        bytes
    }

    fn scan(bytes: &[u8]) -> (Vec<(u64, u32)>, usize, usize) {
        let mut scan = Scan::new(bytes, RECORD);
        let found = scan.by_ref().map(|frame| (frame.sequence, frame.count)).collect();
        (found, scan.damaged, scan.cut)
    }

    #[test]
    fn a_header_is_read_back_and_nothing_else_is_taken_for_one() {
        let bytes = header().to_bytes();
        assert_eq!(FileHeader::read(&bytes), Some(header()));
        for at in 0..bytes.len() {
            let mut wrong = bytes;
            wrong[at] ^= 1;
            assert_eq!(FileHeader::read(&wrong), None, "byte {at}");
        }
        assert_eq!(FileHeader::read(&bytes[..63]), None);
        let outside = FileHeader { boot_id: "../../etc".into(), ..header() };
        assert_eq!(FileHeader::read(&outside.to_bytes()), None);
    }

    #[test]
    fn what_follows_damage_is_found_again() {
        let mut bytes = file(&[3, 5, 2]);
        let second = FILE_HEADER_BYTES + FRAME_HEADER_BYTES + 3 * RECORD;
        bytes[second] ^= 0x40; // the length
        let damaged = FRAME_HEADER_BYTES + 5 * RECORD;
        assert_eq!(scan(&bytes), (vec![(1, 3), (3, 2)], damaged, 0));
    }

    #[test]
    fn zeros_at_the_end_are_cut() {
        let mut bytes = file(&[3]);
        bytes.extend([0; 4_096]);
        assert_eq!(scan(&bytes), (vec![(1, 3)], 0, 4_096));
    }

    proptest! {
        #[test]
        fn a_cut_file_gives_every_whole_frame_and_says_what_is_cut(
            counts in prop::collection::vec(1_usize..40, 0..12), cut in any::<prop::sample::Index>(),
        ) {
            let bytes = file(&counts);
            let length = FILE_HEADER_BYTES + cut.index(bytes.len() - FILE_HEADER_BYTES + 1);
            let mut whole = FILE_HEADER_BYTES;
            let mut expected = Vec::new();
            for (at, count) in counts.iter().enumerate() {
                let end = whole + FRAME_HEADER_BYTES + count * RECORD;
                if end > length { break }
                whole = end;
                expected.push((at as u64 + 1, *count as u32));
            }
            prop_assert_eq!(scan(&bytes[..length]), (expected, 0, length - whole));
        }

        #[test]
        fn a_changed_byte_costs_its_frame_and_no_other(
            counts in prop::collection::vec(1_usize..40, 1..12),
            place in any::<prop::sample::Index>(), change in 1_u8..=255,
        ) {
            let mut bytes = file(&counts);
            let at = FILE_HEADER_BYTES + place.index(bytes.len() - FILE_HEADER_BYTES);
            bytes[at] ^= change;
            let mut begin = FILE_HEADER_BYTES;
            let mut expected = Vec::new();
            for (index, count) in counts.iter().enumerate() {
                let end = begin + FRAME_HEADER_BYTES + count * RECORD;
                if !(begin..end).contains(&at) { expected.push((index as u64 + 1, *count as u32)) }
                begin = end;
            }
            prop_assert_eq!(scan(&bytes).0, expected);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..2_000), record in 1_usize..200,
        ) {
            let mut scan = Scan::new(&bytes, record);
            let frames = scan.by_ref().map(|frame| FRAME_HEADER_BYTES + frame.records.len()).sum::<usize>();
            let header = FILE_HEADER_BYTES.min(bytes.len());
            prop_assert_eq!(header + frames + scan.damaged + scan.cut, bytes.len());
            let _ = FileHeader::read(&bytes);
        }
    }
}
