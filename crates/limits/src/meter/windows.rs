//! Windows one after the other: of one length, or of a calendar.
//!
//! Two windows are kept, each in one word of 128 bits that holds which window it is and what is used of it: nothing can be
//! added to a window that has given way to another, and nothing be taken from it. So a limit is exact at the edge too.
//! A request belongs to the window of its own time; the window before the newest is there for those that come late, and
//! for clocks that are set back a little, so that what was used up stays used up.
//!
//! A clock that is set back further than to the beginning of the older window leaves no place for what is counted. The
//! newest window is then used on for at most its own length of monotonic time, after which the window of the clock's time
//! is opened: by then a whole new length has been waited.

use std::sync::atomic::{AtomicU64, Ordering};

use portable_atomic::AtomicU128;

use super::calendar::{Calendar, Span};
use super::{Room, join, room, split};

/// Times before 2000 and after 2500 are taken for these moments: a clock that shows them is not set, and within them a window
/// is described by 64 bits.
const EARLIEST_S: i64 = 946_684_800;
const LATEST_S: i64 = 16_725_225_600;

const MINUTE_S: u64 = 60;
const NS_PER_S: u64 = 1_000_000_000;

const LENGTH_BITS: u32 = 20;
const OPENING_BITS: u32 = 10;

/// Which windows there are.
#[derive(Debug)]
pub(super) enum Layout {
    /// Windows of `period_s` seconds, one of which begins at `anchor_s`.
    Fixed { period_s: u64, anchor_s: u64 },
    /// Units of a calendar.
    Calendar(Calendar),
}

/// The windows of one meter.
#[derive(Debug)]
pub(super) struct Windows {
    slots: [AtomicU128; 2],
    /// When the clock was first seen to be before both windows, in monotonic nanoseconds; 0 when it is not.
    set_back_ns: AtomicU64,
    /// Windows opened so far; tells a window from one of the same time that was opened earlier.
    openings: AtomicU64,
    layout: Layout,
}

/// Which window, in 64 bits: 34 for the second since 1970 it begins in, 20 for its length in minutes (calendars only; 0
/// elsewhere), 10 to tell openings apart. 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(u64);

impl Tag {
    const NONE: Self = Self(0);

    fn start_s(self) -> u64 {
        self.0 >> (LENGTH_BITS + OPENING_BITS)
    }

    fn minutes(self) -> u64 {
        (self.0 >> OPENING_BITS) & ((1 << LENGTH_BITS) - 1)
    }
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    tag: Tag,
    used: i64,
}

impl Slot {
    #[inline]
    fn unpack(word: u128) -> Self {
        let (tag, used) = split(word);
        Self { tag: Tag(tag), used }
    }

    #[inline]
    fn pack(self) -> u128 {
        join(self.tag.0, self.used)
    }
}

/// A window as it stands, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) start_ms: u64,
    pub(super) end_ms: u64,
    pub(super) used: i64,
}

impl Windows {
    pub(super) fn new(layout: Layout) -> Self {
        Self {
            slots: [AtomicU128::new(0), AtomicU128::new(0)],
            set_back_ns: AtomicU64::new(0),
            openings: AtomicU64::new(0),
            layout,
        }
    }

    /// Adds to the window of `wall_ms` if there is room.
    ///
    /// # Errors
    /// The window, when there is not.
    #[inline]
    pub(super) fn reserve(
        &self,
        amount: i64,
        limit: Room,
        wall_ms: u64,
        mono_ns: u64,
    ) -> Result<Tag, Standing> {
        loop {
            let (slot, seen) = self.find(wall_ms, mono_ns);
            match self.change(slot, seen, |used| room(used, amount, limit)) {
                Changed::Yes => return Ok(seen.tag),
                Changed::No(used) => return Err(self.standing(Slot { tag: seen.tag, used })),
                Changed::Gone => {}
            }
        }
    }

    /// Changes what is used of a window that is still kept; what has passed stays as it is.
    #[inline]
    pub(super) fn adjust(&self, tag: Tag, delta: i64) {
        for slot in &self.slots {
            let seen = Slot::unpack(slot.load(Ordering::Acquire));
            if seen.tag == tag {
                self.change(slot, seen, |used| Some(used.saturating_add(delta).max(0)));
                return;
            }
        }
    }

    /// The window of `wall_ms`. Opens none.
    pub(super) fn level(&self, wall_ms: u64) -> Standing {
        let at_s = seconds(wall_ms);
        let (a, b) = self.snapshot();
        if let Some(found) = [a, b].into_iter().find(|slot| self.contains(*slot, at_s)) {
            return self.standing(found);
        }
        let (older, newer) = if a.tag.start_s() <= b.tag.start_s() { (a, b) } else { (b, a) };
        if older.tag != Tag::NONE && at_s < older.tag.start_s() {
            return self.standing(newer);
        }
        let tag = self.tag(at_s, 0);
        self.standing(Slot { tag, used: 0 })
    }

    /// The window of a time, opened if need be, and its slot.
    #[inline]
    fn find(&self, wall_ms: u64, mono_ns: u64) -> (&AtomicU128, Slot) {
        let at_s = seconds(wall_ms);
        for slot in &self.slots {
            let seen = Slot::unpack(slot.load(Ordering::Acquire));
            if self.contains(seen, at_s) {
                if self.set_back_ns.load(Ordering::Relaxed) != 0 {
                    self.set_back_ns.store(0, Ordering::Relaxed);
                }
                return (slot, seen);
            }
        }
        self.open(at_s, mono_ns)
    }

    #[cold]
    fn open(&self, at_s: u64, mono_ns: u64) -> (&AtomicU128, Slot) {
        loop {
            let (a, b) = self.snapshot();
            let [first, second] = &self.slots;
            for (slot, seen) in [(first, a), (second, b)] {
                if self.contains(seen, at_s) {
                    return (slot, seen);
                }
            }
            let ((target, old), (newest, new)) = if a.tag.start_s() <= b.tag.start_s() {
                ((first, a), (second, b))
            } else {
                ((second, b), (first, a))
            };
            if old.tag != Tag::NONE && at_s < old.tag.start_s() && self.waits(new, mono_ns) {
                return (newest, new);
            }
            let opening = self.openings.fetch_add(1, Ordering::Relaxed);
            let opened = Slot { tag: self.tag(at_s, opening), used: 0 };
            if target.compare_exchange(old.pack(), opened.pack(), Ordering::AcqRel, Ordering::Acquire).is_ok()
            {
                self.set_back_ns.store(0, Ordering::Relaxed);
                return (target, opened);
            }
        }
    }

    /// Whether the newest window is still to be used although the clock is before it.
    fn waits(&self, newest: Slot, mono_ns: u64) -> bool {
        let now = mono_ns.max(1);
        let since = match self.set_back_ns.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => now,
            Err(since) => since,
        };
        now.saturating_sub(since) < self.length_s(newest.tag).saturating_mul(NS_PER_S)
    }

    /// Both slots as they were at one moment. Only the older one is ever replaced, and no opening comes twice, so that
    /// whoever replaces what it saw here knows what is in the other.
    fn snapshot(&self) -> (Slot, Slot) {
        let [first, second] = &self.slots;
        let mut a = first.load(Ordering::Acquire);
        loop {
            let b = second.load(Ordering::Acquire);
            let again = first.load(Ordering::Acquire);
            if Slot::unpack(a).tag == Slot::unpack(again).tag {
                return (Slot::unpack(again), Slot::unpack(b));
            }
            a = again;
        }
    }

    #[inline]
    fn change(&self, slot: &AtomicU128, mut seen: Slot, next: impl Fn(i64) -> Option<i64>) -> Changed {
        loop {
            let Some(used) = next(seen.used) else { return Changed::No(seen.used) };
            let to = Slot { tag: seen.tag, used };
            match slot.compare_exchange_weak(seen.pack(), to.pack(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Changed::Yes,
                Err(word) => {
                    let current = Slot::unpack(word);
                    if current.tag != seen.tag {
                        return Changed::Gone;
                    }
                    seen = current;
                }
            }
        }
    }

    #[inline]
    fn contains(&self, slot: Slot, at_s: u64) -> bool {
        let start = slot.tag.start_s();
        slot.tag != Tag::NONE && start <= at_s && at_s < start + self.length_s(slot.tag)
    }

    #[inline]
    fn length_s(&self, tag: Tag) -> u64 {
        match self.layout {
            Layout::Fixed { period_s, .. } => period_s,
            Layout::Calendar(_) => tag.minutes() * MINUTE_S,
        }
    }

    fn tag(&self, at_s: u64, opening: u64) -> Tag {
        let at = at_s.cast_signed();
        let (start, minutes) = match &self.layout {
            Layout::Fixed { period_s, anchor_s } => {
                let past = (i128::from(at_s) - i128::from(*anchor_s)).rem_euclid(i128::from(*period_s));
                (i128::from(at_s) - past, 0)
            }
            Layout::Calendar(calendar) => {
                let Span { start_s, end_s } = calendar.span(at);
                (i128::from(start_s), (end_s - start_s).cast_unsigned() / MINUTE_S)
            }
        };
        let start = u64::try_from(start).unwrap_or(0).max(1);
        let opening = opening & ((1 << OPENING_BITS) - 1);
        Tag((start << (LENGTH_BITS + OPENING_BITS)) | (minutes << OPENING_BITS) | opening)
    }

    fn standing(&self, slot: Slot) -> Standing {
        let start = slot.tag.start_s();
        let end = start + self.length_s(slot.tag);
        Standing { start_ms: start * 1_000, end_ms: end * 1_000, used: slot.used }
    }
}

enum Changed {
    Yes,
    /// There is no room; what is used.
    No(i64),
    /// The slot holds another window by now.
    Gone,
}

#[inline]
fn seconds(wall_ms: u64) -> u64 {
    (wall_ms / 1_000).clamp(EARLIEST_S.cast_unsigned(), LATEST_S.cast_unsigned())
}
