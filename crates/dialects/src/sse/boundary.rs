//! How much of a growing buffer is whole events.

use memchr::memrchr2;

/// Finds the end of the last whole event in a buffer that grows at its end and is consumed at its front.
///
/// It looks backwards from the end for the last blank line, over the bytes it has not seen before: with the usual buffer,
/// which ends where an event does, that is a look at two bytes.
///
/// A `\r` at the end of the buffer may be the first half of `\r\n`. The event is whole nevertheless, and is not held back
/// for a byte that may come much later; a `\n` that does follow counts as a blank line of its own, which means nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventBoundary {
    /// Bytes of the buffer already looked at.
    scanned: usize,
    /// Of those, the bytes that are whole events.
    whole: usize,
}

impl EventBoundary {
    /// For a buffer that begins where an event does.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many leading bytes of `buf` are whole events. `buf` is what was given before, less what was consumed, with
    /// anything appended.
    pub fn whole_events(&mut self, buf: &[u8]) -> usize {
        let mut end = buf.len();
        while let Some(last) = memrchr2(b'\n', b'\r', buf.get(self.scanned..end).unwrap_or_default()) {
            let last = self.scanned + last;
            if ends_blank_line(buf, last) {
                self.whole = last + 1;
                break;
            }
            end = last;
        }
        self.scanned = self.scanned.max(buf.len());
        self.whole
    }

    /// Tells that the first `n` bytes, which must end where an event does, are no longer in the buffer.
    pub fn consumed(&mut self, n: usize) {
        self.scanned = self.scanned.saturating_sub(n);
        self.whole = self.whole.saturating_sub(n);
    }
}

/// Whether the line end whose last byte is at `last` ends a blank line: another line end is right before it, or the
/// beginning of the buffer, where an event begins.
fn ends_blank_line(buf: &[u8], last: usize) -> bool {
    let start = match last.checked_sub(1) {
        Some(before) if buf[last] == b'\n' && buf[before] == b'\r' => before,
        _ => last,
    };
    start == 0 || matches!(buf[start - 1], b'\n' | b'\r')
}
