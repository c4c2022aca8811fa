//! Base64 of RFC 4648, with padding.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends bytes in base64.
pub(super) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let all =
            group.iter().enumerate().fold(0_u32, |all, (at, byte)| all | u32::from(*byte) << (16 - 8 * at));
        let digit = |at: usize| ALPHABET[(all >> (18 - 6 * at) & 63) as usize];
        let filled = group.len() + 1;
        out.extend((0..4).map(|at| if at < filled { digit(at) } else { b'=' }));
    }
}

/// The bytes that base64 stands for; `None` where it is none. Padding may be missing.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let mut out = Vec::with_capacity(end * 3 / 4);
    for group in text[..end].chunks(4) {
        if group.len() == 1 {
            return None;
        }
        let mut all = 0_u32;
        for (at, byte) in group.iter().enumerate() {
            all |= u32::from(value(*byte)?) << (18 - 6 * at);
        }
        let [_, bytes @ ..] = all.to_be_bytes();
        out.extend_from_slice(&bytes[..group.len() - 1]);
    }
    Some(out)
}

fn value(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let examples: [(&[u8], &str); 5] =
            [(b"", ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"\xff\xfe\xfd\x00", "//79AA==")];
        for (bytes, text) in examples {
            let mut out = Vec::new();
            encode(bytes, &mut out);
            assert_eq!(out, text.as_bytes());
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes));
            assert_eq!(decode(text.trim_end_matches('=').as_bytes()).as_deref(), Some(bytes));
        }
        for wrong in ["A", "A===", "AA-A", "AAAA\n", "A=AA"] {
            assert_eq!(decode(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
