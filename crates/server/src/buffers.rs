//! Pooled byte buffers. A connection holds one only while bytes are in it, so that thousands of idle connections and
//! streams cost a task each and nothing more.
//!
//! Buffers come in size classes and return to a pool of their thread when dropped; in steady state nothing is
//! allocated. They are zeroed once, when first made, which keeps reading into them free of `unsafe`.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut, Range};

/// Sizes of the classes in bytes. They lie close together because a buffer that is much larger than what is in it wastes
/// cache: blocks of one power of two begin in the same cache sets, and their unused ends keep the other sets idle.
const CLASS_BYTES: [usize; 13] = [
    4 << 10,
    8 << 10,
    DEFAULT_BYTES,
    24 << 10,
    32 << 10,
    48 << 10,
    64 << 10,
    96 << 10,
    128 << 10,
    192 << 10,
    256 << 10,
    512 << 10,
    1 << 20,
];

/// The size a buffer has that was asked for without a known need.
pub(crate) const DEFAULT_BYTES: usize = 16 << 10;

/// What a thread keeps of each class. Larger blocks than the largest class are rare and go back to the system.
const KEPT_BYTES_PER_CLASS: usize = 8 << 20;

thread_local! {
    static POOL: RefCell<[Vec<Box<[u8]>>; CLASS_BYTES.len()]> =
        const { RefCell::new([const { Vec::new() }; CLASS_BYTES.len()]) };
}

/// A zeroed or reused block of bytes, returned to its thread's pool when dropped.
#[derive(Debug, Default)]
struct Block(Box<[u8]>);

impl Block {
    fn at_least(bytes: usize) -> Self {
        let Some(class) = CLASS_BYTES.iter().position(|size| *size >= bytes) else {
            return Self(vec![0; bytes.next_multiple_of(1 << 20)].into_boxed_slice());
        };
        let pooled = POOL.with_borrow_mut(|pool| pool[class].pop());
        Self(pooled.unwrap_or_else(|| vec![0; CLASS_BYTES[class]].into_boxed_slice()))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let Some(class) = CLASS_BYTES.iter().position(|size| *size == self.0.len()) else { return };
        let block = std::mem::take(&mut self.0);
        // The pool is gone while its thread ends; the block is then simply freed.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool[class].len() < KEPT_BYTES_PER_CLASS / CLASS_BYTES[class] {
                pool[class].push(block);
            }
        });
    }
}

/// A buffer with bytes in `start..end` of its block. Without bytes it need not hold a block.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    block: Block,
    start: usize,
    end: usize,
}

impl Buffer {
    /// Number of bytes in it.
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether it holds no block at all.
    pub(crate) fn is_released(&self) -> bool {
        self.block.0.is_empty()
    }

    /// Gives the block back; only an empty buffer may be released.
    pub(crate) fn release(&mut self) {
        debug_assert!(self.is_empty());
        *self = Self::default();
    }

    /// Forgets its bytes and gives the block back.
    pub(crate) fn discard(&mut self) {
        *self = Self::default();
    }

    /// Takes the first `count` bytes out.
    pub(crate) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.len());
        self.start += count;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Cuts it to its first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        debug_assert!(len <= self.len());
        self.end = self.start + len;
    }

    /// Takes the bytes of `range` out of the middle.
    pub(crate) fn remove(&mut self, range: Range<usize>) {
        let range = self.start + range.start..self.start + range.end;
        let removed = range.len();
        self.block.0.copy_within(range.end..self.end, range.start);
        self.end -= removed;
    }

    /// Room for reading: at least one byte. Makes the buffer hold a block, moves its bytes to the front, or moves into
    /// a larger block when it is full.
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        if self.end == self.block.0.len() {
            self.make_room(if self.is_released() { DEFAULT_BYTES } else { 1 });
        }
        &mut self.block.0[self.end..]
    }

    /// Makes room for `more` further bytes without another move.
    pub(crate) fn reserve(&mut self, more: usize) {
        if self.block.0.len() - self.end < more {
            self.make_room(more);
        }
    }

    fn make_room(&mut self, more: usize) {
        let len = self.len();
        let wanted = len + more;
        // Growing by doubling keeps the copies of a body that arrives without a length to O(its size).
        let mut larger = Block::default();
        if wanted > self.block.0.len() {
            let doubled =
                if len == 0 { wanted.max(DEFAULT_BYTES) } else { wanted.max(2 * self.block.0.len()) };
            larger = Block::at_least(doubled);
        }
        if larger.0.is_empty() {
            self.block.0.copy_within(self.start..self.end, 0);
        } else {
            larger.0[..len].copy_from_slice(&self.block.0[self.start..self.end]);
            self.block = larger;
        }
        (self.start, self.end) = (0, len);
    }

    /// Counts `count` bytes, just read into [`Buffer::spare`], as part of it.
    pub(crate) fn filled(&mut self, count: usize) {
        debug_assert!(self.end + count <= self.block.0.len());
        self.end += count;
    }

    /// Appends bytes.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.block.0[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.block.0[self.start..self.end]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.block.0[self.start..self.end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_keeps_and_returns() {
        let mut buffer = Buffer::default();
        assert!(buffer.is_released());
        buffer.extend(b"hello ");
        buffer.extend(&vec![7; 20 << 10]);
        assert_eq!(&buffer[..6], b"hello ");
        assert_eq!(buffer.len(), 6 + (20 << 10));
        buffer.consume(6);
        buffer.remove(1..(20 << 10));
        assert_eq!(&buffer[..], [7]);
        buffer.consume(1);
        buffer.release();
        assert!(buffer.is_released());
    }

    #[test]
    fn moves_its_bytes_to_the_front_before_it_grows() {
        let mut buffer = Buffer::default();
        buffer.extend(&[1; DEFAULT_BYTES]);
        buffer.consume(DEFAULT_BYTES - 3);
        let room = buffer.spare().len();
        assert_eq!((buffer.len(), room), (3, DEFAULT_BYTES - 3));
        assert_eq!(&buffer[..], [1, 1, 1]);
    }

    #[test]
    fn a_block_is_reused_by_the_thread_that_dropped_it() {
        let mut buffer = Buffer::default();
        buffer.extend(&[9; 100]);
        let address = buffer.as_ptr();
        drop(buffer);
        let mut again = Buffer::default();
        again.extend(&[1]);
        assert_eq!(again.as_ptr(), address);
    }
}
