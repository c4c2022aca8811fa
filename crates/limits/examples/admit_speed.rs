//! Prints nanoseconds per call: `cargo run -p sluice-limits --profile quick --example admit_speed`.
#![expect(clippy::print_stdout, reason = "its purpose")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use sluice_limits::{Cooldown, FailureMeter, KeyState, Limits, pick_weighted};

const ROUNDS: usize = 200;
const REPEATS: u32 = 5_000;

/// Far apart enough that the limits below never refuse.
const STEP_NS: u64 = 100_000_000;

fn main() {
    let limits = Limits {
        requests_per_minute: Some(10_000),
        tokens_per_minute: Some(2_000_000),
        concurrency: Some(100),
    };
    let key = KeyState::new();
    let mut now_ns = 0;
    report("admit and settle: requests, tokens, concurrency", || {
        now_ns += STEP_NS;
        let admitted = key.admit(black_box(&limits), 1_200, now_ns).expect("within the limits");
        key.settle(black_box(&limits), admitted, 800, now_ns);
    });
    report("admit and settle: no limits", || {
        now_ns += STEP_NS;
        let admitted = key.admit(black_box(&Limits::default()), 1_200, now_ns).expect("no limits");
        key.settle(black_box(&Limits::default()), admitted, 800, now_ns);
    });
    let (weights, mut random) = ([3, 1, 1, 5], 0_u64);
    report("pick one of four by weight", || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        black_box(pick_weighted(black_box(&weights[..]).iter().copied(), 0, random));
    });
    let target = Cooldown::new();
    report("pass and succeed", || {
        black_box(target.try_pass(black_box(now_ns)));
        target.record_success(black_box(now_ns));
    });
    let meter = FailureMeter::new([1, 2]);
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    report("ask whether an address is blocked", || {
        black_box(meter.blocked_for(black_box(address), 10, now_ns));
    });
}

/// The best of many short rounds: what the work costs when nothing interrupts it.
fn report(what: &str, mut work: impl FnMut()) {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..REPEATS {
            work();
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(REPEATS));
    }
    println!("{what}: {best:.1} ns");
}
