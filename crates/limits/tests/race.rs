//! Check 84, as far as it is one of counting: 200 requests at once against a budget for 10, a hundred times over.

mod support;

use std::sync::Barrier;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use sluice_limits::meter::{CalendarUnit, MeterState, WindowSpec};
use support::{HOUR_MS, MINUTE_MS, calendar, fixed, meter, utc};

const REQUESTS: usize = 200;
const ROUNDS: usize = 100;

/// What a request reserves in `strict`: the most it can cost, here a tenth of the budget.
const MOST: i64 = 3_000_000_000;
const BUDGET: i64 = 10 * MOST;

/// The budget, and a limit beside it that never refuses.
struct Round {
    meters: [MeterState; 2],
    granted: AtomicI64,
    cost: AtomicI64,
}

fn round(number: usize) -> Round {
    let window = match number % 4 {
        0 => calendar(CalendarUnit::Month, "Europe/Berlin"),
        1 => fixed(HOUR_MS),
        2 => WindowSpec::Sliding { period_ms: HOUR_MS },
        _ => WindowSpec::Ever,
    };
    let budget = meter(BUDGET, window);
    let requests = meter(1_000, WindowSpec::Rate { period_ms: MINUTE_MS });
    Round { meters: [requests, budget], granted: AtomicI64::new(0), cost: AtomicI64::new(0) }
}

/// One request: it costs at most what it reserved, and is settled only when all others have been answered.
fn request(round: &Round, answered: &Barrier, cost: i64) {
    let wall_ms = utc("2026-05-13T10:30:00");
    let [requests, budget] = &round.meters;
    let place = requests.reserve(1, wall_ms, 0).expect("more requests than there are");
    let money = budget.reserve(MOST, wall_ms, 0);
    answered.wait();
    match money {
        Ok(money) => {
            round.granted.fetch_add(1, Ordering::Relaxed);
            round.cost.fetch_add(cost, Ordering::Relaxed);
            budget.settle(money, cost, 0);
            requests.settle(place, 1, 0);
        }
        Err(_) => requests.settle(place, 0, 0),
    }
}

#[test]
fn check_84_ten_of_two_hundred_at_once() {
    let rounds: Vec<Round> = (0..ROUNDS).map(round).collect();
    let (begin, answered) = (Barrier::new(REQUESTS), Barrier::new(REQUESTS));
    thread::scope(|scope| {
        for i in 0..REQUESTS {
            let (rounds, begin, answered) = (&rounds, &begin, &answered);
            scope.spawn(move || {
                for round in rounds {
                    begin.wait();
                    let cost = MOST - i64::try_from(i).expect("a small number");
                    request(round, answered, cost);
                }
            });
        }
    });
    for (number, round) in rounds.iter().enumerate() {
        let [requests, budget] = &round.meters;
        let level = budget.level(utc("2026-05-13T10:30:00"), 0);
        assert_eq!(round.granted.load(Ordering::Relaxed), 10, "round {number}");
        assert_eq!((level.used, level.reserved), (round.cost.load(Ordering::Relaxed), 0));
        assert!(level.used <= BUDGET);
        assert_eq!(level.refused, REQUESTS as u64 - 10);
        let let_in = requests.level(0, 0).used;
        assert_eq!(let_in, 10, "those that were refused have given their place back");
    }
}
