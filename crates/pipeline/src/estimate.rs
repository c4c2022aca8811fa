//! How much a request is likely to use, and how much it can use at most, before anything is known but its bytes.

use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of JSON per token: between prose (4.2) and code (3.2).
pub const BYTES_PER_TOKEN: u64 = 4;

/// Answers of a model of which nothing is known yet, in tokens.
const UNKNOWN_OUTPUT: u64 = 4_096;

/// A picture, in tokens, each time that a request names one. Models make up to 5,000 tokens of one; OpenAI's smallest of
/// 2024 make 48,000, and their parts name it twice.
const MOST_OF_A_PICTURE: u64 = 24_576;

/// The largest context of any model, in tokens, for those whose own is not known.
const LARGEST_CONTEXT: u64 = 2_097_152;

/// How long the answers of a target tend to be: a length that about one in twenty exceeds, learnt as they come. It rises
/// quickly and falls slowly, so that it follows a change without forgetting at once.
///
/// Workers share it without a lock; of two changes at the same moment one may be lost, which a next one makes good.
#[derive(Debug, Default)]
pub struct OutputEstimate(AtomicU32);

impl OutputEstimate {
    /// A share of what an answer exceeds the estimate by.
    const RISE: u32 = 4;
    /// The share of itself it falls by with an answer below it. Where lengths are spread as an exponential distribution
    /// has them, both are in balance at the length that e⁻³ (5 %) exceed.
    const FALL: u32 = 256;

    /// Learns from an answer of so many tokens.
    #[inline]
    pub fn learn(&self, tokens: u32) {
        let before = self.0.load(Ordering::Relaxed);
        let after = match before {
            0 => tokens,
            _ if tokens > before => before.saturating_add(((tokens - before) / Self::RISE).max(1)),
            _ => before - (before / Self::FALL).max(u32::from(before > tokens)),
        };
        if after != before {
            self.0.store(after.max(1), Ordering::Relaxed);
        }
    }

    /// Tokens to expect: half as much again as was learnt.
    #[inline]
    #[must_use]
    pub fn tokens(&self) -> u64 {
        match self.0.load(Ordering::Relaxed) {
            0 => UNKNOWN_OUTPUT,
            learnt => u64::from(learnt) * 3 / 2,
        }
    }
}

/// Tokens that a prompt of so many bytes is likely to have.
#[inline]
pub(crate) fn likely_input(body_bytes: usize) -> u64 {
    body_bytes as u64 / BYTES_PER_TOKEN
}

/// The most tokens a prompt can have. A token is a byte at least, but what a body names instead of holding it is as large
/// as it is: pictures up to what models make of one, everything else (documents, videos, earlier answers, files) up to what
/// the model can hold, which is the bound of it all where it is known.
pub(crate) fn most_input(body: &[u8], context_window: Option<u32>) -> u64 {
    let context = context_window.map_or(LARGEST_CONTEXT, u64::from);
    let bytes = body.len() as u64;
    let most = match Named::in_body(body) {
        Named { contents: true, .. } => context.max(bytes),
        Named { pictures, .. } => bytes.saturating_add(pictures.saturating_mul(MOST_OF_A_PICTURE)),
    };
    context_window.map_or(most, |_| most.min(context))
}

/// What a body names instead of holding it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Named {
    pictures: u64,
    contents: bool,
}

/// Members and types that name a picture, in any dialect.
const PICTURES: [&str; 5] = ["image_url\"", "input_image\"", "image\"", "inlineData\"", "inline_data\""];

/// Those that name contents of any size.
const CONTENTS: [&str; 17] = [
    "document\"",
    "input_file\"",
    "file_id\"",
    "file_url\"",
    "fileData\"",
    "file_data\"",
    "video\"",
    "video_url\"",
    "audio_url\"",
    "input_video\"",
    "container_upload\"",
    "search_result\"",
    "previous_response_id\"",
    "conversation\"",
    "cachedContent\"",
    "cached_content\"",
    "s3Location\"",
];

/// The same as types of media inside of what is held: a video or a document can be small and say much.
const LARGE_MEDIA: [&str; 5] =
    ["video/", "application/pdf", "application/vnd.", "application/msword", "application/zip"];

impl Named {
    fn in_body(body: &[u8]) -> Self {
        let mut named = Self::default();
        // Bodies have been validated; one that is no text has no members either.
        let Ok(text) = std::str::from_utf8(body) else { return Self { contents: true, pictures: 0 } };
        let mut rest = text;
        while let Some(at) = rest.find('"') {
            rest = &rest[at + 1..];
            // Most texts and members begin with another letter, or are closed by this quotation mark.
            if !rest.as_bytes().first().is_some_and(|first| b"acdfipsv".contains(first)) {
                continue;
            }
            named.pictures += u64::from(PICTURES.iter().any(|name| rest.starts_with(name)));
            let is_data = rest.strip_prefix("data:").unwrap_or(rest);
            named.contents |= CONTENTS.iter().any(|name| rest.starts_with(name))
                || LARGE_MEDIA.iter().any(|media| is_data.starts_with(media));
        }
        named.contents |= spells_letters(text);
        named
    }
}

/// Whether a letter is written as an escape, which no serialiser does: it would hide a name from whoever looks for it.
fn spells_letters(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let escape = &rest.as_bytes()[at + 1..];
        let digits = escape.strip_prefix(b"u00").and_then(|digits| digits.get(..2));
        let code = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        if code.is_some_and(|code| code.is_ascii_alphabetic() || code == b'_' || code == b'/') {
            return true;
        }
        // What is escaped is passed over with its backslash, so that a backslash is not taken for one that escapes.
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_begins_with_another_letter() {
        let names = [&PICTURES[..], &CONTENTS, &LARGE_MEDIA, &["data:"]].concat();
        assert!(names.iter().all(|name| b"acdfipsv".contains(&name.as_bytes()[0])), "{names:?}");
    }

    #[test]
    fn what_is_learnt_follows_the_answers() {
        let estimate = OutputEstimate::default();
        assert_eq!(estimate.tokens(), UNKNOWN_OUTPUT);
        // Lengths 1 … 1000, each as often as any other, in an order that is none.
        let mut length = 1_u32;
        let mut exceeded = 0;
        for nth in 0..20_000 {
            length = (length * 571 + 17) % 1_000;
            if nth >= 10_000 && estimate.tokens() * 2 / 3 < u64::from(length) {
                exceeded += 1;
            }
            estimate.learn(length + 1);
        }
        assert!((100..2_500).contains(&exceeded), "{exceeded} of 10000");
        // It comes down again where answers become short, and never to nothing.
        for _ in 0..10_000 {
            estimate.learn(3);
        }
        assert!((1..=6).contains(&estimate.tokens()), "{}", estimate.tokens());
        for _ in 0..100 {
            estimate.learn(0);
        }
        estimate.learn(u32::MAX);
        assert!(estimate.tokens() > 1_000_000_000);
    }

    #[test]
    fn a_prompt_is_at_most_its_bytes_and_what_it_names() {
        let plain = br#"{"messages":[{"role":"user","content":"an \"image\" of \\u0041 and \u00e9"}]}"#;
        assert_eq!(most_input(plain, None), plain.len() as u64);
        let text = br#"{"messages":[{"role":"user","content":"documents and \u00e9 \u003c"}]}"#;
        assert_eq!(most_input(text, None), text.len() as u64);
        assert_eq!(most_input(text, Some(20)), 20);
        for picture in [
            r#"{"type":"image_url"}"#,
            r#"{"type":"input_image"}"#,
            r#"{"type": "image"}"#,
            r#"{"image":{"format":"png"}}"#,
            r#"{"inlineData":{"mimeType":"image/png"}}"#,
        ] {
            assert_eq!(
                most_input(picture.as_bytes(), None),
                picture.len() as u64 + MOST_OF_A_PICTURE,
                "{picture}"
            );
        }
        for contents in [
            r#"{"type":"document"}"#,
            r#"{"fileData":{"fileUri":"u"}}"#,
            r#"{"previous_response_id":"r"}"#,
            r#"{"type":"\u0069mage_url"}"#,
            r#"{"inlineData":{"mimeType":"video/mp4"}}"#,
            r#"{"url":"data:application/pdf;base64,AA"}"#,
        ] {
            assert_eq!(most_input(contents.as_bytes(), None), LARGEST_CONTEXT, "{contents}");
            assert_eq!(most_input(contents.as_bytes(), Some(8_192)), 8_192, "{contents}");
        }
        assert_eq!(most_input(b"\xff", Some(9)), 9);
    }
}
