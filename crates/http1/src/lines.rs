//! Cuts a head into lines, strictly, and remembers how far it looked.

use core::ops::Range;

use crate::bytes::find_control;
use crate::{HeadError, MAX_LINE_BYTES};

/// Where the reading of a head stands. Every byte is searched once, however slowly the bytes arrive, and the verdict
/// does not depend on how they were split.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines {
    /// Start of the first line that is not cut yet.
    next: usize,
    /// No line end stands before this; never below `next`.
    searched: usize,
}

impl Lines {
    /// Nothing is read yet.
    pub(crate) const START: Self = Self { next: 0, searched: 0 };

    /// Offset behind the last line that was cut.
    #[inline(always)]
    pub(crate) fn offset(&self) -> usize {
        self.next
    }

    /// Whether `len` bytes can be a continuation of what was read before.
    #[inline(always)]
    pub(crate) fn continues(&self, len: usize) -> bool {
        self.searched <= len
    }

    /// The next line without its line end, or `None` where it is not whole yet. Apart from tabs a line has no control
    /// characters.
    #[inline]
    pub(crate) fn next(&mut self, head: &[u8]) -> Result<Option<Range<usize>>, HeadError> {
        let end = find_control(head, self.searched);
        self.searched = end;
        if end - self.next > MAX_LINE_BYTES {
            return Err(HeadError::LineTooLong);
        }
        if let Some(b"\r\n") = head.get(end..end + 2) {
            let line = self.next..end;
            self.next = end + 2;
            self.searched = self.next;
            return Ok(Some(line));
        }
        unfinished(&head[end..])
    }
}

/// `rest` begins at the end of the data or at a control character that ends no line.
#[cold]
fn unfinished(rest: &[u8]) -> Result<Option<Range<usize>>, HeadError> {
    match rest {
        [] | [b'\r'] => Ok(None),
        [b'\r', ..] => Err(HeadError::BareCarriageReturn),
        [b'\n', ..] => Err(HeadError::BareLineFeed),
        _ => Err(HeadError::ControlCharacter),
    }
}
