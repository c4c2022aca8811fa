//! Working memory of one request that is too large for a connection to hold while it is idle.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use sluice_http1::{RequestHead, ResponseHead};

use crate::exchange::Rare;

/// Sets kept per thread; more than this at once is rare enough to allocate.
const MAX_POOLED: usize = 256;

/// Head buffers that grew beyond this are not kept.
const MAX_KEPT_HEAD_BYTES: usize = 8 << 10;

/// Nor are buffers of translated bodies beyond this.
const MAX_KEPT_BODY_BYTES: usize = 64 << 10;

thread_local! {
    #[expect(clippy::vec_box, reason = "taken out and put back whole: a set is large, and unboxed it would be copied")]
    static POOL: RefCell<Vec<Box<Scratch>>> = const { RefCell::new(Vec::new()) };
}

/// Parsed heads and heads under construction.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) request_head: RequestHead,
    pub(crate) response_head: ResponseHead,
    /// Head of the answer.
    pub(crate) out: Vec<u8>,
    /// Head of the request to the provider.
    pub(crate) egress: Vec<u8>,
    /// A model's name, quoted or escaped.
    pub(crate) name: String,
    pub(crate) rare: Rare,
}

/// A set that returns to its thread's pool when dropped.
pub(crate) struct Pooled(Option<Box<Scratch>>);

impl Scratch {
    pub(crate) fn take() -> Pooled {
        Pooled(Some(POOL.with_borrow_mut(Vec::pop).unwrap_or_default()))
    }
}

impl Deref for Pooled {
    type Target = Scratch;

    fn deref(&self) -> &Scratch {
        self.0.as_ref().expect("present until dropped")
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Scratch {
        self.0.as_mut().expect("present until dropped")
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let Some(mut scratch) = self.0.take() else { return };
        if scratch.out.capacity() > MAX_KEPT_HEAD_BYTES || scratch.egress.capacity() > MAX_KEPT_HEAD_BYTES {
            (scratch.out, scratch.egress) = Default::default();
        }
        if scratch.rare.translated.capacity() > MAX_KEPT_BODY_BYTES {
            scratch.rare.translated = Vec::new();
        }
        // The pool is gone while its thread ends; the set is then simply freed.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < MAX_POOLED {
                pool.push(scratch);
            }
        });
    }
}
