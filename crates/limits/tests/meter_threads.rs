//! Meters under eight threads: never more is held than the limit, and in the end the counter is the sum of what was used.

mod support;

use std::sync::Barrier;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use sluice_limits::meter::{CalendarUnit, MeterState, WindowSpec};
use support::{HOUR_MS, MINUTE_MS, NS_PER_MS, calendar, fixed, meter, utc};

const THREADS: u64 = 8;
const LIMIT: i64 = 1_000;

/// A generator of numbers that need not be good ones.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn amount(&mut self, end: i64) -> i64 {
        self.below(end.cast_unsigned()).cast_signed()
    }
}

fn on_threads(work: impl Fn(u64) + Sync) {
    thread::scope(|scope| {
        for i in 0..THREADS {
            let work = &work;
            scope.spawn(move || work(i));
        }
    });
}

/// Reserves and settles, with what is surely held beside: it grows after a grant and shrinks before the settlement, so that
/// it is never more than what the meter has granted.
fn hammer(meter: &MeterState, held: &AtomicI64, numbers: &mut Numbers, wall_ms: u64, mono_ns: u64) {
    let amount = numbers.amount(LIMIT / 2);
    let Ok(reservation) = meter.reserve(amount, wall_ms, mono_ns) else { return };
    let now = held.fetch_add(amount, Ordering::SeqCst) + amount;
    assert!(now <= LIMIT, "{now} are held");
    if numbers.below(4) == 0 {
        thread::yield_now();
    }
    // Mostly little is used, so that there is room again and again near the limit.
    let actual = if numbers.below(400) == 0 { numbers.amount(amount + 1).min(3) } else { 0 };
    held.fetch_sub(amount - actual, Ordering::SeqCst);
    meter.settle(reservation, actual, mono_ns);
}

#[test]
fn never_more_than_the_limit_is_held() {
    let wall_ms = utc("2026-05-13T10:30:00");
    let windows = [
        fixed(HOUR_MS),
        calendar(CalendarUnit::Month, "Europe/Berlin"),
        WindowSpec::Sliding { period_ms: HOUR_MS },
        WindowSpec::Ever,
    ];
    for window in windows {
        let (meter, held) = (meter(LIMIT, window.clone()), AtomicI64::new(0));
        on_threads(|i| {
            let mut numbers = Numbers(i);
            (0..30_000).for_each(|_| hammer(&meter, &held, &mut numbers, wall_ms, 0));
        });
        let level = meter.level(wall_ms, 0);
        assert_eq!((level.used, level.reserved), (held.into_inner(), 0), "{window:?}");
    }
}

/// Threads on both sides of an edge, which moves on with every round; reservations of the window before are settled in
/// the one after. Every window's sum is its own.
#[test]
fn at_the_edge_every_window_counts_its_own() {
    const ROUNDS: usize = 300;
    let begin = utc("2026-05-13T10:30:00");
    for window in [fixed(MINUTE_MS), WindowSpec::Fixed { period_ms: MINUTE_MS, anchor_ms: 7_000 }] {
        let meter = meter(LIMIT, window);
        let held: Vec<AtomicI64> = (0..=ROUNDS).map(|_| AtomicI64::new(0)).collect();
        let barrier = Barrier::new(usize::try_from(THREADS).expect("a small number"));
        on_threads(|i| {
            let mut numbers = Numbers(i);
            for round in 0..ROUNDS {
                barrier.wait();
                for _ in 0..60 {
                    let window = round + usize::from(numbers.below(2) == 0);
                    let wall_ms = begin + window as u64 * MINUTE_MS + numbers.below(7_000);
                    hammer(&meter, &held[window], &mut numbers, wall_ms, 0);
                }
                let open = meter.reserve(1, begin + round as u64 * MINUTE_MS, 0);
                barrier.wait();
                let (first, second) = (&held[round], &held[round + 1]);
                let at = begin + round as u64 * MINUTE_MS;
                let used = |wall_ms| meter.level(wall_ms, 0).used;
                let waiting = if i == 0 { Some((used(at), used(at + MINUTE_MS))) } else { None };
                barrier.wait();
                if let Ok(open) = open {
                    meter.settle(open, 0, 0);
                }
                barrier.wait();
                if let Some((before, after)) = waiting {
                    assert_eq!(used(at), first.load(Ordering::SeqCst), "round {round}");
                    assert_eq!(used(at + MINUTE_MS), second.load(Ordering::SeqCst), "round {round}");
                    assert!(before >= used(at) && after == used(at + MINUTE_MS));
                }
            }
        });
    }
}

/// Time goes on while all threads reserve and settle; a step is dropped while it is added to. What is left when
/// everything has slid out is nothing, and nothing was lost on the way.
#[test]
fn sliding_steps_lose_nothing() {
    let period_ns = 1_000 * NS_PER_MS;
    for _ in 0..20 {
        let (meter, held) = (meter(LIMIT, WindowSpec::Sliding { period_ms: 1_000 }), AtomicI64::new(0));
        let clock = AtomicI64::new(0);
        on_threads(|i| {
            let mut numbers = Numbers(i);
            let mut open = Vec::new();
            for _ in 0..3_000 {
                let now = clock.fetch_add(997_000, Ordering::SeqCst).cast_unsigned();
                open.extend(meter.reserve(numbers.amount(20), 0, now));
                if numbers.below(3) > 0 && !open.is_empty() {
                    let index = numbers.below(open.len() as u64);
                    let reservation = open.swap_remove(usize::try_from(index).expect("small"));
                    let actual = numbers.amount(reservation.amount() + 3);
                    meter.settle(reservation, actual, now);
                }
                assert!(meter.level(0, now).used >= 0);
            }
            for reservation in open {
                meter.settle(reservation, 5, 0);
            }
        });
        let end = clock.into_inner().cast_unsigned();
        assert!(meter.level(0, end).used > 0);
        let later = end + period_ns * 17 / 16 + 1;
        assert_eq!((meter.level(0, later).used, meter.level(0, later).reserved), (0, 0));
        on_threads(|i| {
            let mut numbers = Numbers(i);
            (0..2_000).for_each(|_| hammer(&meter, &held, &mut numbers, 0, later));
        });
        assert_eq!(meter.level(0, later).used, held.into_inner());
    }
}

/// Seven meters of which each refuses at times: what one granted before another refused is given back.
#[test]
fn what_is_held_together_is_given_back_together() {
    let wall_ms = utc("2026-05-13T10:30:00");
    let meters = [
        meter(40, fixed(HOUR_MS)),
        meter(50, WindowSpec::Sliding { period_ms: HOUR_MS }),
        meter(30, WindowSpec::Ever),
        meter(60, calendar(CalendarUnit::Year, "UTC")),
    ];
    let used = AtomicI64::new(0);
    on_threads(|i| {
        let mut numbers = Numbers(i);
        for _ in 0..20_000 {
            let amount = numbers.amount(12);
            let held: Vec<_> = meters.iter().map_while(|m| m.reserve(amount, wall_ms, 0).ok()).collect();
            let is_let_in = held.len() == meters.len();
            let actual = if is_let_in { i64::from(numbers.below(3_000) == 0).min(amount) } else { 0 };
            used.fetch_add(actual, Ordering::SeqCst);
            meters.iter().zip(held).for_each(|(meter, reservation)| meter.settle(reservation, actual, 0));
        }
    });
    for meter in &meters {
        let level = meter.level(wall_ms, 0);
        assert_eq!((level.used, level.reserved), (used.load(Ordering::SeqCst), 0));
        assert!(level.used <= level.limit);
    }
}

/// Clocks that show anything, on every thread another time: windows open and give way all the while, none is overdrawn, and
/// nothing that was held stays.
#[test]
fn clocks_that_disagree() {
    let begin = utc("2026-05-13T10:30:00");
    let (meter, mono) = (meter(LIMIT, fixed(MINUTE_MS)), AtomicI64::new(0));
    on_threads(|i| {
        let mut numbers = Numbers(i);
        for _ in 0..20_000 {
            let wall_ms = begin + numbers.below(6) * MINUTE_MS + numbers.below(MINUTE_MS);
            let mono_ns = mono.fetch_add(1_000_000_000, Ordering::Relaxed).cast_unsigned();
            if let Ok(reservation) = meter.reserve(numbers.amount(LIMIT), wall_ms, mono_ns) {
                let actual = numbers.amount(reservation.amount() + 1);
                meter.settle(reservation, actual, mono_ns);
            }
            let level = meter.level(wall_ms, mono_ns);
            assert!((0..=LIMIT).contains(&level.used), "{} are used", level.used);
        }
    });
    assert_eq!(meter.level(begin, 0).reserved, 0);
}
