//! The same operations in plain Rust, for architectures without a version of their own.

pub(super) type Lane = [u8; 16];

#[inline(always)]
pub(super) fn load(bytes: &[u8; 16]) -> Lane {
    *bytes
}

#[inline(always)]
pub(super) fn and(a: Lane, b: Lane) -> Lane {
    std::array::from_fn(|at| a[at] & b[at])
}

#[inline(always)]
pub(super) fn or(a: Lane, b: Lane) -> Lane {
    std::array::from_fn(|at| a[at] | b[at])
}

#[inline(always)]
pub(super) fn equals(lane: Lane, byte: u8) -> Lane {
    lane.map(|other| if other == byte { 0xff } else { 0 })
}

/// Quotes, backslashes and control characters.
#[inline(always)]
pub(super) fn text(lane: Lane) -> Lane {
    lane.map(|byte| if super::is_text_stop(byte) { 0xff } else { 0 })
}

/// Quotes, braces and brackets.
#[inline(always)]
pub(super) fn structural(lane: Lane) -> Lane {
    lane.map(|byte| if super::is_structural(byte) { 0xff } else { 0 })
}

#[inline(always)]
pub(super) fn mask16(marks: Lane) -> u16 {
    marks.iter().rev().fold(0, |mask, byte| mask << 1 | u16::from(byte >> 7))
}

#[inline(always)]
pub(super) fn mask64(marks: [Lane; 4]) -> u64 {
    marks.into_iter().rev().fold(0, |mask, lane| mask << 16 | u64::from(mask16(lane)))
}

#[inline(always)]
pub(super) fn non_ascii(lane: Lane) -> bool {
    mask16(lane) != 0
}

/// Whether marks, which are all ones or all zeros in each byte, are all zeros.
#[inline(always)]
pub(super) fn is_zero(marks: Lane) -> bool {
    marks == [0; 16]
}
