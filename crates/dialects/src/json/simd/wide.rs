//! AVX2 and AVX-512, found at run time. They pay where a string is long enough to earn the dispatch.
//!
//! Every function here is inlined into one that was compiled for the instructions; none may be called before they were
//! found.

use std::arch::x86_64::{
    __m256i, __m512i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8,
    _mm256_or_si256, _mm256_set1_epi8, _mm256_xor_si256, _mm512_cmpeq_epi8_mask, _mm512_cmple_epu8_mask,
    _mm512_loadu_si512, _mm512_movepi8_mask, _mm512_set1_epi8, _mm512_xor_si512,
};

use super::{BLOCK, Marks, TextBlocks};

/// A block in registers.
trait Lanes: Copy {
    fn load(block: &[u8; BLOCK]) -> Self;
    /// Bit `i` for byte `i`, here and below.
    fn equals(self, byte: u8) -> u64;
    /// By the comparison of the base version.
    fn quotes_and_controls(self) -> u64;
    fn has_non_ascii(self) -> bool;
}

/// Blocks as one register of 64 bytes.
pub(crate) struct Avx512;

/// Blocks as two registers of 32 bytes.
pub(crate) struct Avx2;

impl TextBlocks for Avx512 {
    #[inline(always)]
    fn marks(block: &[u8; BLOCK]) -> Marks {
        marks(<__m512i as Lanes>::load(block))
    }
}

impl TextBlocks for Avx2 {
    #[inline(always)]
    fn marks(block: &[u8; BLOCK]) -> Marks {
        marks(<[__m256i; 2] as Lanes>::load(block))
    }
}

/// Leaves out what needs no second look: line ends, quotes and tabs that are escaped, which real prompts have every fifty
/// bytes. Other escapes, backslashes in a row and one at the end of the block are left to the scanner.
#[inline(always)]
fn marks(lanes: impl Lanes) -> Marks {
    let non_ascii = lanes.has_non_ascii();
    let quotes_and_controls = lanes.quotes_and_controls();
    let backslash = lanes.equals(b'\\');
    // Most blocks of a long string have none, and one look tells.
    let stops = quotes_and_controls | backslash;
    if stops == 0 || backslash & backslash << 1 != 0 {
        return Marks { stops, escapes: false, non_ascii };
    }
    let common = lanes.equals(b'n') | lanes.equals(b'"') | lanes.equals(b't');
    // The last byte of the block has no successor here, so its bit is never among these.
    let escapes = backslash & common >> 1;
    let stops = (quotes_and_controls & !(escapes << 1)) | (backslash & !escapes);
    Marks { stops, escapes: escapes != 0, non_ascii }
}

impl Lanes for __m512i {
    #[inline(always)]
    fn load(block: &[u8; BLOCK]) -> Self {
        // SAFETY: 64 bytes are readable behind the reference, the load needs no alignment, and AVX-512F was found.
        unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
    }

    #[inline(always)]
    fn equals(self, byte: u8) -> u64 {
        // SAFETY: AVX-512BW was found.
        unsafe { _mm512_cmpeq_epi8_mask(self, _mm512_set1_epi8(byte.cast_signed())) }
    }

    #[inline(always)]
    fn quotes_and_controls(self) -> u64 {
        // SAFETY: AVX-512BW was found.
        unsafe {
            let flipped = _mm512_xor_si512(self, _mm512_set1_epi8(0x02));
            _mm512_cmple_epu8_mask(flipped, _mm512_set1_epi8(0x20))
        }
    }

    #[inline(always)]
    fn has_non_ascii(self) -> bool {
        // SAFETY: AVX-512BW was found.
        unsafe { _mm512_movepi8_mask(self) != 0 }
    }
}

impl Lanes for [__m256i; 2] {
    #[inline(always)]
    fn load(block: &[u8; BLOCK]) -> Self {
        let (low, high) = block.split_at(BLOCK / 2);
        // SAFETY: 32 bytes are readable behind each reference, the loads need no alignment, and AVX2 was found.
        unsafe { [_mm256_loadu_si256(low.as_ptr().cast()), _mm256_loadu_si256(high.as_ptr().cast())] }
    }

    #[inline(always)]
    fn equals(self, byte: u8) -> u64 {
        let [low, high] = self;
        // SAFETY: AVX2 was found.
        unsafe {
            let wanted = _mm256_set1_epi8(byte.cast_signed());
            mask(_mm256_cmpeq_epi8(low, wanted), _mm256_cmpeq_epi8(high, wanted))
        }
    }

    #[inline(always)]
    fn quotes_and_controls(self) -> u64 {
        let [low, high] = self;
        // SAFETY: AVX2 was found.
        unsafe { mask(quotes_and_controls(low), quotes_and_controls(high)) }
    }

    #[inline(always)]
    fn has_non_ascii(self) -> bool {
        let [low, high] = self;
        // SAFETY: AVX2 was found.
        unsafe { _mm256_movemask_epi8(_mm256_or_si256(low, high)) != 0 }
    }
}

/// # Safety
/// AVX2 must have been found.
#[inline(always)]
unsafe fn quotes_and_controls(lane: __m256i) -> __m256i {
    // SAFETY: as above.
    unsafe {
        let flipped = _mm256_xor_si256(lane, _mm256_set1_epi8(0x02));
        _mm256_cmpeq_epi8(_mm256_min_epu8(flipped, _mm256_set1_epi8(0x20)), flipped)
    }
}

/// # Safety
/// AVX2 must have been found.
#[inline(always)]
unsafe fn mask(low: __m256i, high: __m256i) -> u64 {
    // SAFETY: as above.
    let (low, high) = unsafe { (_mm256_movemask_epi8(low), _mm256_movemask_epi8(high)) };
    u64::from(low.cast_unsigned()) | u64::from(high.cast_unsigned()) << 32
}
