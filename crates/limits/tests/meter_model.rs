//! Meters against plain models: lists of all that was ever used.

mod support;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;
use sluice_limits::meter::{CalendarUnit, MeterState, Reservation, WindowSpec};
use support::{Clocked, HOUR_MS, MINUTE_MS, NS_PER_MS, SECOND_MS, ZONES, calendar, fixed, meter, utc};

/// What happens to a meter.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    /// A request whose time is this much before the newest that was seen.
    Late(u64, i64),
    Reserve(i64),
    /// Settles one of the open reservations with so many hundredths of it.
    Settle(Index, i64),
}

fn steps(longest_ms: u64, limit: i64) -> impl Strategy<Value = Vec<Step>> {
    let wait = prop_oneof![0..longest_ms / 20, 0..2 * longest_ms, Just(longest_ms), Just(longest_ms / 16)];
    let amount = || prop_oneof![1..=limit / 10 + 1, 0..=limit + 1];
    let step = prop_oneof![
        3 => wait.prop_map(Step::Wait),
        1 => (0..longest_ms, amount()).prop_map(|(ago, amount)| Step::Late(ago, amount)),
        6 => amount().prop_map(Step::Reserve),
        4 => (any::<Index>(), prop_oneof![0..=100_i64, 100..=150_i64]).prop_map(|(i, part)| Step::Settle(i, part)),
    ];
    prop::collection::vec(step, 1..100)
}

fn limits() -> impl Strategy<Value = i64> {
    prop_oneof![1..20_i64, 1..1_000_000_i64, Just(9_000_000_000_000_000_000 / 200)]
}

/// Every window by its beginning, with all that was used in it.
struct Labels<'m> {
    meter: &'m MeterState,
    limit: i64,
    used: BTreeMap<u64, i64>,
}

impl Labels<'_> {
    fn label(&self, wall_ms: u64) -> u64 {
        // A counter that has seen nothing knows the edges, and nothing else.
        self.meter.level(wall_ms, 0).window_start_ms.expect("a window")
    }

    fn reserve(&mut self, wall_ms: u64, amount: i64) -> Option<u64> {
        let label = self.label(wall_ms);
        let used = self.used.entry(label).or_default();
        let fits = amount == 0 || *used + amount <= self.limit;
        fits.then(|| {
            *used += amount;
            label
        })
    }
}

fn part_of(amount: i64, hundredths: i64) -> i64 {
    i64::try_from(i128::from(amount) * i128::from(hundredths) / 100).expect("a part")
}

/// Windows that a test goes through, with the length of one.
fn windows_with_edges() -> impl Strategy<Value = (WindowSpec, u64)> {
    let zone = prop::sample::select(ZONES.to_vec());
    prop_oneof![
        Just((fixed(MINUTE_MS), MINUTE_MS)),
        Just((WindowSpec::Fixed { period_ms: 7 * SECOND_MS, anchor_ms: 3 * SECOND_MS }, 7 * SECOND_MS)),
        zone.clone().prop_map(|zone| (calendar(CalendarUnit::Hour, zone), HOUR_MS / 2)),
        zone.clone().prop_map(|zone| (calendar(CalendarUnit::Day, zone), 22 * HOUR_MS)),
        zone.prop_map(|zone| (calendar(CalendarUnit::Month, zone), 27 * 24 * HOUR_MS)),
    ]
}

fn windowed() -> impl Strategy<Value = (WindowSpec, i64, Vec<Step>)> {
    (windows_with_edges(), limits())
        .prop_flat_map(|((window, length), limit)| (Just(window), Just(limit), steps(length, limit)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_500) })]

    /// Windows with edges grant exactly what the sum of their own events leaves, for requests up to a window late too.
    #[test]
    fn windows_are_sums_of_their_events((window, limit, steps) in windowed(), begin in 0..400 * 24 * HOUR_MS) {
        let mut clock = Clocked::new(meter(limit, window.clone()), utc("2026-01-01T00:00:00") + begin);
        let edges = meter(limit, window);
        let mut model = Labels { meter: &edges, limit, used: BTreeMap::new() };
        let mut open: Vec<(Reservation, u64)> = Vec::new();
        for step in steps {
            match step {
                Step::Wait(ms) => clock.wait(ms),
                Step::Reserve(_) | Step::Late(..) => {
                    let (ago, amount) = if let Step::Late(ago, amount) = step { (ago, amount) } else { (0, 0) };
                    let amount = if let Step::Reserve(amount) = step { amount } else { amount };
                    let wall_ms = clock.wall_ms - ago;
                    let granted = clock.meter.reserve(amount, wall_ms, clock.mono_ns).ok();
                    let expected = model.reserve(wall_ms, amount);
                    prop_assert_eq!(granted.is_some(), expected.is_some());
                    open.extend(granted.zip(expected));
                }
                Step::Settle(index, part) if !open.is_empty() => {
                    let (reservation, label) = open.swap_remove(index.index(open.len()));
                    let amount = reservation.amount();
                    let actual = part_of(amount, part);
                    clock.settle(reservation, actual);
                    *model.used.entry(label).or_default() += actual - amount;
                }
                Step::Settle(..) => {}
            }
            let label = model.label(clock.wall_ms);
            prop_assert_eq!(clock.used(), model.used.get(&label).copied().unwrap_or(0));
        }
    }

    /// A sliding window grants exactly what the events of its seventeen steps leave. In no span of its length more than
    /// the limit is granted, less what was given back, and what was used beyond a reservation apart.
    #[test]
    fn sliding_windows_are_sums_of_their_steps(
        (limit, steps) in limits().prop_flat_map(|limit| (Just(limit), steps(MINUTE_MS, limit))),
        period_ms in prop::sample::select(vec![MINUTE_MS, SECOND_MS, 50_021]),
    ) {
        let step_ns = (period_ms * NS_PER_MS).div_ceil(16);
        let mut clock = Clocked::new(meter(limit, WindowSpec::Sliding { period_ms }), utc("2026-01-01T00:00:00"));
        // Each event: when, what it counts now, and what it was granted and kept of that.
        let mut events: Vec<(u64, i64, i64)> = Vec::new();
        let mut open: Vec<(Reservation, usize)> = Vec::new();
        for step in steps {
            match step {
                Step::Wait(ms) => clock.wait(ms),
                Step::Reserve(amount) | Step::Late(_, amount) => {
                    let oldest = (clock.mono_ns / step_ns).saturating_sub(16);
                    let used: i64 = events.iter().filter(|e| e.0 / step_ns >= oldest).map(|e| e.1).sum();
                    let granted = clock.reserve(amount);
                    prop_assert_eq!(granted.is_some(), amount == 0 || used + amount <= limit);
                    if let Some(granted) = granted {
                        open.push((granted, events.len()));
                        events.push((clock.mono_ns, amount, amount));
                    }
                }
                Step::Settle(index, part) if !open.is_empty() => {
                    let (reservation, event) = open.swap_remove(index.index(open.len()));
                    let amount = reservation.amount();
                    let actual = part_of(amount, part);
                    clock.settle(reservation, actual);
                    events[event].1 = actual;
                    events[event].2 = actual.min(amount);
                }
                Step::Settle(..) => {}
            }
        }
        for last in 0..events.len() {
            let from = events[last].0.saturating_sub(period_ms * NS_PER_MS);
            let granted: i64 = events[..=last].iter().filter(|e| e.0 >= from).map(|e| e.2).sum();
            prop_assert!(granted <= limit, "{} of {} in one span", granted, limit);
        }
    }

    /// A hint of a window that slides is kept, and not early by a nanosecond. Nor is one of a rate.
    #[test]
    fn hints_are_exact(
        steps in steps(MINUTE_MS, 1_000),
        amount in 1..=1_000_i64,
        window in prop::sample::select(vec![
            WindowSpec::Sliding { period_ms: MINUTE_MS },
            WindowSpec::Rate { period_ms: HOUR_MS },
            WindowSpec::Rate { period_ms: 366 * 24 * HOUR_MS },
            WindowSpec::Rate { period_ms: 1 },
            fixed(MINUTE_MS),
        ]),
    ) {
        let mut clock = Clocked::new(meter(1_000, window.clone()), utc("2026-01-01T00:00:00"));
        for step in steps {
            match step {
                Step::Wait(ms) => clock.wait(ms),
                Step::Reserve(amount) | Step::Late(_, amount) => {
                    let _granted = clock.use_up(amount);
                }
                Step::Settle(..) => {}
            }
        }
        if let Err(shortage) = clock.meter.reserve(amount, clock.wall_ms, clock.mono_ns) {
            let wait = shortage.retry_after_ns.expect("it fits the limit");
            let try_at = |ns: u64| {
                clock.meter.reserve(amount, clock.wall_ms + ns / NS_PER_MS, clock.mono_ns + ns).is_ok()
            };
            prop_assert!(wait > 0 && !try_at(wait - 1));
            prop_assert!(try_at(wait));
        }
    }

    /// Over every span a rate grants the limit and what refills, whatever its period.
    #[test]
    fn rates_grant_limit_and_refill(
        steps in steps(HOUR_MS, 1_000),
        period_ms in prop_oneof![1..100_u64, Just(MINUTE_MS), Just(HOUR_MS), Just(366 * 24 * HOUR_MS)],
    ) {
        let mut clock = Clocked::new(meter(1_000, WindowSpec::Rate { period_ms }), 0);
        let mut grants: Vec<(u64, i64)> = Vec::new();
        for step in steps {
            match step {
                Step::Wait(ms) => clock.wait(ms),
                Step::Reserve(amount) | Step::Late(_, amount) if clock.use_up(amount) => {
                    grants.push((clock.mono_ns, amount));
                }
                _ => {}
            }
        }
        for first in 0..grants.len() {
            let mut sum = 0;
            for &(at, amount) in &grants[first..] {
                sum += i128::from(amount);
                let span = u128::from(at - grants[first].0);
                let refill = (span * 1_000).div_ceil(u128::from(period_ms * NS_PER_MS));
                prop_assert!(sum <= 1_000 + i128::try_from(refill).expect("small"));
            }
        }
    }

    /// Any numbers: nothing panics, nothing is negative, and what is given back leaves nothing behind.
    #[test]
    fn any_numbers_at_all(
        calls in prop::collection::vec((any::<i64>(), any::<i64>(), any::<u64>(), any::<u64>()), 0..30),
        limit in 0..=9_000_000_000_000_000_000_i64,
        kind in 0..6_usize,
    ) {
        let window = [
            WindowSpec::Rate { period_ms: MINUTE_MS },
            fixed(MINUTE_MS),
            WindowSpec::Sliding { period_ms: MINUTE_MS },
            calendar(CalendarUnit::Day, "Europe/Berlin"),
            calendar(CalendarUnit::Hour, "Australia/Lord_Howe"),
            WindowSpec::Ever,
        ][kind].clone();
        let meter = meter(limit, window);
        for (amount, actual, wall_ms, mono_ns) in calls {
            match meter.reserve(amount, wall_ms, mono_ns) {
                Ok(reservation) => meter.settle(reservation, actual, mono_ns),
                Err(shortage) => prop_assert!(shortage.used >= 0),
            }
            let level = meter.level(wall_ms, mono_ns);
            prop_assert!(level.used >= 0 && level.reserved == 0);
            prop_assert!((0..=limit).contains(&level.remaining()));
            meter.preload(wall_ms, 0, wall_ms, mono_ns);
        }
    }
}
