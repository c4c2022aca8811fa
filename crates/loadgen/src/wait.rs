use std::io;
use std::time::Duration;

use mio::{Events, Poll};

/// The last part of a precise wait is spent asking again and again: a sleeping thread wakes up this much late.
const SPIN: Duration = Duration::from_micros(60);
/// Events taken at once.
const EVENTS: usize = 1024;

/// Waits for sockets, to the millisecond or to the microsecond.
pub(crate) struct Waiter {
    pub(crate) poll: Poll,
    events: Events,
}

impl Waiter {
    pub(crate) fn new() -> io::Result<Self> {
        allow_exact_timers();
        Ok(Self { poll: Poll::new()?, events: Events::with_capacity(EVENTS) })
    }

    /// Waits for events for at most `timeout`; a precise wait returns without events rather than late.
    pub(crate) fn wait(&mut self, timeout: Duration, precise: bool) -> io::Result<&Events> {
        let timeout = if precise { self.doze(timeout.saturating_sub(SPIN))? } else { timeout };
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(&self.events),
        }
    }

    /// Sleeps until a socket is ready or the time is over, and says how long the poll that follows may wait.
    /// `epoll_wait` counts in milliseconds; `ppoll` on the epoll descriptor itself counts in nanoseconds.
    #[cfg(target_os = "linux")]
    fn doze(&self, timeout: Duration) -> io::Result<Duration> {
        use std::os::fd::AsRawFd;
        if timeout.is_zero() {
            return Ok(Duration::ZERO);
        }
        let mut waited = libc::pollfd { fd: self.poll.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let time = libc::timespec {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // SAFETY: both pointers are to live locals, the count is that of the one `pollfd`, and no signal mask is given.
        let ready = unsafe { libc::ppoll(&raw mut waited, 1, &raw const time, std::ptr::null()) };
        let error = io::Error::last_os_error();
        if ready < 0 && error.kind() != io::ErrorKind::Interrupted { Err(error) } else { Ok(Duration::ZERO) }
    }

    /// The whole milliseconds of the time, less one for lateness; the rest is spun away.
    #[cfg(not(target_os = "linux"))]
    fn doze(&self, timeout: Duration) -> io::Result<Duration> {
        let whole = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        Ok(Duration::from_millis(whole.saturating_sub(1)))
    }
}

/// Linux lets a thread's timers be 50 µs late to save power; a generator asks for 1 ns.
#[cfg(target_os = "linux")]
fn allow_exact_timers() {
    const ONE_NANOSECOND: libc::c_ulong = 1;
    // SAFETY: this option takes one integer and changes nothing but the calling thread's timer slack.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, ONE_NANOSECOND) };
}

#[cfg(not(target_os = "linux"))]
fn allow_exact_timers() {}
