//! Usage of a whole answer, found from its end.

use std::sync::LazyLock;

use memchr::memmem::{Finder, FinderRev};
use sluice_types::{ServiceTier, Usage};

use super::usage::usage_at;
use crate::json;
use crate::tier::named;

/// Bytes of the name with its quotes.
const NAME_BYTES: usize = "\"usage\"".len();

/// Bytes of the name with its quotes.
const TIER_BYTES: usize = "\"service_tier\"".len();

static TIER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"service_tier\""));

static NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));

static NAME_REV: LazyLock<FinderRev<'static>> = LazyLock::new(|| FinderRev::new("\"usage\""));

/// Where the usage of nearly every answer is: its last bytes.
const TAIL_BYTES: usize = 384;

/// The usage of a whole JSON document, read from the back: `usage` is among the last members of every answer, so a few
/// hundred bytes are looked at, however long the answer is.
///
/// What is found is a member of the outermost object, for it is followed by nothing but further members of its own
/// object and that object's end, which must be the end of the document. A `usage` inside of something (a tool's schema
/// that a provider repeats) is followed by more than that. `None` where this shows nothing: the document has no usage,
/// is cut short, or is arranged otherwise; [`super::body::BodyTap`] then knows.
#[must_use]
pub fn usage_at_end(document: &[u8]) -> Option<Usage> {
    let at = last_name(document)?;
    if at == 0 || document[at - 1] == b'\\' {
        return None;
    }
    let colon = at + memchr::memchr(b':', &document[at..])?;
    if !document[at + NAME_BYTES..colon].trim_ascii().is_empty() {
        return None;
    }
    let start = colon + 1 + document[colon + 1..].iter().position(|byte| !byte.is_ascii_whitespace())?;
    let (usage, end) = usage_at(document, start)?;
    json::closes_document(document, end).then_some(usage)
}

/// Where the last `"usage"` stands. The end of the document is searched forward first, for a search backward has no wide
/// registers.
fn last_name(document: &[u8]) -> Option<usize> {
    let from = document.len().saturating_sub(TAIL_BYTES);
    let last = NAME.find_iter(&document[from..]).last().map(|at| from + at);
    last.or_else(|| NAME_REV.rfind(document))
}

/// The `service_tier` of a whole answer: OpenAI has it behind the usage, Azure and the Responses API before it. It is believed
/// as a member of the outermost object only, which like usage is followed by the rest of the document and nothing else: one
/// inside of something may be a client's words. What is standard needs no proof.
#[must_use]
pub fn answer_tier(document: &[u8]) -> ServiceTier {
    let proven = |at: usize| proven_tier(document, at + TIER_BYTES);
    TIER.find_iter(document).find_map(proven).unwrap_or_default()
}

fn proven_tier(document: &[u8], at: usize) -> Option<ServiceTier> {
    let rest = document[at..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let text = rest.strip_prefix(b"\"")?;
    let length = memchr::memchr(b'"', text)?;
    let tier = named(&text[..length]);
    let end = document.len() - text.len() + length + 1;
    (tier != ServiceTier::Standard && json::closes_document(document, end)).then_some(tier)
}

#[cfg(test)]
mod tests {
    use super::super::body::BodyTap;
    use super::*;

    #[test]
    fn the_tier_is_a_member_of_the_outermost_object() {
        let usage = r#""usage":{"prompt_tokens":3,"completion_tokens":2}"#;
        let tier = |document: String| answer_tier(document.as_bytes());
        assert_eq!(tier(format!("{{{usage},\"service_tier\":\"flex\"}}")), ServiceTier::Flex);
        assert_eq!(
            tier(format!("{{{usage}, \"service_tier\" : \"priority\" ,\"x\":1}}")),
            ServiceTier::Priority
        );
        assert_eq!(tier(format!("{{{usage},\"service_tier\":\"default\"}}")), ServiceTier::Standard);
        assert_eq!(tier(format!("{{{usage},\"m\":{{\"service_tier\":\"flex\"}}}}")), ServiceTier::Standard);
        let whole = |middle: &str| answer_tier(format!("{{\"id\":1,{middle},{usage}}}").as_bytes());
        assert_eq!(whole(r#""service_tier":"priority","tools":[]"#), ServiceTier::Priority);
        assert_eq!(whole(r#""metadata":{"service_tier":"flex"}"#), ServiceTier::Standard);
        assert_eq!(
            whole(r#""metadata":{"service_tier":"flex"},"service_tier":"priority""#),
            ServiceTier::Priority
        );
        assert_eq!(whole(r#""text":"say \"service_tier\":\"flex\"""#), ServiceTier::Standard);
    }

    #[test]
    fn agrees_with_the_tap_or_says_nothing() {
        let usage = r#""usage":{"prompt_tokens":3,"completion_tokens":2}"#;
        let found = [
            format!("{{\"id\":\"x\",{usage}}}"),
            format!("{{\"id\":\"x\" , {usage} , \"user\":null,\"metadata\":{{}} }} \n"),
            format!("{{\"tools\":[{{\"usage\":{{\"prompt_tokens\":9,\"completion_tokens\":9}}}}],{usage}}}"),
            format!("{{\"content\":\"say \\\"usage\\\":{{}}\",{usage}}}"),
        ];
        for document in &found {
            let expected = Usage { input: 3, output: 2, ..Usage::default() };
            assert_eq!(usage_at_end(document.as_bytes()), Some(expected), "{document}");
            let mut tap = BodyTap::new();
            tap.feed(document.as_bytes());
            assert_eq!(tap.facts().usage, Some(expected), "{document}");
        }
        let silent = [
            format!("{{{usage},\"tools\":[{{\"usage\":{{\"prompt_tokens\":9}}}}]}}"),
            format!("{{\"id\":\"x\",{usage}"),
            format!("{{\"a\":{{{usage}}},\"b\":1}}"),
            "{\"content\":\"the \\\"usage\"}".to_owned(),
            "{\"usage\":null}".to_owned(),
            "\"usage\"".to_owned(),
            String::new(),
        ];
        for document in &silent {
            assert_eq!(usage_at_end(document.as_bytes()), None, "{document}");
        }
    }
}
