//! Cuts a head into lines, strictly, and remembers how far it looked.

use core::ops::Range;

use crate::scan::{BLOCK, controls};
use crate::{HeadError, MAX_LINE_BYTES};

/// Where the reading of a head stands between two calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    /// Start of the first line that is not cut yet.
    pub(crate) next: usize,
    /// No line end stands before this; never below `next`.
    searched: usize,
}

impl Position {
    /// Nothing is read yet.
    pub(crate) const START: Self = Self { next: 0, searched: 0 };

    /// Whether `len` bytes can be a continuation of what was read before.
    #[inline(always)]
    pub(crate) fn continues(self, len: usize) -> bool {
        self.searched <= len
    }
}

/// The lines of a head, as far as it has arrived. Every byte is searched once, however slowly the bytes come in, and
/// the verdict does not depend on how they were split.
pub(crate) struct Lines<'b> {
    head: &'b [u8],
    next: usize,
    /// Where the block begins that `mask` speaks of.
    base: usize,
    /// The control characters of the block that are still to be looked at.
    mask: u64,
}

impl<'b> Lines<'b> {
    #[inline(always)]
    pub(crate) fn resume(head: &'b [u8], from: Position) -> Self {
        let mask = mask_at(head, from.searched);
        Self { head, next: from.next, base: from.searched, mask }
    }

    /// What is cut.
    #[inline(always)]
    pub(crate) fn head(&self) -> &'b [u8] {
        self.head
    }

    /// Where to resume when there is no further line yet.
    #[inline(always)]
    pub(crate) fn position(&self) -> Position {
        Position { next: self.next, searched: self.base }
    }

    /// The next line without its line end, or `None` where it is not whole yet. Apart from tabs a line has no control
    /// characters.
    #[inline(always)]
    pub(crate) fn cut(&mut self) -> Result<Option<Range<usize>>, HeadError> {
        while self.mask == 0 {
            if self.base + BLOCK >= self.head.len() {
                return self.unfinished(self.head.len());
            }
            self.base += BLOCK;
            self.mask = mask_at(self.head, self.base);
        }
        let end = self.base + self.mask.trailing_zeros() as usize;
        if end - self.next > MAX_LINE_BYTES || self.head[end..].first_chunk() != Some(b"\r\n") {
            return self.unfinished(end);
        }
        let line = self.next..end;
        self.next = end + 2;
        self.skip_line_end();
        Ok(Some(line))
    }

    /// Takes the bits of CR and LF out of the mask, or moves on where LF stands in the next block.
    #[inline(always)]
    fn skip_line_end(&mut self) {
        self.mask &= self.mask - 1;
        if self.mask != 0 {
            self.mask &= self.mask - 1;
        } else if self.next > self.base + BLOCK {
            self.base = self.next;
            self.mask = mask_at(self.head, self.base);
        }
    }

    /// The line does not end at `end`, which is a control character or the end of the data.
    #[cold]
    fn unfinished(&mut self, end: usize) -> Result<Option<Range<usize>>, HeadError> {
        if end - self.next > MAX_LINE_BYTES {
            return Err(HeadError::LineTooLong);
        }
        self.base = end;
        match &self.head[end..] {
            [] | [b'\r'] => Ok(None),
            [b'\r', ..] => Err(HeadError::BareCarriageReturn),
            [b'\n', ..] => Err(HeadError::BareLineFeed),
            _ => Err(HeadError::ControlCharacter),
        }
    }
}

/// The control characters of the block that begins at `base`. What lies behind the end of the data is none.
#[inline(always)]
fn mask_at(head: &[u8], base: usize) -> u64 {
    let rest = &head[base..];
    match rest.first_chunk() {
        Some(block) => controls(block),
        None => mask_of_tail(rest),
    }
}

#[inline(never)]
fn mask_of_tail(tail: &[u8]) -> u64 {
    let mut block = [b' '; BLOCK];
    block[..tail.len()].copy_from_slice(tail);
    controls(&block)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Resuming where the search ended is what keeps a sender of single bytes from costing the square of them.
    #[test]
    fn no_byte_is_searched_twice() {
        let head = b"GET / HTTP/1.1\r\nA: a value that goes on for more than one block, as long ones do, and then ends\r";
        let mut position = Position::START;
        for len in 0..=head.len() {
            let mut lines = Lines::resume(&head[..len], position);
            while lines.cut().expect("nothing is wrong").is_some() {}
            position = lines.position();
            let waits_for_line_feed = head[..len].ends_with(b"\r");
            assert_eq!(position.searched, len - usize::from(waits_for_line_feed), "{len}");
        }
        assert_eq!(position.next, 16);
    }
}
