//! Prints nanoseconds per reservation and settlement: `cargo run -p sluice-limits --release --example meter_speed`.
#![expect(clippy::print_stdout, reason = "its purpose")]

use std::hint::black_box;
use std::time::Instant;

use sluice_limits::meter::{CalendarUnit, Measure, MeterSpec, MeterState, Mode, WindowSpec};

const ROUNDS: usize = 200;
const REPEATS: u32 = 5_000;

/// Wall clock at the beginning, some Tuesday in 2026, and the step to the next request.
const BEGIN_MS: u64 = 1_795_500_000_000;
const STEP_NS: u64 = 100_000;

const MINUTE_MS: u64 = 60_000;
const USD: i64 = 1_000_000_000_000;

fn main() {
    let fixed = WindowSpec::Fixed { period_ms: MINUTE_MS, anchor_ms: 0 };
    let month = calendar(CalendarUnit::Month);
    let kinds = [
        ("rate", meter(100_000_000, WindowSpec::Rate { period_ms: MINUTE_MS })),
        ("fixed", meter(100_000_000, fixed)),
        ("calendar", meter(1_000_000 * USD, month)),
        ("sliding", meter(100_000_000, WindowSpec::Sliding { period_ms: MINUTE_MS })),
        ("ever", meter(1_000_000 * USD, WindowSpec::Ever)),
        ("concurrency", concurrency()),
    ];
    for (name, meter) in &kinds {
        report(name, std::slice::from_ref(meter));
    }
    report("five limits and two budgets", &seven());
    let shared = seven();
    std::thread::scope(|scope| {
        for thread in 1..=2 {
            let shared = &shared;
            scope.spawn(move || {
                report(&format!("the same, from two threads at once, thread {thread}"), shared)
            });
        }
    });
}

fn seven() -> [MeterState; 7] {
    [
        meter(100_000_000, WindowSpec::Rate { period_ms: MINUTE_MS }),
        meter(100_000_000, WindowSpec::Fixed { period_ms: MINUTE_MS, anchor_ms: 0 }),
        meter(100_000_000, WindowSpec::Sliding { period_ms: MINUTE_MS }),
        meter(10_000_000_000, calendar(CalendarUnit::Day)),
        concurrency(),
        meter(1_000_000 * USD, calendar(CalendarUnit::Month)),
        meter(1_000_000 * USD, calendar(CalendarUnit::Day)),
    ]
}

fn calendar(unit: CalendarUnit) -> WindowSpec {
    WindowSpec::Calendar { unit, time_zone: "Europe/Berlin".to_owned() }
}

fn meter(limit: i64, window: WindowSpec) -> MeterState {
    let spec = MeterSpec { measure: Measure::Amounts, limit, window, mode: Mode::Enforce };
    MeterState::new(&spec).expect("a good specification")
}

fn concurrency() -> MeterState {
    let spec = MeterSpec {
        measure: Measure::Concurrency,
        limit: 100,
        window: WindowSpec::Ever,
        mode: Mode::Enforce,
    };
    MeterState::new(&spec).expect("a good specification")
}

/// The best and the middle of many short rounds: what the work costs when nothing interrupts it, and mostly.
fn report(what: &str, meters: &[MeterState]) {
    let (mut rounds, mut now_ns) = (Vec::with_capacity(ROUNDS), 0_u64);
    let mut held = Vec::with_capacity(meters.len());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..REPEATS {
            now_ns += STEP_NS;
            let wall_ms = BEGIN_MS + now_ns / 1_000_000;
            let reserve = |m: &MeterState| m.reserve(black_box(2), wall_ms, now_ns);
            held.extend(meters.iter().map(|m| reserve(m).expect("the limits are high enough")));
            for (meter, reservation) in meters.iter().zip(black_box(&mut held).drain(..)) {
                meter.settle(reservation, black_box(1), now_ns);
            }
        }
        rounds.push(start.elapsed().as_nanos() as f64 / f64::from(REPEATS));
    }
    rounds.sort_by(f64::total_cmp);
    println!("{what}: {:.1} ns, mostly {:.1} ns", rounds[0], rounds[ROUNDS / 2]);
}
