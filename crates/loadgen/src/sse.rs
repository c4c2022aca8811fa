use std::time::{SystemTime, UNIX_EPOCH};

use memchr::{memchr, memmem};

/// Longest line kept while it arrives in parts; what goes beyond is dropped, since only beginnings and stamps count.
const MAX_CARRIED_BYTES: usize = 64 * 1024;
/// What stands before the digits of a stamp: the demo provider's `stamp_chunks`.
const STAMP_MARK: &[u8] = b"\"obfuscation\":\"T";
const STAMP_DIGITS: usize = 20;

/// Reads an event stream as far as a load generator must: that events come, when, and that the end is announced.
#[derive(Debug, Default)]
pub(crate) struct EventScanner {
    line: Vec<u8>,
    pub(crate) events: u64,
    pub(crate) done: bool,
    pub(crate) error: bool,
    pub(crate) after_done: bool,
}

impl EventScanner {
    /// Starts anew.
    pub(crate) fn reset(&mut self) {
        self.line.clear();
        (self.events, self.done, self.error, self.after_done) = (0, false, false, false);
    }

    /// Takes the next bytes of a body, however they were split, and calls `on_stamp` with the nanoseconds that each
    /// stamped chunk has been under way.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], on_stamp: &mut impl FnMut(u64)) {
        while let Some(end) = memchr(b'\n', bytes) {
            if self.line.is_empty() {
                self.line(&bytes[..end], on_stamp);
            } else {
                self.carry(&bytes[..end]);
                let line = std::mem::take(&mut self.line);
                self.line(&line, on_stamp);
                self.line = line;
                self.line.clear();
            }
            bytes = &bytes[end + 1..];
        }
        self.carry(bytes);
    }

    fn carry(&mut self, bytes: &[u8]) {
        let room = MAX_CARRIED_BYTES.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn line(&mut self, line: &[u8], on_stamp: &mut impl FnMut(u64)) {
        if line.trim_ascii().starts_with(b"event: error") {
            self.error = true;
        }
        let Some(data) = line.strip_prefix(b"data:") else { return };
        let data = data.trim_ascii();
        self.events += 1;
        self.after_done |= self.done;
        self.done |= data == b"[DONE]";
        self.error |= data.starts_with(b"{\"error\"");
        if let Some(sent) = stamp(data) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
            on_stamp(u64::try_from(now.saturating_sub(u128::from(sent))).unwrap_or(u64::MAX));
        }
    }
}

fn stamp(data: &[u8]) -> Option<u64> {
    let start = memmem::find(data, STAMP_MARK)? + STAMP_MARK.len();
    std::str::from_utf8(data.get(start..start + STAMP_DIGITS)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(parts: &[&[u8]]) -> (EventScanner, usize) {
        let mut scanner = EventScanner::default();
        let mut stamps = 0;
        parts.iter().for_each(|part| scanner.feed(part, &mut |_| stamps += 1));
        (scanner, stamps)
    }

    #[test]
    fn streams_are_judged() {
        for (stream, events, done, error, after_done) in [
            ("data: {}\n\ndata: [DONE]\n\n", 2, true, false, false),
            ("data: {}\r\n\r\ndata:[DONE]\r\n\r\n", 2, true, false, false),
            (": ping\n\ndata: {}\n\n", 1, false, false, false),
            ("data: {\"error\":{}}\n\n", 1, false, true, false),
            ("event: error\ndata: {}\n\n", 1, false, true, false),
            ("data: [DONE]\n\ndata: {}\n\n", 2, true, false, true),
            ("", 0, false, false, false),
        ] {
            let (scanner, _) = scan(&[stream.as_bytes()]);
            let seen = (scanner.events, scanner.done, scanner.error, scanner.after_done);
            assert_eq!(seen, (events, done, error, after_done), "{stream:?}");
        }
    }

    #[test]
    fn every_split_is_the_same_stream() {
        let stream = b"data: {\"obfuscation\":\"T00000000000000000001\"}\n\n: x\n\ndata: {\"a\":\"\xc3\xa9\"}\n\ndata: [DONE]\n\n";
        for at in 0..=stream.len() {
            let (scanner, stamps) = scan(&[&stream[..at], &stream[at..]]);
            assert_eq!((scanner.events, scanner.done, stamps), (3, true, 1), "split at {at}");
        }
    }

    #[test]
    fn an_endless_line_takes_bounded_memory() {
        let mut scanner = EventScanner::default();
        for _ in 0..100 {
            scanner.feed(&[b'x'; 8192], &mut |_| {});
        }
        assert!(scanner.line.len() <= MAX_CARRIED_BYTES);
    }
}
