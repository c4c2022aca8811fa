//! The token bucket under a clock that is set by hand.

use proptest::prelude::*;
use sluice_limits::{Charge, PERIOD_NS, Shortage, TokenBucket};

const SECOND_NS: u64 = 1_000_000_000;

/// Times at which arithmetic on time goes wrong if it does.
const ORIGINS: [u64; 6] = [0, 1, 12_345_678_901, u64::MAX / 16, u64::MAX / 2, u64::MAX - 3 * PERIOD_NS];

/// Takes single tokens until one is refused.
fn drain(bucket: &TokenBucket, limit: u64, now_ns: u64) -> u64 {
    (0..).take_while(|_| bucket.try_take(1, limit, now_ns).is_ok()).count() as u64
}

fn retry_after(bucket: &TokenBucket, n: u64, limit: u64, now_ns: u64) -> u64 {
    match bucket.try_take(n, limit, now_ns) {
        Err(Shortage::RetryAfter(ns)) => ns,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_bucket_holds_exactly_the_limit() {
    for origin in ORIGINS {
        for limit in [1, 2, 3, 7, 59, 60, 61, 999, 1_000, 4_999, 10_007, 100_000] {
            let bucket = TokenBucket::new();
            assert_eq!(drain(&bucket, limit, origin), limit, "limit {limit} at {origin}");
            assert_eq!(bucket.level(limit, origin).remaining(), 0);
        }
    }
}

#[test]
fn tokens_come_back_evenly() {
    for origin in ORIGINS {
        let bucket = TokenBucket::new();
        assert_eq!(drain(&bucket, 60, origin), 60);
        assert_eq!(drain(&bucket, 60, origin + SECOND_NS - 1), 0);
        assert_eq!(drain(&bucket, 60, origin + SECOND_NS), 1);
        assert_eq!(drain(&bucket, 60, origin + 10 * SECOND_NS), 9);
        assert_eq!(drain(&bucket, 60, origin + 2 * PERIOD_NS), 60, "never more than the limit");
    }
}

#[test]
fn refusals_say_when_to_come_back() {
    let bucket = TokenBucket::new();
    assert_eq!(drain(&bucket, 60, 0), 60);
    assert_eq!(retry_after(&bucket, 1, 60, 0), SECOND_NS);
    assert_eq!(retry_after(&bucket, 60, 60, 0), PERIOD_NS);
    assert_eq!(retry_after(&bucket, 5, 60, SECOND_NS), 4 * SECOND_NS);
}

#[test]
fn what_never_fits_is_told_apart() {
    let bucket = TokenBucket::new();
    for (n, limit) in [(61, 60), (1, 0), (u64::MAX, u64::MAX - 1)] {
        assert_eq!(bucket.try_take(n, limit, 5), Err(Shortage::NeverFits), "{n} of {limit}");
    }
    assert_eq!(bucket.try_take(0, 0, 5), Ok(Charge::NONE));
    assert_eq!(bucket.level(60, 5).remaining(), 60, "nothing was taken");
    assert!(bucket.try_take(u64::MAX, u64::MAX, 5).is_ok());
    assert!(bucket.try_take(1, u64::MAX, 5).is_err());
}

#[test]
fn levels_are_those_of_the_headers() {
    let bucket = TokenBucket::new();
    let level = bucket.level(1_000, 7);
    assert_eq!((level.limit(), level.remaining(), level.reset_ns()), (1_000, 1_000, 0));
    let _charge = bucket.try_take(250, 1_000, 7).expect("room");
    let level = bucket.level(1_000, 7);
    assert_eq!((level.remaining(), level.reset_ns()), (750, PERIOD_NS / 4));
    let level = bucket.level(1_000, 7 + PERIOD_NS / 8);
    assert_eq!((level.remaining(), level.reset_ns()), (875, PERIOD_NS / 8));
    assert_eq!(bucket.level(0, 7).remaining(), 0);
}

#[test]
fn settling_gives_back_or_charges() {
    let bucket = TokenBucket::new();
    let charge = bucket.try_take(600, 1_000, 0).expect("room");
    bucket.settle(charge, 100, 1_000, 0);
    assert_eq!(bucket.level(1_000, 0).remaining(), 900);
    let charge = bucket.try_take(100, 1_000, 0).expect("room");
    bucket.settle(charge, 300, 1_000, 0);
    assert_eq!(bucket.level(1_000, 0).remaining(), 600);
    let charge = bucket.try_take(500, 1_000, 0).expect("room");
    bucket.settle(charge, 500, 1_000, 0);
    assert_eq!(bucket.level(1_000, 0).remaining(), 100);
    bucket.settle(Charge::NONE, 40, 1_000, 0);
    assert_eq!(bucket.level(1_000, 0).remaining(), 60);
}

#[test]
fn a_debt_is_paid_back_before_anything_is_granted() {
    let bucket = TokenBucket::new();
    let charge = bucket.try_take(10, 1_000, 0).expect("room");
    bucket.settle(charge, 3_000, 1_000, 0);
    assert_eq!(bucket.level(1_000, 0).remaining(), 0);
    assert!(bucket.try_take(1, 1_000, 2 * PERIOD_NS).is_err());
    assert!(bucket.try_take(1, 1_000, 2 * PERIOD_NS + PERIOD_NS / 1_000).is_ok());
}

#[test]
fn no_debt_lasts_longer_than_an_hour() {
    const HOUR_NS: u64 = 60 * PERIOD_NS;
    for origin in [0, u64::MAX / 16 - 5, u64::MAX - 2 * HOUR_NS] {
        let bucket = TokenBucket::new();
        for actual in [1_000_000_000, u64::MAX] {
            let charge = bucket.try_take(0, 10, origin).expect("nothing");
            bucket.settle(charge, actual, 10, origin);
        }
        assert_eq!(bucket.level(10, origin).reset_ns(), HOUR_NS + PERIOD_NS);
        assert!(bucket.try_take(1, 10, origin + HOUR_NS).is_err());
        assert!(bucket.try_take(1, 10, origin + HOUR_NS + PERIOD_NS / 10).is_ok());
    }
}

/// A reservation of an earlier minute has been paid back by time; giving it back again would erase what others took.
#[test]
fn what_time_paid_back_is_not_given_back_again() {
    let bucket = TokenBucket::new();
    let old = bucket.try_take(1_000, 1_000, 0).expect("room");
    let new = bucket.try_take(1_000, 1_000, PERIOD_NS).expect("a minute later it is full again");
    bucket.settle(old, 0, 1_000, PERIOD_NS);
    assert_eq!(bucket.level(1_000, PERIOD_NS).remaining(), 0);
    bucket.settle(new, 400, 1_000, PERIOD_NS);
    assert_eq!(bucket.level(1_000, PERIOD_NS).remaining(), 600);
}

/// A key that never rests gets back what a long request did not use.
#[test]
fn a_late_refund_counts_while_the_bucket_was_never_full() {
    let bucket = TokenBucket::new();
    let long = bucket.try_take(900, 1_000, 0).expect("room");
    for half_minute in 1..6 {
        let now = half_minute * PERIOD_NS / 2;
        let charge = bucket.try_take(500, 1_000, now).expect("what half a minute brings");
        bucket.settle(charge, 500, 1_000, now);
    }
    let now = 3 * PERIOD_NS;
    assert_eq!(bucket.level(1_000, now).remaining(), 600);
    bucket.settle(long, 300, 1_000, now);
    assert_eq!(bucket.level(1_000, now).remaining(), 1_000, "600 came back, and full is full");
}

#[test]
fn a_new_limit_takes_effect_at_once_and_keeps_the_share_that_is_used() {
    let bucket = TokenBucket::new();
    let charge = bucket.try_take(50, 100, 0).expect("room");
    assert_eq!(bucket.level(1_000, 0).remaining(), 500);
    assert_eq!(bucket.level(10, 0).remaining(), 5);
    bucket.settle(charge, 0, 10, 0);
    assert_eq!(bucket.level(10, 0).remaining(), 10, "what is given back is what was taken");
}

#[test]
fn a_clock_that_jumps_does_not_lock_anybody_out() {
    let bucket = TokenBucket::new();
    assert_eq!(drain(&bucket, 100, u64::MAX - 5), 100);
    assert_eq!(drain(&bucket, 100, u64::MAX), 0);
    let hour = 60 * PERIOD_NS;
    assert_eq!(drain(&bucket, 100, 10 * hour), 100, "a clock that began anew");
    assert_eq!(drain(&bucket, 100, 30 * hour), 100);
    assert_eq!(drain(&bucket, 100, 30 * hour - 1_000), 0, "a step back grants nothing");
}

/// The word that stands for an untouched bucket is also an instant; a bucket that is full again at it is not untouched.
#[test]
fn a_bucket_that_is_full_at_the_reserved_instant_is_not_taken_for_untouched() {
    let now = (1 << 60) - PERIOD_NS;
    let bucket = TokenBucket::new();
    assert_eq!(drain(&bucket, 1, now), 1);
    assert_eq!(drain(&bucket, 1, now + PERIOD_NS / 2), 0);
    assert_eq!(drain(&bucket, 1, now + PERIOD_NS), 1);
}

/// What happens next to a bucket.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Take(u64),
    Settle { index: prop::sample::Index, actual: u64 },
}

fn step(limit: u64) -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop_oneof![Just(0), 0..2 * SECOND_NS, 0..2 * PERIOD_NS, Just(7 * 3_600 * SECOND_NS)].prop_map(Step::Wait),
        6 => prop_oneof![Just(1), 1..=limit, 1..=1 + limit / 10].prop_map(Step::Take),
        3 => (any::<prop::sample::Index>(), 0..=2 * limit).prop_map(|(index, actual)| Step::Settle { index, actual }),
    ]
}

fn history() -> impl Strategy<Value = (u64, u64, Vec<Step>)> {
    let limit = prop_oneof![1..100_u64, 1..1_000_000_u64, 1..100_000_000_u64, Just(60), Just(7)];
    let origin = prop_oneof![Just(0), any::<u64>(), Just(u64::MAX - PERIOD_NS)];
    (limit, origin).prop_flat_map(|(limit, origin)| {
        (Just(limit), Just(origin), prop::collection::vec(step(limit), 1..80))
    })
}

/// Tokens that refill within a span, rounded up.
fn refill(limit: u64, span_ns: u64) -> u128 {
    (u128::from(limit) * u128::from(span_ns)).div_ceil(u128::from(PERIOD_NS))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Over every span that begins and ends with a grant, grants less refunds stay within the limit and the refill.
    #[test]
    fn no_window_grants_more_than_limit_and_refill((limit, origin, steps) in history()) {
        let bucket = TokenBucket::new();
        let (mut elapsed, mut open, mut net) = (0_u64, Vec::new(), Vec::<(u64, i128)>::new());
        for step in steps {
            let now = origin.wrapping_add(elapsed);
            match step {
                Step::Wait(ns) => elapsed += ns,
                Step::Take(n) => {
                    if let Ok(charge) = bucket.try_take(n, limit, now) {
                        net.push((elapsed, i128::from(n)));
                        open.push(charge);
                    }
                }
                Step::Settle { index, actual } if !open.is_empty() => {
                    let charge = open.swap_remove(index.index(open.len()));
                    let reserved = charge.tokens();
                    let before = bucket.level(limit, now);
                    bucket.settle(charge, actual.min(reserved), limit, now);
                    let after = bucket.level(limit, now);
                    prop_assert!(after.reset_ns() <= before.reset_ns(), "a refund never takes");
                    prop_assert!(after.remaining() <= limit);
                    net.push((elapsed, -i128::from(reserved - actual.min(reserved))));
                }
                Step::Settle { .. } => {}
            }
        }
        for first in 0..net.len() {
            let mut sum = 0;
            for &(at, amount) in &net[first..] {
                sum += amount;
                let bound = u128::from(limit) + refill(limit, at - net[first].0);
                prop_assert!(sum <= i128::try_from(bound).expect("a small number"), "{sum} within {} ns", at - net[first].0);
            }
        }
    }

    /// A refusal's hint is kept: nothing earlier, and then it works.
    #[test]
    fn hints_are_exact((limit, origin, steps) in history(), n in 1..1_000_000_u64) {
        let bucket = TokenBucket::new();
        let mut now = origin;
        for step in steps {
            match step {
                Step::Wait(ns) => now = now.wrapping_add(ns),
                Step::Take(n) => drop(bucket.try_take(n, limit, now)),
                Step::Settle { actual, .. } => bucket.settle(Charge::NONE, actual, limit, now),
            }
        }
        let n = n.min(limit);
        if let Err(Shortage::RetryAfter(wait)) = bucket.try_take(n, limit, now) {
            prop_assert!(wait > 0);
            prop_assert!(bucket.try_take(n, limit, now.wrapping_add(wait - 1)).is_err());
            prop_assert!(bucket.try_take(n, limit, now.wrapping_add(wait)).is_ok());
        }
    }

    /// What a header promises is to be had, and no more.
    #[test]
    fn remaining_is_exact((limit, origin, steps) in history()) {
        let bucket = TokenBucket::new();
        let mut now = origin;
        for step in steps {
            match step {
                Step::Wait(ns) => now = now.wrapping_add(ns),
                Step::Take(n) => drop(bucket.try_take(n, limit, now)),
                Step::Settle { actual, .. } => bucket.settle(Charge::NONE, actual, limit, now),
            }
            let remaining = bucket.level(limit, now).remaining();
            prop_assert!(bucket.try_take(remaining + 1, limit, now).is_err());
        }
        let remaining = bucket.level(limit, now).remaining();
        prop_assert!(bucket.try_take(remaining, limit, now).is_ok());
    }

    /// Whatever the numbers, nothing panics and nothing is locked for more than the longest debt.
    #[test]
    fn any_numbers_at_all(calls in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>()), 0..20)) {
        let bucket = TokenBucket::new();
        for (n, limit, now, actual) in calls {
            if let Ok(charge) = bucket.try_take(n, limit, now) {
                bucket.settle(charge, actual, limit, now);
            }
            let level = bucket.level(limit, now);
            prop_assert!(level.remaining() <= limit);
            prop_assert!(level.reset_ns() <= 61 * PERIOD_NS);
            prop_assert!(limit == 0 || bucket.try_take(1, limit, now.wrapping_add(62 * PERIOD_NS)).is_ok());
        }
    }
}
