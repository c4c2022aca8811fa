//! Keeping our provider keys out of what providers say about them.

use memchr::memmem;

/// Shortest piece of a key that is masked wherever it stands.
const SHORTEST_PIECE: usize = 8;

/// Fewest characters of the beginning or end of a key that are masked in a word which shows part of a key.
const SHORTEST_END: usize = 3;

/// Masks a provider key in an error body, in place, so that lengths and JSON stay as they were. Returns how many bytes
/// were masked.
///
/// Providers echo the key they refuse, whole or shortened ("Incorrect API key provided: sk-proj-****************abcd"). A
/// client must learn neither the key nor its ends: the key is ours, not the client's. Masked are every piece of the key
/// of eight characters or more, and the key's first and last characters in every word that is shortened with asterisks,
/// dots or bullets. For bodies of errors, which are short: the time is proportional to the lengths of body and key.
pub fn redact_key(body: &mut [u8], key: &str) -> usize {
    let key = key.as_bytes();
    if key.len() < SHORTEST_END {
        return 0;
    }
    mask_pieces(body, key) + mask_shortened(body, key)
}

fn mask_pieces(body: &mut [u8], key: &[u8]) -> usize {
    let mut masked = 0;
    // From a copy of the places, since masking one piece must not hide the next one that overlaps it.
    let mut places: Vec<usize> = Vec::new();
    let piece_len = SHORTEST_PIECE.min(key.len());
    for piece in key.windows(piece_len) {
        places.extend(memmem::find_iter(body, piece));
    }
    for place in places {
        masked += mask(&mut body[place..place + piece_len]);
    }
    masked
}

fn mask_shortened(body: &mut [u8], key: &[u8]) -> usize {
    let mut masked = 0;
    for word in body.split_mut(|byte| !is_word(*byte)) {
        if !word.windows(2).any(is_ellipsis) {
            continue;
        }
        let head = word.iter().zip(key).take_while(|(a, b)| a == b).count();
        let tail = word.iter().rev().zip(key.iter().rev()).take_while(|(a, b)| a == b).count();
        let tail_from = word.len() - tail;
        if head >= SHORTEST_END {
            masked += mask(&mut word[..head]);
        }
        if tail >= SHORTEST_END {
            masked += mask(&mut word[tail_from..]);
        }
    }
    masked
}

/// Characters of keys, and of what stands for the part left out (the bytes of `…` and `•` included).
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || byte >= 0x80
        || matches!(byte, b'-' | b'_' | b'.' | b'*' | b'+' | b'/' | b'=')
}

/// Two characters that show that something was left out.
fn is_ellipsis(pair: &[u8]) -> bool {
    pair == b"**" || pair == b".." || pair == b"\xe2\x80"
}

fn mask(bytes: &mut [u8]) -> usize {
    let plain = bytes.iter().filter(|byte| **byte != b'*').count();
    bytes.fill(b'*');
    plain
}
