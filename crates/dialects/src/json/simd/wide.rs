//! AVX2 and AVX-512, found at run time. They pay where a string is long enough to earn the dispatch.

use std::arch::x86_64::{
    __m256i, __m512i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8,
    _mm256_or_si256, _mm256_set1_epi8, _mm256_xor_si256, _mm512_cmpeq_epi8_mask, _mm512_cmple_epu8_mask,
    _mm512_loadu_si512, _mm512_movepi8_mask, _mm512_set1_epi8, _mm512_xor_si512,
};

use super::{BLOCK, Marks, TextBlocks};

/// Blocks as one register of 64 bytes.
pub(crate) struct Avx512;

/// Blocks as two registers of 32 bytes.
pub(crate) struct Avx2;

impl TextBlocks for Avx512 {
    #[inline(always)]
    fn marks(block: &[u8; BLOCK]) -> Marks {
        // SAFETY: 64 bytes are readable behind the reference, the load needs no alignment, and whoever uses this type has
        // found AVX-512BW.
        unsafe {
            let lane: __m512i = _mm512_loadu_si512(block.as_ptr().cast());
            let flipped = _mm512_xor_si512(lane, _mm512_set1_epi8(0x02));
            let quote_or_control = _mm512_cmple_epu8_mask(flipped, _mm512_set1_epi8(0x20));
            let backslash = _mm512_cmpeq_epi8_mask(lane, _mm512_set1_epi8(b'\\'.cast_signed()));
            Marks { stops: quote_or_control | backslash, non_ascii: _mm512_movepi8_mask(lane) != 0 }
        }
    }
}

impl TextBlocks for Avx2 {
    #[inline(always)]
    fn marks(block: &[u8; BLOCK]) -> Marks {
        // SAFETY: 64 bytes are readable behind the reference, the loads need no alignment, and whoever uses this type has
        // found AVX2.
        unsafe {
            let low = _mm256_loadu_si256(block.as_ptr().cast());
            let high = _mm256_loadu_si256(block.as_ptr().add(BLOCK / 2).cast());
            let (stops_low, stops_high) = (stops(low), stops(high));
            let either = _mm256_movemask_epi8(_mm256_or_si256(low, high));
            let stops = u64::from(mask(stops_low)) | u64::from(mask(stops_high)) << 32;
            Marks { stops, non_ascii: either != 0 }
        }
    }
}

/// The comparison of the base version, twice as wide.
///
/// # Safety
/// AVX2 must have been found.
#[inline(always)]
unsafe fn stops(lane: __m256i) -> __m256i {
    // SAFETY: as above.
    unsafe {
        let flipped = _mm256_xor_si256(lane, _mm256_set1_epi8(0x02));
        let quote_or_control = _mm256_cmpeq_epi8(_mm256_min_epu8(flipped, _mm256_set1_epi8(0x20)), flipped);
        _mm256_or_si256(quote_or_control, _mm256_cmpeq_epi8(lane, _mm256_set1_epi8(b'\\'.cast_signed())))
    }
}

/// # Safety
/// AVX2 must have been found.
#[inline(always)]
unsafe fn mask(marks: __m256i) -> u32 {
    // SAFETY: as above.
    unsafe { _mm256_movemask_epi8(marks) }.cast_unsigned()
}
