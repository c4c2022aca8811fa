//! Looks at 16 or 64 bytes at a time for the few that matter.
//!
//! SSE2 and NEON belong to the base of their architectures and need no detection at run time; a portable version of the
//! same operations serves the rest. Long strings alone are worth a dispatch to AVX2 or AVX-512: of a prompt of 120 KB
//! the wider registers save two thirds of the scan.

#[cfg_attr(target_arch = "x86_64", path = "sse2.rs")]
#[cfg_attr(all(target_arch = "aarch64", target_endian = "little"), path = "neon.rs")]
#[cfg_attr(
    not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))),
    path = "portable.rs"
)]
mod arch;

#[cfg(target_arch = "x86_64")]
pub(super) mod wide;

/// The portable version is checked against the native one wherever the tests run.
#[cfg(test)]
mod portable;

/// Bytes looked at in one step of a long run.
pub(super) const BLOCK: usize = 64;

/// Bytes looked at in one step of a short run.
pub(super) const LANE: usize = 16;

/// What is found in a block of string text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    /// Which bytes need a look (quotes, backslashes and control characters): bit `i` for byte `i`. An escape of two
    /// characters within the block may be left out whole.
    pub(super) stops: u64,
    /// Simple escapes were left out of the stops.
    pub(super) escapes: bool,
    /// Some byte is above 0x7f.
    pub(super) non_ascii: bool,
}

/// A way to look at a block of string text.
pub(super) trait TextBlocks {
    /// Marks a block.
    fn marks(block: &[u8; BLOCK]) -> Marks;
}

/// With what every processor of the architecture has.
pub(super) struct Base;

impl TextBlocks for Base {
    #[inline(always)]
    fn marks(block: &[u8; BLOCK]) -> Marks {
        let [a, b, c, d] = lanes(block);
        let marks = [arch::text(a), arch::text(b), arch::text(c), arch::text(d)];
        // Most blocks of a long string have none, and one look tells.
        let stops = if arch::is_zero(or4(marks)) { 0 } else { arch::mask64(marks) };
        Marks { stops, escapes: false, non_ascii: arch::non_ascii(or4([a, b, c, d])) }
    }
}

/// The same for a short block: bit `i` of the low 16 for byte `i`.
#[inline(always)]
pub(super) fn text_stops_short(block: &[u8; LANE]) -> u32 {
    u32::from(arch::mask16(arch::text(arch::load(block))))
}

/// Whether a short block has a byte above 0x7f.
#[inline(always)]
pub(super) fn has_non_ascii_short(block: &[u8; LANE]) -> bool {
    arch::non_ascii(arch::load(block))
}

/// Whether a byte ends a run of plain string text.
#[inline(always)]
pub(super) fn is_text_stop(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Index of the first quote, brace or bracket at or after `from`, or the length. Skips numbers and white space, of which
/// a body of embeddings has hundreds of kilobytes.
#[inline]
pub(crate) fn structural_stop(bytes: &[u8], mut from: usize) -> usize {
    while let Some(block) = bytes.get(from..).and_then(|rest| rest.first_chunk::<BLOCK>()) {
        let [a, b, c, d] = lanes(block);
        let marks = [arch::structural(a), arch::structural(b), arch::structural(c), arch::structural(d)];
        let stops = if arch::is_zero(or4(marks)) { 0 } else { arch::mask64(marks) };
        if stops != 0 {
            return from + stops.trailing_zeros() as usize;
        }
        from += BLOCK;
    }
    let tail = bytes.get(from..).unwrap_or_default();
    from + tail.iter().position(|byte| is_structural(*byte)).unwrap_or(tail.len())
}

#[inline(always)]
fn is_structural(byte: u8) -> bool {
    matches!(byte, b'"' | b'{' | b'}' | b'[' | b']')
}

/// Whether byte `i` of a block is `first` and the byte after it one of `seconds`, as bit `i`. `next` is the block one byte
/// further on.
#[inline(always)]
pub(super) fn pairs(block: &[u8; BLOCK], next: &[u8; BLOCK], first: u8, seconds: [u8; 4]) -> u64 {
    let (block, next) = (lanes(block), lanes(next));
    let pair = |at: usize| {
        let [a, b, c, d] = seconds.map(|second| arch::equals(next[at], second));
        arch::and(arch::equals(block[at], first), or4([a, b, c, d]))
    };
    let marks = [pair(0), pair(1), pair(2), pair(3)];
    if arch::is_zero(or4(marks)) { 0 } else { arch::mask64(marks) }
}

#[inline(always)]
fn lanes(block: &[u8; BLOCK]) -> [arch::Lane; 4] {
    let (lanes, _) = block.as_chunks::<LANE>();
    [arch::load(&lanes[0]), arch::load(&lanes[1]), arch::load(&lanes[2]), arch::load(&lanes[3])]
}

#[inline(always)]
fn or4([a, b, c, d]: [arch::Lane; 4]) -> arch::Lane {
    arch::or(arch::or(a, b), arch::or(c, d))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte value in every place of a block.
    #[test]
    fn marks_agree_with_the_plain_definition() {
        for byte in 0..=255_u8 {
            for place in 0..BLOCK {
                let mut block = [b'x'; BLOCK];
                block[place] = byte;
                let stops = u64::from(is_text_stop(byte)) << place;
                let marks = Marks { stops, escapes: false, non_ascii: byte >= 0x80 };
                assert_eq!(Base::marks(&block), marks, "{byte:#x} at {place}");
                #[cfg(target_arch = "x86_64")]
                {
                    if std::is_x86_feature_detected!("avx2") {
                        assert_eq!(wide::Avx2::marks(&block), marks, "{byte:#x} at {place}");
                    }
                    if std::is_x86_feature_detected!("avx512bw") {
                        assert_eq!(wide::Avx512::marks(&block), marks, "{byte:#x} at {place}");
                    }
                }
                let expected = if is_structural(byte) { place } else { BLOCK };
                assert_eq!(structural_stop(&block, 0), expected, "{byte:#x} at {place}");
                if place < LANE {
                    let lane = block.first_chunk().expect("64 bytes hold 16");
                    assert_eq!(u64::from(text_stops_short(lane)), stops);
                    assert_eq!(has_non_ascii_short(lane), byte >= 0x80);
                }
            }
        }
    }

    /// What the wider versions leave out is a backslash with the character it escapes, and nothing else.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn simple_escapes_alone_are_left_out() {
        let texts = [r#"\"n"#, r"\u00e4", r"\x", r#"\n\"\t/"#, r#"ab\"cd""#, r"\\\\", "\\\n"];
        for text in texts {
            for place in 0..BLOCK {
                let mut block = [b'.'; BLOCK];
                let fits = text.len().min(BLOCK - place);
                block[place..place + fits].copy_from_slice(&text.as_bytes()[..fits]);
                let all = Base::marks(&block).stops;
                let mut wides = Vec::new();
                if std::is_x86_feature_detected!("avx2") {
                    wides.push(wide::Avx2::marks(&block));
                }
                if std::is_x86_feature_detected!("avx512bw") {
                    wides.push(wide::Avx512::marks(&block));
                }
                for marks in wides {
                    let left_out = all & !marks.stops;
                    let escapes = left_out & mask_of(&block, |byte| byte == b'\\');
                    assert_eq!(marks.stops & !all, 0, "{text} at {place}");
                    assert_eq!(left_out & !(escapes | escapes << 1), 0, "{text} at {place}");
                    let simple = mask_of(&block, |byte| b"\"nt".contains(&byte));
                    assert_eq!(escapes << 1 & !simple, 0, "{text} at {place}");
                    assert_eq!(marks.escapes, escapes != 0, "{text} at {place}");
                }
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn mask_of(block: &[u8; BLOCK], is: impl Fn(u8) -> bool) -> u64 {
        (0..).zip(block).fold(0, |mask, (place, byte)| mask | u64::from(is(*byte)) << place)
    }

    #[test]
    fn the_portable_version_marks_the_same() {
        for byte in 0..=255_u8 {
            let mut next = byte;
            let bytes: [u8; LANE] = std::array::from_fn(|_| {
                next = next.wrapping_add(37);
                next
            });
            let (native, plain) = (arch::load(&bytes), portable::load(&bytes));
            let pairs = [
                (arch::text(native), portable::text(plain)),
                (arch::structural(native), portable::structural(plain)),
                (arch::equals(native, byte), portable::equals(plain, byte)),
                (
                    arch::or(arch::text(native), arch::structural(native)),
                    portable::or(portable::text(plain), portable::structural(plain)),
                ),
                (
                    arch::and(arch::text(native), arch::structural(native)),
                    portable::and(portable::text(plain), portable::structural(plain)),
                ),
            ];
            for (native, plain) in pairs {
                assert_eq!(arch::mask16(native), portable::mask16(plain), "{bytes:?}");
                assert_eq!(arch::non_ascii(native), portable::non_ascii(plain), "{bytes:?}");
            }
            let (native, plain) = (arch::text(native), portable::text(plain));
            assert_eq!(arch::is_zero(native), portable::is_zero(plain));
            let zero = (arch::text(arch::load(b"................")), portable::text(*b"................"));
            let natives = [native, zero.0, native, zero.0];
            assert_eq!(arch::mask64(natives), portable::mask64([plain, zero.1, plain, zero.1]));
        }
    }

    #[test]
    fn pairs_are_marked_where_they_begin() {
        for place in 0..BLOCK {
            for second in *b"abcdx" {
                let mut bytes = [b'"'; BLOCK + 1];
                bytes[place + 1] = second;
                let next = bytes.last_chunk().expect("65 bytes hold 64");
                let found = pairs(bytes.first_chunk().expect("65 bytes hold 64"), next, b'"', *b"abcd");
                assert_eq!(found, u64::from(second != b'x') << place, "{} at {place}", char::from(second));
            }
        }
    }

    #[test]
    fn all_marks_of_a_block_are_kept() {
        let mut block = [b'a'; BLOCK];
        let mut expected = 0;
        for place in (0..BLOCK).step_by(3) {
            block[place] = if place % 2 == 0 { b'"' } else { b'\\' };
            expected |= 1 << place;
        }
        assert_eq!(Base::marks(&block), Marks { stops: expected, escapes: false, non_ascii: false });
    }
}
