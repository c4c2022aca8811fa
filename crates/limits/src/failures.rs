//! Failed authentications per address, in memory that no attacker can grow.
//!
//! A fixed table, each address confined to one set of four slots. A slot carries a tag of its address, so that two
//! addresses are not added up as in a count-min sketch: under a flood from random addresses a sketch fills up and locks
//! everybody out, while this table forgets the least guilty. The errors are therefore on the harmless side: an address
//! may be forgotten early when four worse ones share its set, and is mistaken for another one with a chance of one in
//! four million per look-up. Either way it is over when the minute is.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Sets of the table; a power of two. With [`WAYS`] slots of eight bytes the table takes 32 KiB.
const SETS: usize = 1024;

/// Slots that one address may use.
const WAYS: usize = 4;

/// A count ends this many seconds after its first failure, and a lock-out with it.
const WINDOW_S: u64 = 60;

const NS_PER_S: u64 = 1_000_000_000;

/// Bits of an IPv6 address that are counted as one: a single customer holds a whole /64.
const IPV6_PREFIX_BITS: u32 = 64;

/// Counts failed authentications per address (IPv4 address or IPv6 /64), shared by every worker.
#[derive(Debug)]
pub struct FailureMeter {
    slots: Box<[AtomicU64]>,
    seed: [u64; 2],
}

impl FailureMeter {
    /// An empty table. `seed` is any 128 random bits, kept from clients: it decides which addresses share a set.
    #[must_use]
    pub fn new(seed: [u64; 2]) -> Self {
        Self { slots: (0..SETS * WAYS).map(|_| AtomicU64::new(0)).collect(), seed }
    }

    /// Counts one failed authentication.
    pub fn record(&self, address: IpAddr, now_ns: u64) {
        let (set, tag) = self.place(address);
        let now_s = seconds(now_ns);
        loop {
            let (slot, word) = choose(set, tag, now_s);
            let entry = Entry::unpack(word);
            let next = if entry.is_live(now_s) && entry.tag == tag {
                Entry { count: (entry.count + 1).min(COUNT_MASK), ..entry }
            } else {
                Entry { tag, count: 1, began_s: now_s }
            };
            if slot.compare_exchange(word, next.pack(), Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return;
            }
        }
    }

    /// Whether `address` has failed `max_per_minute` times or more within its minute: then the nanoseconds until that is
    /// forgotten, at most a minute. A bound of 0 turns the meter off.
    ///
    /// Ask *before* looking at the credential, so that a guesser learns nothing; a client behind the same address with a
    /// valid key waits with it, for the rest of that minute.
    #[must_use]
    pub fn blocked_for(&self, address: IpAddr, max_per_minute: u32, now_ns: u64) -> Option<u64> {
        if max_per_minute == 0 {
            return None;
        }
        let (set, tag) = self.place(address);
        let now_s = seconds(now_ns);
        let entries = set.iter().map(|slot| Entry::unpack(slot.load(Ordering::Acquire)));
        let entry = entries.into_iter().find(|entry| entry.is_live(now_s) && entry.tag == tag)?;
        let left_s = WINDOW_S - entry.age_s(now_s);
        (entry.count >= u64::from(max_per_minute).min(COUNT_MASK)).then_some(left_s * NS_PER_S)
    }

    /// The set and the tag of an address.
    fn place(&self, address: IpAddr) -> (&[AtomicU64], u64) {
        let hash = hash(self.seed, network(address));
        let set = usize::try_from(hash % SETS as u64).expect("a remainder below 1024") * WAYS;
        (&self.slots[set..set + WAYS], hash >> (64 - TAG_BITS))
    }
}

/// The slot to count in: the address's own, else one that is free, else the one with the fewest failures.
fn choose(set: &[AtomicU64], tag: u64, now_s: u64) -> (&AtomicU64, u64) {
    let rank = |word: u64| {
        let entry = Entry::unpack(word);
        match entry.is_live(now_s) {
            true if entry.tag == tag => 0,
            true => 1 + entry.count,
            false => 1,
        }
    };
    let slots = set.iter().map(|slot| (slot, slot.load(Ordering::Acquire)));
    slots.min_by_key(|&(_, word)| rank(word)).expect("a set has four slots")
}

const TAG_BITS: u32 = 24;
const COUNT_BITS: u32 = 16;
const SECOND_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const SECOND_MASK: u64 = (1 << SECOND_BITS) - 1;

/// A slot, unpacked. A word of 0 is free: a live entry has a count.
#[derive(Clone, Copy)]
struct Entry {
    tag: u64,
    count: u64,
    /// Second of the first failure, modulo 2^24 (half a year).
    began_s: u64,
}

impl Entry {
    fn unpack(word: u64) -> Self {
        Self {
            tag: word >> (COUNT_BITS + SECOND_BITS),
            count: (word >> SECOND_BITS) & COUNT_MASK,
            began_s: word & SECOND_MASK,
        }
    }

    fn pack(self) -> u64 {
        (self.tag << (COUNT_BITS + SECOND_BITS)) | (self.count << SECOND_BITS) | self.began_s
    }

    fn age_s(self, now_s: u64) -> u64 {
        now_s.wrapping_sub(self.began_s) & SECOND_MASK
    }

    fn is_live(self, now_s: u64) -> bool {
        self.count > 0 && self.age_s(now_s) < WINDOW_S
    }
}

fn seconds(now_ns: u64) -> u64 {
    (now_ns / NS_PER_S) & SECOND_MASK
}

/// What is counted as one party, with the two families kept apart.
fn network(address: IpAddr) -> (u64, u64) {
    match address.to_canonical() {
        IpAddr::V4(v4) => (4, u64::from(v4.to_bits())),
        IpAddr::V6(v6) => {
            (6, u64::try_from(v6.to_bits() >> (128 - IPV6_PREFIX_BITS)).expect("64 bits are left"))
        }
    }
}

/// A keyed hash by folded multiplication. It need not resist someone who sees its output, because nobody does.
fn hash(seed: [u64; 2], (family, bits): (u64, u64)) -> u64 {
    let mixed = fold(bits ^ seed[0], seed[1] | 1);
    fold(mixed ^ family ^ seed[1], seed[0] | 1) ^ mixed.rotate_left(32)
}

#[expect(clippy::cast_possible_truncation, reason = "both halves of the product are used")]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}
