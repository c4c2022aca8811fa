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
    // Shortened words first: a masked piece would no longer be recognised as the beginning of one.
    mask_shortened(body, key) + mask_pieces(body, key)
}

fn mask_shortened(body: &mut [u8], key: &[u8]) -> usize {
    let mut masked = 0;
    for word in body.split_mut(|byte| !is_word(*byte)) {
        if word.windows(2).any(is_ellipsis) {
            masked += mask_ends(word, key);
        }
    }
    masked
}

/// Masks what a word has of the beginning and of the end of a key. Either may stand anywhere in it: before it the letter
/// of an escape, after it a full stop.
fn mask_ends(word: &mut [u8], key: &[u8]) -> usize {
    let head = &key[..SHORTEST_END];
    let tail = &key[key.len() - SHORTEST_END..];
    let heads = memmem::find_iter(word, head).map(|at| {
        let same = word[at..].iter().zip(key).take_while(|(a, b)| a == b).count();
        at..at + same
    });
    let tails = memmem::find_iter(word, tail).map(|at| {
        let end = at + SHORTEST_END;
        let same = word[..end].iter().rev().zip(key.iter().rev()).take_while(|(a, b)| a == b).count();
        end - same..end
    });
    let places: Vec<_> = heads.chain(tails).collect();
    places.into_iter().map(|place| mask(&mut word[place])).sum()
}

fn mask_pieces(body: &mut [u8], key: &[u8]) -> usize {
    let piece_len = SHORTEST_PIECE.min(key.len());
    // All places before any is masked, for they overlap.
    let places: Vec<usize> =
        key.windows(piece_len).flat_map(|piece| memmem::find_iter(body, piece)).collect();
    places.into_iter().map(|place| mask(&mut body[place..place + piece_len])).sum()
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
