//! Failed authentications: who is blocked, for how long, and what a flood does to others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread;

use sluice_limits::FailureMeter;

const SECOND_NS: u64 = 1_000_000_000;
const SEED: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];
const MAX: u32 = 10;

fn v4(bits: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(bits))
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn fail(meter: &FailureMeter, address: IpAddr, times: usize, now_ns: u64) {
    (0..times).for_each(|_| meter.record(address, now_ns));
}

#[test]
fn blocked_from_the_bound_on_until_the_minute_is_over() {
    for origin in [0, 12_345 * SECOND_NS, u64::MAX / 2, u64::MAX - 200 * SECOND_NS] {
        let meter = FailureMeter::new(SEED);
        let guesser = address("192.0.2.1");
        fail(&meter, guesser, 9, origin);
        assert_eq!(meter.blocked_for(guesser, MAX, origin), None);
        fail(&meter, guesser, 1, origin);
        let wait = meter.blocked_for(guesser, MAX, origin).expect("ten failures");
        assert_eq!(wait, 60 * SECOND_NS);
        assert!(meter.blocked_for(guesser, MAX, origin + 58 * SECOND_NS).is_some());
        fail(&meter, guesser, 50, origin + 58 * SECOND_NS);
        assert_eq!(meter.blocked_for(guesser, MAX, origin + wait), None, "failing on does not prolong it");
        fail(&meter, guesser, 9, origin + wait);
        assert_eq!(meter.blocked_for(guesser, MAX, origin + wait), None, "a new minute counts anew");
    }
}

#[test]
fn a_bound_of_zero_turns_it_off() {
    let meter = FailureMeter::new(SEED);
    fail(&meter, address("192.0.2.1"), 1_000, 0);
    assert_eq!(meter.blocked_for(address("192.0.2.1"), 0, 0), None);
    assert!(meter.blocked_for(address("192.0.2.1"), 1_000, 0).is_some());
}

#[test]
fn the_count_stops_where_its_bits_end() {
    let meter = FailureMeter::new(SEED);
    fail(&meter, address("192.0.2.1"), 70_000, 0);
    assert!(meter.blocked_for(address("192.0.2.1"), MAX, 0).is_some());
    assert!(
        meter.blocked_for(address("192.0.2.1"), u32::MAX, 0).is_some(),
        "a bound beyond the count is the count's"
    );
}

#[test]
fn one_party_per_ipv4_address_and_ipv6_network() {
    let same = [
        ("192.0.2.1", "::ffff:192.0.2.1", true),
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
        ("2001:db8::1", "2001:db8:0:1::1", false),
        ("192.0.2.1", "192.0.2.2", false),
        ("0.0.0.1", "::1", false),
    ];
    for (failing, asking, blocked) in same {
        let meter = FailureMeter::new(SEED);
        fail(&meter, address(failing), 10, 0);
        assert_eq!(meter.blocked_for(address(asking), MAX, 0).is_some(), blocked, "{failing} and {asking}");
    }
}

#[test]
fn a_flood_from_random_addresses_blocks_nobody_else() {
    let meter = FailureMeter::new(SEED);
    for i in 0..200_000_u32 {
        meter.record(v4(i.wrapping_mul(2_654_435_761)), 0);
    }
    let innocent =
        (0..10_000_u32).filter(|i| meter.blocked_for(v4(0x0a00_0000 + i), MAX, 0).is_some()).count();
    assert_eq!(innocent, 0);
}

#[test]
fn a_flood_does_not_hide_a_guesser_who_is_blocked() {
    let meter = FailureMeter::new(SEED);
    let guesser = address("198.51.100.7");
    fail(&meter, guesser, 30, 0);
    for i in 0..200_000_u32 {
        meter.record(v4(i.wrapping_mul(2_654_435_761)), SECOND_NS);
    }
    assert!(meter.blocked_for(guesser, MAX, 2 * SECOND_NS).is_some());
}

/// Every guesser of a thousand is caught, and beside them nobody: their sets are rarely full.
#[test]
fn many_guessers_at_once() {
    let meter = FailureMeter::new(SEED);
    for _ in 0..MAX {
        (0..1_000_u32).for_each(|i| meter.record(v4(i * 7_919), 0));
    }
    let caught = (0..1_000_u32).filter(|i| meter.blocked_for(v4(i * 7_919), MAX, 0).is_some()).count();
    assert!(caught >= 990, "{caught}");
    let beside = (0..10_000_u32).filter(|i| meter.blocked_for(v4(0xc000_0000 + i), MAX, 0).is_some()).count();
    assert_eq!(beside, 0);
}

#[test]
fn seeds_decide_who_shares_a_set() {
    let crowd = |seed| {
        let meter = FailureMeter::new(seed);
        (0..40_000_u32).for_each(|i| fail(&meter, v4(i), 10, 0));
        (0..40_000_u32).filter(|i| meter.blocked_for(v4(*i), MAX, 0).is_some()).collect::<Vec<_>>()
    };
    let (first, second) = (crowd(SEED), crowd([1, 2]));
    assert!(first.len() <= 4_096 && second.len() <= 4_096, "the table has no more room");
    assert_ne!(first, second);
}

#[test]
fn no_failure_is_lost_in_a_race() {
    let meter = FailureMeter::new(SEED);
    let guesser = IpAddr::V6(Ipv6Addr::LOCALHOST);
    thread::scope(|scope| {
        (0..8).for_each(|_| drop(scope.spawn(|| fail(&meter, guesser, 1_000, 0))));
    });
    assert!(meter.blocked_for(guesser, 8_000, 0).is_some());
    assert!(meter.blocked_for(guesser, 8_001, 0).is_none());
}
