//! Searches that look at many bytes at once. A loop that stops at the byte it looks for mispredicts a branch per line,
//! which is most of the cost of reading a head; a mask of all such bytes in a block does not.
//!
//! On x86-64 the masks come from SSE2, which every such processor has; elsewhere from arithmetic on machine words.

#[cfg(target_arch = "x86_64")]
use sse2 as wide;
#[cfg(not(target_arch = "x86_64"))]
use words as wide;

use crate::known::NAME_BYTES;

/// Bytes of a block of [`controls`].
pub(crate) const BLOCK: usize = 64;

/// Bytes of a block of [`find_colon`] and [`is_plain_name`].
pub(crate) const NAME_BLOCK: usize = NAME_BYTES;

/// Whether `byte` may not stand in a line: controls but the tab, and DEL.
#[inline(always)]
pub(crate) const fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

/// A bit for each byte of `block` that is a control character, the lowest for the first.
#[inline(always)]
pub(crate) fn controls(block: &[u8; BLOCK]) -> u64 {
    wide::controls(block)
}

/// Index of the first colon.
#[inline(always)]
pub(crate) fn find_colon(block: &[u8; NAME_BLOCK]) -> Option<usize> {
    wide::find_colon(block)
}

/// Whether the first `len` bytes of `block` are letters, digits or hyphens: all that is in the names of
/// real fields.
#[inline(always)]
pub(crate) fn is_plain_name(block: &[u8; NAME_BLOCK], len: usize) -> bool {
    wide::is_plain_name(block, len)
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the intrinsics of SSE2 count as unsafe, though x86-64 includes it")]
mod sse2 {
    use core::arch::x86_64::{
        __m128i, _mm_andnot_si128, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8,
        _mm_or_si128, _mm_set1_epi8, _mm_sub_epi8,
    };

    use super::{BLOCK, NAME_BLOCK};

    #[inline(always)]
    pub(super) fn controls(block: &[u8; BLOCK]) -> u64 {
        // SAFETY: every x86-64 processor has SSE2.
        unsafe { controls_of_block(block) }
    }

    #[inline(always)]
    pub(super) fn find_colon(block: &[u8; NAME_BLOCK]) -> Option<usize> {
        // SAFETY: as above.
        unsafe { find_colon_in_block(block) }
    }

    #[inline(always)]
    pub(super) fn is_plain_name(block: &[u8; NAME_BLOCK], len: usize) -> bool {
        // SAFETY: as above.
        unsafe { plain_len(block) >= len }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn controls_of_block(block: &[u8; BLOCK]) -> u64 {
        let (vectors, _) = block.as_chunks::<16>();
        let mut mask = 0;
        for (i, vector) in vectors.iter().enumerate() {
            mask |= u64::from(controls_of(load(vector))) << (16 * i);
        }
        mask
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn find_colon_in_block(block: &[u8; NAME_BLOCK]) -> Option<usize> {
        let (vectors, _) = block.as_chunks::<16>();
        for (i, vector) in vectors.iter().enumerate() {
            let mask = mask(_mm_cmpeq_epi8(load(vector), _mm_set1_epi8(0x3a)));
            if mask != 0 {
                return Some(16 * i + mask.trailing_zeros() as usize);
            }
        }
        None
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn plain_len(block: &[u8; NAME_BLOCK]) -> usize {
        let (vectors, _) = block.as_chunks::<16>();
        let mut mask = 0;
        for (i, vector) in vectors.iter().enumerate() {
            mask |= name_bytes_of(load(vector)) << (16 * i);
        }
        mask.trailing_ones() as usize
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn load(bytes: &[u8; 16]) -> __m128i {
        // SAFETY: the pointer is that of sixteen readable bytes; the load needs no alignment.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn controls_of(bytes: __m128i) -> u32 {
        let tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x09));
        let del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
        mask(_mm_or_si128(_mm_andnot_si128(tab, below(bytes, 0x20)), del))
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn name_bytes_of(bytes: __m128i) -> u32 {
        let lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
        let letter = below(_mm_sub_epi8(lower, _mm_set1_epi8(0x61)), 26);
        let digit = below(_mm_sub_epi8(bytes, _mm_set1_epi8(0x30)), 10);
        let hyphen = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x2d));
        mask(_mm_or_si128(_mm_or_si128(letter, digit), hyphen))
    }

    /// Unsigned comparison of each byte with a bound of 1 to 128.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn below(bytes: __m128i, bound: i8) -> __m128i {
        _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(bound - 1)), bytes)
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn mask(matches: __m128i) -> u32 {
        _mm_movemask_epi8(matches).cast_unsigned()
    }
}

#[cfg(any(not(target_arch = "x86_64"), test))]
mod words {
    use super::{BLOCK, NAME_BLOCK};

    const LOWS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    const ONES: u64 = 0x0101_0101_0101_0101;

    #[inline(always)]
    pub(super) fn controls(block: &[u8; BLOCK]) -> u64 {
        let (words, _) = block.as_chunks::<8>();
        words.iter().rev().fold(0, |mask, word| (mask << 8) | gather(controls_of(u64::from_le_bytes(*word))))
    }

    #[inline(always)]
    pub(super) fn find_colon(block: &[u8; NAME_BLOCK]) -> Option<usize> {
        block.iter().position(|&byte| byte == b':')
    }

    #[inline(always)]
    pub(super) fn is_plain_name(block: &[u8; NAME_BLOCK], len: usize) -> bool {
        block[..len].iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'-')
    }

    /// The high bit of each byte that is a control character.
    #[inline(always)]
    fn controls_of(word: u64) -> u64 {
        let low = !(((word & LOWS) + ONES * 0x60) | word) & !LOWS;
        (low & !equal(word, b'\t')) | equal(word, 0x7f)
    }

    /// The high bit of each byte that equals `byte`; exact, since no sum carries into its neighbour.
    #[inline(always)]
    fn equal(word: u64, byte: u8) -> u64 {
        let zero = word ^ (ONES * u64::from(byte));
        !(((zero & LOWS) + LOWS) | zero) & !LOWS
    }

    /// Collects the high bits of eight bytes into the low byte.
    #[inline(always)]
    fn gather(highs: u64) -> u64 {
        (highs >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks in which every byte meets every neighbour and every position.
    fn blocks() -> impl Iterator<Item = [u8; BLOCK]> {
        (0..=255u8).flat_map(|byte| {
            [b'a', byte.wrapping_add(1), 0xff].into_iter().flat_map(move |other| {
                (0..BLOCK).map(move |position| {
                    let mut block = [other; BLOCK];
                    block[position] = byte;
                    block
                })
            })
        })
    }

    #[test]
    fn controls_agree_with_the_definition() {
        for block in blocks() {
            let expected = (0..BLOCK).fold(0, |mask, i| mask | u64::from(is_control(block[i])) << i);
            assert_eq!(controls(&block), expected, "{block:x?}");
            assert_eq!(words::controls(&block), expected, "{block:x?}");
        }
    }

    #[test]
    fn names_agree_with_the_definition() {
        for block in blocks() {
            let (block, _) = block.split_first_chunk().expect("a name block is shorter");
            assert_eq!(find_colon(block), words::find_colon(block), "{block:x?}");
            for len in [0, 1, 15, 16, 17, 31] {
                assert_eq!(is_plain_name(block, len), words::is_plain_name(block, len), "{len} {block:x?}");
            }
        }
    }
}
