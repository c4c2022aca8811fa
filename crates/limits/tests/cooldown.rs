//! The breaker under a clock that is set by hand, and its single probe under a race.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use proptest::prelude::*;
use sluice_limits::{Cooldown, FailureKind, Pass};

const SECOND_NS: u64 = 1_000_000_000;
const ORIGINS: [u64; 4] = [0, 999, 1_700_000_000_000_000_123, u64::MAX - 10_000 * SECOND_NS];

fn fail(target: &Cooldown, times: usize, now_ns: u64) {
    (0..times).for_each(|_| target.record_failure(FailureKind::Fault, None, now_ns));
}

/// How long the target is out of use, to the microsecond it is kept in.
fn wait_us(target: &Cooldown, now_ns: u64) -> u64 {
    match target.try_pass(now_ns) {
        Pass::No { retry_after_ns } => retry_after_ns.div_ceil(1_000),
        pass => panic!("{pass:?}"),
    }
}

/// A time at which `seconds` have passed since `now_ns`, however that was rounded.
fn after(now_ns: u64, seconds: u64) -> u64 {
    now_ns + seconds * SECOND_NS + 1_000
}

#[test]
fn five_failures_in_a_row_open_it() {
    for now in ORIGINS {
        let target = Cooldown::new();
        fail(&target, 4, now);
        assert_eq!(target.try_pass(now), Pass::Yes);
        target.record_success(now);
        fail(&target, 4, now);
        assert!(!target.is_open(now), "a success between them begins the count anew");
        fail(&target, 1, now);
        assert!(target.is_open(now));
        assert!(wait_us(&target, now).abs_diff(1_000_000) <= 1);
    }
}

#[test]
fn one_probe_is_let_through_and_decides() {
    for now in ORIGINS {
        let target = Cooldown::new();
        fail(&target, 5, now);
        assert!(target.is_open(now + SECOND_NS - 1_000));
        let then = after(now, 1);
        assert!(!target.is_open(then));
        assert_eq!(target.try_pass(then), Pass::Probe);
        assert!(matches!(target.try_pass(then), Pass::No { .. }), "one at a time");
        target.record_success(then);
        assert_eq!(target.try_pass(then), Pass::Yes);
        fail(&target, 4, then);
        assert_eq!(target.try_pass(then), Pass::Yes, "the count began anew");
    }
}

#[test]
fn each_failed_probe_doubles_the_time_up_to_a_bound() {
    for origin in ORIGINS {
        let target = Cooldown::new();
        let mut now = origin;
        fail(&target, 5, now);
        for seconds in [1, 2, 4, 8, 16, 30, 30, 30] {
            assert!(wait_us(&target, now).abs_diff(seconds * 1_000_000) <= 1, "{seconds}");
            now = after(now, seconds);
            assert_eq!(target.try_pass(now), Pass::Probe);
            fail(&target, 1, now);
        }
    }
}

#[test]
fn failures_of_requests_that_were_under_way_do_not_prolong_it() {
    let target = Cooldown::new();
    fail(&target, 5, 0);
    fail(&target, 100, SECOND_NS / 2);
    assert_eq!(wait_us(&target, SECOND_NS / 2), 500_000);
}

#[test]
fn a_probe_that_never_reports_is_replaced() {
    let target = Cooldown::new();
    fail(&target, 5, 0);
    let now = after(0, 1);
    assert_eq!(target.try_pass(now), Pass::Probe);
    assert!(matches!(target.try_pass(now + 9 * SECOND_NS), Pass::No { .. }));
    assert_eq!(target.try_pass(after(now, 10)), Pass::Probe);
}

#[test]
fn retry_after_is_kept_to_the_moment() {
    for now in ORIGINS {
        for wait in [1, 1_500, 20_000_000, 7 * SECOND_NS, 59 * 60 * SECOND_NS] {
            let target = Cooldown::new();
            target.record_failure(FailureKind::RateLimited, Some(wait), now);
            assert!(target.is_open(now + wait - 1), "{wait} after {now}: never earlier");
            target.record_success(now + wait - 1);
            assert!(target.is_open(now + wait - 1), "a success of an older request does not cut it short");
            assert_eq!(target.try_pass(now + wait + 2_000), Pass::Probe);
        }
    }
}

#[test]
fn the_longest_retry_after_stands() {
    let target = Cooldown::new();
    target.record_failure(FailureKind::RateLimited, Some(20 * SECOND_NS), 0);
    target.record_failure(FailureKind::RateLimited, Some(5 * SECOND_NS), 0);
    assert_eq!(wait_us(&target, 0), 20_000_000);
    target.record_failure(FailureKind::RateLimited, Some(60 * SECOND_NS), SECOND_NS);
    assert_eq!(wait_us(&target, SECOND_NS), 60_000_000);
    target.record_failure(FailureKind::RateLimited, Some(u64::MAX), SECOND_NS);
    assert_eq!(wait_us(&target, SECOND_NS), 3_600_000_000, "no longer than an hour is believed");
}

#[test]
fn a_probe_that_is_rate_limited_sets_the_time_anew() {
    let target = Cooldown::new();
    target.record_failure(FailureKind::RateLimited, Some(SECOND_NS), 0);
    assert_eq!(target.try_pass(SECOND_NS), Pass::Probe);
    target.record_failure(FailureKind::RateLimited, Some(2 * SECOND_NS), SECOND_NS);
    assert_eq!(wait_us(&target, SECOND_NS), 2_000_000);
}

#[test]
fn a_rate_limit_without_a_time_counts_as_a_fault() {
    let target = Cooldown::new();
    (0..4).for_each(|_| target.record_failure(FailureKind::RateLimited, None, 0));
    assert_eq!(target.try_pass(0), Pass::Yes);
    target.record_failure(FailureKind::RateLimited, None, 0);
    assert_eq!(wait_us(&target, 0), 1_000_000);
}

#[test]
fn a_refused_account_is_out_at_once() {
    let target = Cooldown::new();
    target.record_failure(FailureKind::Rejected, None, 0);
    assert_eq!(wait_us(&target, 0), 30_000_000);
    assert_eq!(target.try_pass(30 * SECOND_NS), Pass::Probe);
    target.record_success(30 * SECOND_NS);
    assert_eq!(target.try_pass(30 * SECOND_NS), Pass::Yes);
}

#[test]
fn many_threads_get_one_probe() {
    const THREADS: usize = 8;
    for round in 0..200_u64 {
        let target = Cooldown::new();
        let now = round * SECOND_NS;
        fail(&target, 5, now);
        let (barrier, probes) = (Barrier::new(THREADS), AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    barrier.wait();
                    match target.try_pass(after(now, 1)) {
                        Pass::Probe => drop(probes.fetch_add(1, Ordering::Relaxed)),
                        Pass::No { .. } => {}
                        Pass::Yes => panic!("it is not closed"),
                    }
                });
            }
        });
        assert_eq!(probes.load(Ordering::Relaxed), 1);
    }
}

#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    Pass,
    Success,
    Failure(FailureKind, Option<u64>),
}

fn event() -> impl Strategy<Value = Event> {
    let kind =
        prop::sample::select(vec![FailureKind::Fault, FailureKind::RateLimited, FailureKind::Rejected]);
    prop_oneof![
        (0..40 * SECOND_NS).prop_map(Event::Wait),
        Just(Event::Pass),
        Just(Event::Success),
        (kind, prop::option::of(any::<u64>()))
            .prop_map(|(kind, retry_after_ns)| Event::Failure(kind, retry_after_ns)),
    ]
}

proptest! {
    /// Whatever happened, and whatever the clock says: it never panics, its answers agree with each other, and an hour
    /// later the next request is let through.
    #[test]
    fn it_always_recovers(origin: u64, events in prop::collection::vec(event(), 0..60)) {
        let target = Cooldown::new();
        let mut now = origin;
        for event in events {
            match event {
                Event::Wait(ns) => now = now.saturating_add(ns),
                Event::Pass => {
                    let open = target.is_open(now);
                    let refused = matches!(target.try_pass(now), Pass::No { .. });
                    prop_assert_eq!(refused, open);
                }
                Event::Success => target.record_success(now),
                Event::Failure(kind, retry_after_ns) => target.record_failure(kind, retry_after_ns, now),
            }
        }
        if let Some(later) = now.checked_add(3_601 * SECOND_NS) {
            let let_through = matches!(target.try_pass(later), Pass::Yes | Pass::Probe);
            prop_assert!(let_through);
            target.record_success(later);
            prop_assert_eq!(target.try_pass(later), Pass::Yes);
        }
    }
}
