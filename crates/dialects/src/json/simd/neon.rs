//! NEON, which every AArch64 has.

use std::arch::aarch64::{
    uint8x16_t, vandq_u8, vceqq_u8, vcleq_u8, vdupq_n_u8, veorq_u8, vgetq_lane_u16, vgetq_lane_u64, vld1q_u8,
    vmaxvq_u8, vorrq_u8, vpaddq_u8, vreinterpretq_u16_u8, vreinterpretq_u64_u8,
};

pub(super) type Lane = uint8x16_t;

/// The bit each byte of a lane stands for, twice: adding neighbours thrice gathers eight bytes into one.
const BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];

#[inline(always)]
pub(super) fn load(bytes: &[u8; 16]) -> Lane {
    // SAFETY: 16 bytes are readable behind the reference, and the load needs no alignment.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

#[inline(always)]
pub(super) fn and(a: Lane, b: Lane) -> Lane {
    // SAFETY: NEON is part of the architecture.
    unsafe { vandq_u8(a, b) }
}

#[inline(always)]
pub(super) fn or(a: Lane, b: Lane) -> Lane {
    // SAFETY: NEON is part of the architecture.
    unsafe { vorrq_u8(a, b) }
}

#[inline(always)]
pub(super) fn equals(lane: Lane, byte: u8) -> Lane {
    // SAFETY: NEON is part of the architecture.
    unsafe { vceqq_u8(lane, vdupq_n_u8(byte)) }
}

/// Quotes, backslashes and control characters. Flipping bit 1 puts the quote (0x22) at 0x20, right behind the control
/// characters, so that one unsigned comparison finds both.
#[inline(always)]
pub(super) fn text(lane: Lane) -> Lane {
    // SAFETY: NEON is part of the architecture.
    let quote_or_control = unsafe { vcleq_u8(veorq_u8(lane, vdupq_n_u8(0x02)), vdupq_n_u8(0x20)) };
    or(quote_or_control, equals(lane, b'\\'))
}

/// Quotes, braces and brackets. A bracket is a brace without bit 5.
#[inline(always)]
pub(super) fn structural(lane: Lane) -> Lane {
    // SAFETY: NEON is part of the architecture.
    let folded = unsafe { vorrq_u8(lane, vdupq_n_u8(0x20)) };
    or(equals(lane, b'"'), or(equals(folded, b'{'), equals(folded, b'}')))
}

#[inline(always)]
pub(super) fn mask16(marks: Lane) -> u16 {
    // SAFETY: NEON is part of the architecture.
    unsafe {
        let mut sum = vandq_u8(marks, load(&BITS));
        sum = vpaddq_u8(sum, sum);
        sum = vpaddq_u8(sum, sum);
        sum = vpaddq_u8(sum, sum);
        vgetq_lane_u16::<0>(vreinterpretq_u16_u8(sum))
    }
}

#[inline(always)]
pub(super) fn mask64(marks: [Lane; 4]) -> u64 {
    // SAFETY: NEON is part of the architecture.
    unsafe {
        let bits = load(&BITS);
        let [a, b, c, d] = marks;
        let low = vpaddq_u8(vandq_u8(a, bits), vandq_u8(b, bits));
        let high = vpaddq_u8(vandq_u8(c, bits), vandq_u8(d, bits));
        let sum = vpaddq_u8(low, high);
        vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(sum, sum)))
    }
}

#[inline(always)]
pub(super) fn non_ascii(lane: Lane) -> bool {
    // SAFETY: NEON is part of the architecture.
    unsafe { vmaxvq_u8(lane) >= 0x80 }
}

/// Whether marks, which are all ones or all zeros in each byte, are all zeros.
#[inline(always)]
pub(super) fn is_zero(marks: Lane) -> bool {
    // SAFETY: NEON is part of the architecture.
    unsafe { vmaxvq_u8(marks) == 0 }
}
