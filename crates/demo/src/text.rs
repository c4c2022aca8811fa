//! Text and how the demo counts it: one token per word, so that usage, chunks and `max_tokens` always agree.

/// Tokens that every chat message costs besides its text, as with real chat templates.
pub(crate) const TOKENS_PER_MESSAGE: usize = 3;
/// Longest part of a user's message that is echoed, characters.
const SNIPPET_CHARS: usize = 80;
/// Words that filler text repeats.
const FILLER: &str = "The quick brown fox jumps over the lazy dog while the river keeps its even pace. ";

/// The text cut into words, each with the white space before it; joined again they are the text.
pub(crate) fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut start, mut inside) = (0, false);
    for (at, character) in text.char_indices() {
        let white = character.is_whitespace();
        if white && inside {
            words.push(&text[start..at]);
            start = at;
        }
        inside = !white;
    }
    if start < text.len() {
        words.push(&text[start..]);
    }
    words
}

/// How many tokens the text is.
pub(crate) fn tokens(text: &str) -> usize {
    text.split_whitespace().count()
}

/// The first `limit` words and whether that left any out.
pub(crate) fn truncate(text: &str, limit: usize) -> (&str, bool) {
    let words = words(text);
    if words.len() <= limit {
        return (text, false);
    }
    (&text[..words[..limit].iter().map(|word| word.len()).sum()], true)
}

/// The text in `count` parts of about as many words each; 0 gives every word its own part. There are fewer parts when
/// there are fewer words.
pub(crate) fn parts(text: &str, count: usize) -> Vec<&str> {
    let words = words(text);
    let count = if count == 0 { words.len() } else { count.min(words.len()) };
    let mut parts = Vec::with_capacity(count);
    let mut start = 0;
    for part in 0..count {
        let group = &words[part * words.len() / count..(part + 1) * words.len() / count];
        let end = start + group.iter().map(|word| word.len()).sum::<usize>();
        parts.push(&text[start..end]);
        start = end;
    }
    parts
}

/// The text in up to `count` slices of about equal length.
pub(crate) fn slices(text: &str, count: usize) -> Vec<&str> {
    let size = text.len().div_ceil(count).max(1);
    let mut slices = Vec::with_capacity(count);
    let mut rest = text;
    while !rest.is_empty() {
        let end = (size..rest.len()).find(|end| rest.is_char_boundary(*end)).unwrap_or(rest.len());
        let (slice, after) = rest.split_at(end);
        slices.push(slice);
        rest = after;
    }
    slices
}

/// Filler text of exactly `bytes` ASCII bytes that begins and ends with a word.
pub(crate) fn filler(bytes: usize) -> String {
    let mut text: String = FILLER.chars().cycle().take(bytes).collect();
    if text.ends_with(' ') {
        text.pop();
        text.push('.');
    }
    text
}

/// Filler text of exactly `count` words.
pub(crate) fn filler_words(count: usize) -> String {
    FILLER.split_whitespace().cycle().take(count).collect::<Vec<_>>().join(" ")
}

/// The beginning of a text on one line, short enough to be echoed.
pub(crate) fn snippet(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= SNIPPET_CHARS {
        return line;
    }
    line.chars().take(SNIPPET_CHARS - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_and_parts_join_to_the_text(text in "[a-zé \n]{0,60}", count in 0usize..9) {
            prop_assert_eq!(words(&text).concat(), text.clone());
            prop_assert_eq!(parts(&text, count).concat(), text.clone());
            prop_assert_eq!(slices(&text, count.max(1)).concat(), text.clone());
            if count > 0 {
                prop_assert!(slices(&text, count).len() <= count);
                prop_assert!(parts(&text, count).len() <= count);
            }
        }

        #[test]
        fn a_truncated_text_has_the_tokens_asked_for(text in "[a-z]{1,3}( [a-z]{1,3}){0,20}", limit in 1usize..30) {
            let (cut, left_out) = truncate(&text, limit);
            prop_assert_eq!(tokens(cut), tokens(&text).min(limit));
            prop_assert_eq!(left_out, tokens(&text) > limit);
        }

        #[test]
        fn filler_has_the_length_asked_for(bytes in 0usize..500, count in 0usize..200) {
            prop_assert_eq!(filler(bytes).len(), bytes);
            prop_assert_eq!(tokens(&filler_words(count)), count);
        }
    }

    #[test]
    fn a_snippet_is_one_short_line() {
        assert_eq!(snippet("  two\n lines "), "two lines");
        let long = snippet(&"é".repeat(500));
        assert_eq!(long.chars().count(), 80);
        assert!(long.ends_with('…'));
    }
}
