//! Admission against all limits of a key, alone and under a race.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;

use proptest::prelude::*;
use sluice_limits::{Admitted, KeyState, LimitKind, Limits, PERIOD_NS, TokenBucket};

const THREADS: usize = 8;

fn limits(requests: u64, tokens: u64, concurrency: u32) -> Limits {
    Limits {
        requests_per_minute: Some(requests),
        tokens_per_minute: Some(tokens),
        concurrency: Some(concurrency),
    }
}

/// Runs `work` on several threads that begin together.
fn race(work: impl Fn(usize) + Sync) {
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (barrier, work) = (&barrier, &work);
            scope.spawn(move || {
                barrier.wait();
                work(thread);
            });
        }
    });
}

#[test]
fn refusals_name_the_limit_and_cost_nothing() {
    struct Case {
        limits: Limits,
        tokens: u64,
        which: LimitKind,
        limit: u64,
        retry_after_ns: Option<u64>,
        message: &'static str,
    }
    let used = |limits| {
        let key = KeyState::new();
        let admitted = key.admit(&limits, 60, 0);
        (key, admitted)
    };
    let cases = [
        Case {
            limits: limits(1, 1_000, 9),
            tokens: 1,
            which: LimitKind::Requests,
            limit: 1,
            retry_after_ns: Some(PERIOD_NS),
            message: "the limit of 1 requests per minute is reached",
        },
        Case {
            limits: limits(9, 100, 9),
            tokens: 41,
            which: LimitKind::Tokens,
            limit: 100,
            retry_after_ns: Some(PERIOD_NS / 100),
            message: "the limit of 100 tokens per minute is reached; this request needs 41",
        },
        Case {
            limits: limits(9, 100, 9),
            tokens: 101,
            which: LimitKind::Tokens,
            limit: 100,
            retry_after_ns: None,
            message: "this request needs 101 tokens, more than the whole limit of 100 tokens per minute",
        },
        Case {
            limits: limits(9, 1_000, 1),
            tokens: 1,
            which: LimitKind::Concurrency,
            limit: 1,
            retry_after_ns: Some(1_000_000_000),
            message: "the limit of 1 requests at once is reached",
        },
    ];
    for case in cases {
        let (key, admitted) = used(case.limits);
        let admitted = admitted.expect("the first request fits");
        let refusal = key.admit(&case.limits, case.tokens, 0).expect_err("the second does not");
        assert_eq!((refusal.which, refusal.limit), (case.which, case.limit));
        assert_eq!(refusal.retry_after_ns, case.retry_after_ns, "{refusal}");
        assert_eq!(refusal.to_string(), case.message);
        assert_eq!(key.in_flight(), 1, "{refusal}");
        let requests = key.request_level(&case.limits, 0).expect("a limit").remaining();
        let tokens = key.token_level(&case.limits, 0).expect("a limit").remaining();
        assert_eq!(requests, case.limits.requests_per_minute.expect("a limit") - 1, "{refusal}");
        assert_eq!(tokens, case.limits.tokens_per_minute.expect("a limit") - 60, "{refusal}");
        key.settle(&case.limits, admitted, 10, 0);
        assert_eq!(key.in_flight(), 0);
    }
}

#[test]
fn zero_lets_nothing_through_and_none_everything() {
    let key = KeyState::new();
    for (zero, which) in [
        (Limits { requests_per_minute: Some(0), ..Limits::default() }, LimitKind::Requests),
        (Limits { tokens_per_minute: Some(0), ..Limits::default() }, LimitKind::Tokens),
        (Limits { concurrency: Some(0), ..Limits::default() }, LimitKind::Concurrency),
    ] {
        let refusal = key.admit(&zero, 1, 0).expect_err("nothing fits");
        assert_eq!((refusal.which, refusal.limit, refusal.retry_after_ns), (which, 0, None));
    }
    let unlimited = Limits::default();
    let admitted: Vec<_> =
        (0..1_000).map(|_| key.admit(&unlimited, u64::MAX, 0).expect("no limit")).collect();
    assert_eq!(key.in_flight(), 1_000);
    assert!(key.request_level(&unlimited, 0).is_none() && key.token_level(&unlimited, 0).is_none());
    admitted.into_iter().for_each(|admitted| key.settle(&unlimited, admitted, u64::MAX, 0));
    assert_eq!(key.in_flight(), 0);
    assert!(key.admit(&limits(1, 1, 1), 1, 0).is_ok(), "what was unlimited was not charged");
}

#[test]
fn a_concurrency_limit_that_is_set_later_counts_what_runs_already() {
    let key = KeyState::new();
    let running = key.admit(&Limits::default(), 0, 0).expect("no limit");
    let limit = Limits { concurrency: Some(1), ..Limits::default() };
    assert!(key.admit(&limit, 0, 0).is_err());
    key.settle(&limit, running, 0, 0);
    assert!(key.admit(&limit, 0, 0).is_ok());
}

#[test]
fn settling_replaces_the_estimate() {
    let (key, limits) = (KeyState::new(), limits(100, 1_000, 10));
    let remaining = |now| key.token_level(&limits, now).expect("a limit").remaining();
    let admitted = key.admit(&limits, 800, 0).expect("room");
    assert_eq!(admitted.reserved_tokens(), 800);
    assert_eq!(remaining(0), 200);
    key.settle(&limits, admitted, 150, 0);
    assert_eq!(remaining(0), 850);
    let admitted = key.admit(&limits, 50, 0).expect("room");
    key.settle(&limits, admitted, 1_000, 0);
    assert_eq!(remaining(0), 0);
    assert!(key.admit(&limits, 1, 0).is_err(), "in debt");
    assert_eq!(
        key.request_level(&limits, 0).expect("a limit").remaining(),
        98,
        "a request is spent once admitted"
    );
}

#[test]
fn a_token_limit_that_is_set_while_a_request_runs_charges_it() {
    let key = KeyState::new();
    let admitted = key.admit(&Limits::default(), 500, 0).expect("no limit");
    let limits = limits(10, 1_000, 10);
    key.settle(&limits, admitted, 400, 0);
    assert_eq!(key.token_level(&limits, 0).expect("a limit").remaining(), 600);
}

#[test]
fn concurrency_is_never_exceeded() {
    const LIMIT: u32 = 3;
    let (key, limits) = (KeyState::new(), Limits { concurrency: Some(LIMIT), ..Limits::default() });
    let (inside, most, admitted) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU64::new(0));
    race(|_| {
        for i in 0..20_000 {
            let Ok(permit) = key.admit(&limits, 0, i) else { continue };
            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            if i % 64 == 0 {
                thread::yield_now();
            }
            inside.fetch_sub(1, Ordering::SeqCst);
            key.settle(&limits, permit, 0, i);
            admitted.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert!(most.load(Ordering::SeqCst) <= LIMIT);
    assert!(admitted.load(Ordering::Relaxed) > 0);
    assert_eq!(key.in_flight(), 0);
}

#[test]
fn a_race_for_the_last_requests_admits_exactly_the_limit() {
    for limit in [1, 10, 997] {
        for origin in [0, 1_700_000_000_000_000_000] {
            let (key, limits) = (KeyState::new(), limits(limit, u64::MAX, u32::MAX));
            let admitted = AtomicU64::new(0);
            race(|_| {
                for _ in 0..2_000 {
                    admitted.fetch_add(u64::from(key.admit(&limits, 0, origin).is_ok()), Ordering::Relaxed);
                }
            });
            assert_eq!(admitted.load(Ordering::Relaxed), limit);
        }
    }
}

/// Each thread has a clock of its own that runs a little apart from the others.
#[test]
fn a_race_over_time_grants_the_limit_and_the_refill() {
    const LIMIT: u64 = 60_000;
    const STEP_NS: u64 = 50_000;
    const ROUNDS: u64 = 20_000;
    let (bucket, granted) = (TokenBucket::new(), AtomicU64::new(0));
    race(|thread| {
        for round in 0..ROUNDS {
            let now = 1 + round * STEP_NS + thread as u64;
            for n in [1, 7] {
                if bucket.try_take(n, LIMIT, now).is_ok() {
                    granted.fetch_add(n, Ordering::Relaxed);
                }
            }
        }
    });
    let granted = granted.load(Ordering::Relaxed);
    let refill = LIMIT * (ROUNDS * STEP_NS + THREADS as u64) / PERIOD_NS;
    assert!(granted <= LIMIT + refill + 1, "{granted}");
    assert!(granted >= LIMIT, "{granted}");
}

#[test]
fn a_race_of_settlements_loses_nothing() {
    let (key, limits) = (KeyState::new(), limits(u64::MAX, 1_000_000, u32::MAX));
    let used = |i: u64| i % 45;
    race(|_| {
        for i in 0..5_000 {
            let admitted: Admitted = key.admit(&limits, 2 * used(i), 1_000).expect("refunds make room");
            key.settle(&limits, admitted, used(i), 1_000);
        }
    });
    let spent = THREADS as u64 * (0..5_000).map(used).sum::<u64>();
    let remaining = key.token_level(&limits, 1_000).expect("a limit").remaining();
    assert!(remaining.abs_diff(1_000_000 - spent) <= 1, "{remaining} after {spent}");
}

proptest! {
    /// Any history of one key against a plain account of it, under a clock that stands still.
    #[test]
    fn a_standing_clock_is_plain_arithmetic(
        requests in 1..50_u64, tokens in 1..5_000_u64, concurrency in 1..8_u32,
        steps in prop::collection::vec((any::<bool>(), 0..2_000_u64, any::<prop::sample::Index>()), 1..120),
        now: u64,
    ) {
        let (key, limits) = (KeyState::new(), limits(requests, tokens, concurrency));
        let (mut requests_left, mut tokens_left) = (requests, i128::from(tokens));
        let mut open = Vec::new();
        for (admit, amount, index) in steps {
            if admit {
                let fits = open.len() < concurrency as usize && requests_left > 0 && i128::from(amount) <= tokens_left.max(0);
                let admitted = key.admit(&limits, amount, now);
                prop_assert_eq!(admitted.is_ok(), fits, "{:?}", admitted);
                if let Ok(admitted) = admitted {
                    requests_left -= 1;
                    tokens_left -= i128::from(amount);
                    open.push(admitted);
                }
            } else if !open.is_empty() {
                let admitted = open.swap_remove(index.index(open.len()));
                tokens_left += i128::from(admitted.reserved_tokens()) - i128::from(amount);
                key.settle(&limits, admitted, amount, now);
            }
            prop_assert_eq!(key.in_flight() as usize, open.len());
            prop_assert_eq!(key.request_level(&limits, now).expect("a limit").remaining(), requests_left);
            prop_assert_eq!(i128::from(key.token_level(&limits, now).expect("a limit").remaining()), tokens_left.max(0));
        }
    }
}
