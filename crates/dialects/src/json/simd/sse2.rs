//! SSE2, which every x86-64 has.

use std::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
    _mm_set1_epi8, _mm_xor_si128,
};

pub(super) type Lane = __m128i;

#[inline(always)]
pub(super) fn load(bytes: &[u8; 16]) -> Lane {
    // SAFETY: 16 bytes are readable behind the reference, and the load needs no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline(always)]
pub(super) fn and(a: Lane, b: Lane) -> Lane {
    // SAFETY: SSE2 is part of the architecture.
    unsafe { _mm_and_si128(a, b) }
}

#[inline(always)]
pub(super) fn or(a: Lane, b: Lane) -> Lane {
    // SAFETY: SSE2 is part of the architecture.
    unsafe { _mm_or_si128(a, b) }
}

#[inline(always)]
pub(super) fn equals(lane: Lane, byte: u8) -> Lane {
    // SAFETY: SSE2 is part of the architecture.
    unsafe { _mm_cmpeq_epi8(lane, _mm_set1_epi8(byte.cast_signed())) }
}

/// Quotes, backslashes and control characters. Flipping bit 1 puts the quote (0x22) at 0x20, right behind the control
/// characters, so that one unsigned comparison finds both.
#[inline(always)]
pub(super) fn text(lane: Lane) -> Lane {
    // SAFETY: SSE2 is part of the architecture.
    let quote_or_control = unsafe {
        let flipped = _mm_xor_si128(lane, _mm_set1_epi8(0x02));
        _mm_cmpeq_epi8(_mm_min_epu8(flipped, _mm_set1_epi8(0x20)), flipped)
    };
    or(quote_or_control, equals(lane, b'\\'))
}

/// Quotes, braces and brackets. A bracket is a brace without bit 5.
#[inline(always)]
pub(super) fn structural(lane: Lane) -> Lane {
    // SAFETY: SSE2 is part of the architecture.
    let folded = unsafe { _mm_or_si128(lane, _mm_set1_epi8(0x20)) };
    or(equals(lane, b'"'), or(equals(folded, b'{'), equals(folded, b'}')))
}

#[inline(always)]
pub(super) fn mask16(marks: Lane) -> u16 {
    // SAFETY: SSE2 is part of the architecture.
    let mask = unsafe { _mm_movemask_epi8(marks) };
    (mask & 0xffff) as u16
}

#[inline(always)]
pub(super) fn mask64(marks: [Lane; 4]) -> u64 {
    let [a, b, c, d] = marks;
    let low = u64::from(mask16(a)) | u64::from(mask16(b)) << 16;
    low | u64::from(mask16(c)) << 32 | u64::from(mask16(d)) << 48
}

/// Whether marks, which are all ones or all zeros in each byte, are all zeros.
#[inline(always)]
pub(super) fn is_zero(marks: Lane) -> bool {
    mask16(marks) == 0
}

#[inline(always)]
pub(super) fn non_ascii(lane: Lane) -> bool {
    mask16(lane) != 0
}
