//! The `usage` object.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use sluice_types::{ServiceTier, Usage};

use crate::json::{self, Out};
use crate::tier::tier_of_type;

static TIER_NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"serviceTier\""));

const WANTED: [&str; 5] =
    ["inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens", "cacheDetails"];

/// Reads a usage object. `inputTokens` leaves out what was read from or written to the cache; ours has it in. `None` where
/// the value is no object or counts nothing we know.
#[must_use]
pub fn read_usage(value: &[u8]) -> Option<Usage> {
    let members = json::scan_object_lenient(value, &WANTED).ok()?.values;
    let [input, output, read, written, details] =
        members.map(|span| span.map_or(&[][..], |span| span.of(value)));
    let [input, output, read, written] = [input, output, read, written].map(json::as_u64);
    input.or(output)?;
    let (all, hour) = cache_details(details);
    let read = read.unwrap_or_default();
    let written = written.unwrap_or_default().max(all);
    let input = input.unwrap_or_default().saturating_add(read).saturating_add(written);
    Some(Usage {
        input: count(input),
        cached_input: count(read),
        cache_write: count(written),
        cache_write_1h: count(hour),
        output: count(output.unwrap_or_default()),
        ..Usage::default()
    })
}

/// How urgently a whole answer says it was served. `serviceTier` is believed as a member of the outermost object only, which
/// is followed by the rest of the document and nothing else: one inside of something may be the words of a model.
#[must_use]
pub fn answer_tier(document: &[u8]) -> ServiceTier {
    let proven = |at: usize| {
        let rest = document[at + TIER_NAME.needle().len()..].trim_ascii_start().strip_prefix(b":")?;
        let value = &rest[..=memchr::memchr(b'}', rest)?];
        let end = document.len() - rest.len() + value.len();
        let tier = tier_of_type(value.trim_ascii_start());
        (tier != ServiceTier::Standard && json::closes_document(document, end)).then_some(tier)
    };
    TIER_NAME.find_iter(document).find_map(proven).unwrap_or_default()
}

/// Tokens written to the cache by how long they are kept: all of them, and those that are kept for an hour.
fn cache_details(details: &[u8]) -> (u64, u64) {
    let (mut all, mut hour) = (0_u64, 0_u64);
    for detail in json::elements(details) {
        let Ok(members) = json::scan_object_lenient(detail, &["ttl", "inputTokens"]) else { continue };
        let [ttl, tokens] = members.values.map(|span| span.map_or(&[][..], |span| span.of(detail)));
        let tokens = json::as_u64(tokens).unwrap_or_default();
        all = all.saturating_add(tokens);
        if ttl == b"\"1h\"" {
            hour = hour.saturating_add(tokens);
        }
    }
    (all, hour)
}

/// What does not fit 32 bits is the largest that does.
fn count(tokens: u64) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

/// Writes the member `usage`. Members about the cache are there where the cache was used.
pub(super) fn write_usage(usage: &Usage, out: &mut Out<'_>) {
    let cached = usage.cached_input.saturating_add(usage.cache_write);
    out.key("usage").begin_object();
    out.key("inputTokens").number(u64::from(usage.input.saturating_sub(cached)));
    out.key("outputTokens").number(u64::from(usage.output));
    out.key("totalTokens").number(usage.total());
    if cached > 0 {
        out.key("cacheReadInputTokens").number(u64::from(usage.cached_input));
        out.key("cacheWriteInputTokens").number(u64::from(usage.cache_write));
    }
    if usage.cache_write > 0 {
        let short = usage.cache_write.saturating_sub(usage.cache_write_1h);
        out.key("cacheDetails").begin_array();
        for (ttl, tokens) in [("5m", short), ("1h", usage.cache_write_1h)] {
            if tokens > 0 {
                out.begin_object()
                    .field("ttl", ttl)
                    .key("inputTokens")
                    .number(u64::from(tokens))
                    .end_object();
            }
        }
        out.end_array();
    }
    out.end_object();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_75_the_cache_is_counted_once() {
        let usage = read_usage(
            br#"{"inputTokens":13,"outputTokens":5,"serverToolUsage":{},"totalTokens":148,"cacheReadInputTokens":100,
            "cacheWriteInputTokens":30,"cacheDetails":[{"ttl":"5m","inputTokens":10},{"ttl":"1h","inputTokens":20}]}"#,
        );
        let expected = Usage {
            input: 143,
            cached_input: 100,
            cache_write: 30,
            cache_write_1h: 20,
            output: 5,
            ..Usage::default()
        };
        assert_eq!(usage, Some(expected));
        let mut out = Vec::new();
        write_usage(&expected, Out::new(&mut out).begin_object());
        out.push(b'}');
        assert_eq!(
            read_usage(out.strip_prefix(b"{\"usage\":").unwrap().strip_suffix(b"}").unwrap()),
            Some(expected)
        );
    }

    #[test]
    fn the_tier_is_a_member_of_the_outermost_object() {
        let tier = |text: &str| answer_tier(text.as_bytes());
        assert_eq!(
            tier(r#"{"output":{},"serviceTier":{"type":"priority"},"usage":{}}"#),
            ServiceTier::Priority
        );
        assert_eq!(tier(r#"{"serviceTier":{"type":"default"},"usage":{}}"#), ServiceTier::Standard);
        assert_eq!(tier(r#"{"output":{"serviceTier":{"type":"flex"}},"usage":{}}"#), ServiceTier::Standard);
        assert_eq!(tier(r#"{"serviceTier":"flex"}"#), ServiceTier::Standard);
    }

    #[test]
    fn edge_15_what_counts_nothing_is_no_usage() {
        for value in [
            &b"{}"[..],
            b"null",
            b"",
            b"[]",
            b"{\"inputTokens\":\"x\"}",
            b"{\"inputTokens\":1",
            b"{\"totalTokens\":3}",
        ] {
            assert_eq!(read_usage(value), None);
        }
        assert_eq!(read_usage(b"{\"outputTokens\":99999999999}").unwrap().output, u32::MAX);
    }
}
