//! Coarse deadlines for the connections of one worker.
//!
//! A request passes several time limits and hardly ever meets one, so what has to be cheap is arming: a limit is set
//! only when its wait really begins (on the first `Pending`), reads no clock but the time of the last tick, and is
//! checked by a ticker that walks all slots every [`TICK`]. A timer of the runtime per wait would cost more than the
//! parsing of the request.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How late a deadline may fire; never early, since one tick is added to what is asked for.
const TICK: Duration = Duration::from_millis(TICK_MS);
const TICK_MS: u64 = 50;

const NEVER: u64 = u64::MAX;

#[derive(Debug)]
struct Slot {
    deadline_ms: u64,
    waker: Option<Waker>,
}

/// All deadlines of one worker.
#[derive(Debug)]
pub(crate) struct Timers {
    origin: Instant,
    /// Milliseconds since the origin, as of the last tick.
    now_ms: Cell<u64>,
    slots: RefCell<Vec<Slot>>,
    free: RefCell<Vec<usize>>,
    used: Cell<usize>,
    occupied: Notify,
}

impl Timers {
    pub(crate) fn new(origin: Instant) -> Rc<Self> {
        Rc::new(Self {
            origin,
            now_ms: Cell::new(0),
            slots: RefCell::default(),
            free: RefCell::default(),
            used: Cell::new(0),
            occupied: Notify::new(),
        })
    }

    /// A deadline of its own for one connection or stream.
    pub(crate) fn timer(self: &Rc<Self>) -> Timer {
        let mut slots = self.slots.borrow_mut();
        let slot = self.free.borrow_mut().pop().unwrap_or_else(|| {
            slots.push(Slot { deadline_ms: NEVER, waker: None });
            slots.len() - 1
        });
        self.used.set(self.used.get() + 1);
        self.read_clock();
        self.occupied.notify_one();
        Timer { timers: Rc::clone(self), slot }
    }

    /// Wakes whoever is waiting on any timer, so that it looks at the state of the worker.
    pub(crate) fn wake_all(&self) {
        for slot in self.slots.borrow().iter() {
            if let Some(waker) = &slot.waker {
                waker.wake_by_ref();
            }
        }
    }

    /// Runs as long as the worker: fires deadlines while there is any connection.
    pub(crate) async fn tick_forever(&self) {
        loop {
            if self.used.get() == 0 {
                self.occupied.notified().await;
            }
            tokio::time::sleep(TICK).await;
            self.read_clock();
            self.fire();
        }
    }

    fn read_clock(&self) {
        self.now_ms.set(u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(NEVER));
    }

    fn fire(&self) {
        let now_ms = self.now_ms.get();
        for slot in self.slots.borrow_mut().iter_mut().filter(|slot| slot.deadline_ms <= now_ms) {
            slot.deadline_ms = NEVER;
            if let Some(waker) = &slot.waker {
                waker.wake_by_ref();
            }
        }
    }
}

/// One deadline; returns its slot when dropped.
#[derive(Debug)]
pub(crate) struct Timer {
    timers: Rc<Timers>,
    slot: usize,
}

/// A limit passed before what was waited for came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expired;

impl Timer {
    /// Waits for `operation`, at most `limit_ms` (0 for ever). The operation is polled first, so that a wait which is
    /// over at once costs nothing.
    pub(crate) async fn limit<T>(
        &self,
        limit_ms: u32,
        mut operation: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Expired> {
        let mut armed_until = None;
        poll_fn(|cx| {
            if let Poll::Ready(value) = operation(cx) {
                return Poll::Ready(Ok(value));
            }
            let deadline = *armed_until.get_or_insert_with(|| self.arm(cx, limit_ms));
            if deadline != NEVER && self.timers.now_ms.get() >= deadline {
                Poll::Ready(Err(Expired))
            } else {
                Poll::Pending
            }
        })
        .await
    }

    /// The absolute time `limit_ms` from now on this timer's clock, for [`Timer::until`].
    pub(crate) fn deadline_after(&self, limit_ms: u32) -> u64 {
        if limit_ms == 0 { NEVER } else { self.timers.now_ms.get() + TICK_MS + u64::from(limit_ms) }
    }

    /// What is left until a deadline from [`Timer::deadline_after`], as a limit; never 0 for a real deadline.
    pub(crate) fn left_until(&self, deadline_ms: u64) -> u32 {
        if deadline_ms == NEVER {
            return 0;
        }
        let left = deadline_ms.saturating_sub(self.timers.now_ms.get() + TICK_MS).max(1);
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    fn arm(&self, cx: &Context<'_>, limit_ms: u32) -> u64 {
        let deadline_ms = self.deadline_after(limit_ms);
        let slot = &mut self.timers.slots.borrow_mut()[self.slot];
        slot.deadline_ms = deadline_ms;
        match &mut slot.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            other => *other = Some(cx.waker().clone()),
        }
        deadline_ms
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let mut slots = self.timers.slots.borrow_mut();
        slots[self.slot] = Slot { deadline_ms: NEVER, waker: None };
        self.timers.free.borrow_mut().push(self.slot);
        self.timers.used.set(self.timers.used.get() - 1);
    }
}

/// The shorter of two limits in milliseconds, where 0 means none.
pub(crate) fn shorter(a_ms: u32, b_ms: u32) -> u32 {
    match (a_ms, b_ms) {
        (0, other) | (other, 0) => other,
        (a, b) => a.min(b),
    }
}

/// What is left of a limit in milliseconds, of which 0 means none; `None` when it has passed.
pub(crate) fn left_of(limit_ms: u32, elapsed: Duration) -> Option<u32> {
    if limit_ms == 0 {
        return Some(0);
    }
    limit_ms.checked_sub(u32::try_from(elapsed.as_millis()).ok()?).filter(|left| *left > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build_local(Default::default()).unwrap().block_on(future)
    }

    #[test]
    fn a_limit_fires_and_a_ready_operation_does_not_wait() {
        run(async {
            let timers = Timers::new(Instant::now());
            let ticker = Rc::clone(&timers);
            tokio::task::spawn_local(async move { ticker.tick_forever().await });
            let timer = timers.timer();
            assert_eq!(timer.limit(1_000, |_| Poll::Ready(7)).await, Ok(7));
            let began = Instant::now();
            assert_eq!(timer.limit(30, |_| Poll::<()>::Pending).await, Err(Expired));
            let took = began.elapsed();
            assert!(took >= Duration::from_millis(29) && took < Duration::from_millis(500), "{took:?}");
        });
    }

    #[test]
    fn slots_are_reused() {
        let timers = Timers::new(Instant::now());
        let (first, second) = (timers.timer(), timers.timer());
        drop(first);
        let third = timers.timer();
        assert_eq!((third.slot, second.slot), (0, 1));
        assert_eq!(timers.slots.borrow().len(), 2);
    }

    #[test]
    fn zero_is_no_limit() {
        assert_eq!(shorter(0, 5), 5);
        assert_eq!(shorter(5, 0), 5);
        assert_eq!(shorter(7, 5), 5);
        assert_eq!(shorter(0, 0), 0);
        assert_eq!(left_of(0, Duration::from_secs(9)), Some(0));
        assert_eq!(left_of(9, Duration::from_millis(8)), Some(1));
        assert_eq!(left_of(9, Duration::from_millis(9)), None);
        assert_eq!(left_of(9, Duration::MAX), None);
    }
}
