//! The `usage` object of answers and streams.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use sluice_types::{ServiceTier, Usage};

use crate::json::{self, Out};
use crate::tier::tier_of;

static TIER_NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"service_tier\""));

/// Reads a usage object.
///
/// Anthropic's `input_tokens` are those that were neither read from the cache nor written to it, so the three make the
/// input together. `None` where the value is no object or counts nothing we know.
#[must_use]
pub fn read_usage(value: &[u8]) -> Option<Usage> {
    Counts::read(value).map(|counts| counts.usage())
}

/// Counts as Anthropic has them. Reports within a stream are merged in this form: the parts of the input may come in
/// different reports, and their sum would hide which of them grew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    uncached: Option<u32>,
    cache_read: Option<u32>,
    cache_write: Option<u32>,
    cache_write_5m: Option<u32>,
    cache_write_1h: Option<u32>,
    output: Option<u32>,
    thinking: Option<u32>,
    tier: ServiceTier,
}

impl Counts {
    /// The counts of a usage object; `None` where it has none of tokens.
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let mut counts = Self::default();
        json::walk_counts(value, 0, &mut |around, name, number| counts.take(around, name, number)).ok()?;
        if counts == Self::default() {
            return None;
        }
        counts.tier = tier_within(value);
        Some(counts)
    }

    fn take(&mut self, around: &[u8], name: &[u8], number: &[u8]) {
        let into = match (around, name) {
            (b"", b"input_tokens") => &mut self.uncached,
            (b"", b"cache_read_input_tokens") => &mut self.cache_read,
            (b"", b"cache_creation_input_tokens") => &mut self.cache_write,
            (b"cache_creation", b"ephemeral_5m_input_tokens") => &mut self.cache_write_5m,
            (b"cache_creation", b"ephemeral_1h_input_tokens") => &mut self.cache_write_1h,
            (b"", b"output_tokens") => &mut self.output,
            (b"output_tokens_details", b"thinking_tokens") => &mut self.thinking,
            _ => return,
        };
        // What does not fit 32 bits is the largest that does.
        *into = json::as_u64(number).map(|number| u32::try_from(number).unwrap_or(u32::MAX)).max(*into);
    }

    /// Merges a later report: each count is cumulative, and one that is left out says nothing.
    pub(super) fn merge(&mut self, later: Self) {
        self.uncached = self.uncached.max(later.uncached);
        self.cache_read = self.cache_read.max(later.cache_read);
        self.cache_write = self.cache_write.max(later.cache_write);
        self.cache_write_5m = self.cache_write_5m.max(later.cache_write_5m);
        self.cache_write_1h = self.cache_write_1h.max(later.cache_write_1h);
        self.output = self.output.max(later.output);
        self.thinking = self.thinking.max(later.thinking);
        if later.tier != ServiceTier::Standard {
            self.tier = later.tier;
        }
    }

    /// The same in canonical form.
    pub(super) fn usage(&self) -> Usage {
        let cached_input = self.cache_read.unwrap_or_default();
        let cache_write_1h = self.cache_write_1h.unwrap_or_default();
        let by_lifetime = cache_write_1h.saturating_add(self.cache_write_5m.unwrap_or_default());
        let cache_write = self.cache_write.unwrap_or_default().max(by_lifetime);
        let uncached = self.uncached.unwrap_or_default();
        Usage {
            input: uncached.saturating_add(cached_input).saturating_add(cache_write),
            cached_input,
            cache_write,
            cache_write_1h,
            output: self.output.unwrap_or_default(),
            reasoning: self.thinking.unwrap_or_default(),
            tier: self.tier,
            ..Usage::default()
        }
    }
}

/// The `service_tier` of a usage object. Nothing in one is a client's, so its name is looked for and the object is not read
/// a second time.
fn tier_within(value: &[u8]) -> ServiceTier {
    let Some(at) = TIER_NAME.find(value) else { return ServiceTier::Standard };
    let rest = value[at + TIER_NAME.needle().len()..].trim_ascii_start();
    let Some(text) = rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start) else {
        return ServiceTier::Standard;
    };
    let end = text.get(1..).and_then(|inner| memchr::memchr(b'"', inner)).map_or(0, |at| at + 2);
    tier_of(&text[..end])
}

/// Writes a usage object as the value that is due. `service_tier` is a member of it in whole answers.
pub(super) fn write_usage(usage: &Usage, service_tier: Option<&str>, out: &mut Out<'_>) {
    let cached = usage.cached_input.saturating_add(usage.cache_write);
    let write_5m = usage.cache_write.saturating_sub(usage.cache_write_1h);
    out.begin_object();
    out.key("input_tokens").number(usage.input.saturating_sub(cached).into());
    out.key("cache_creation_input_tokens").number(usage.cache_write.into());
    out.key("cache_read_input_tokens").number(usage.cached_input.into());
    out.key("cache_creation").begin_object();
    out.key("ephemeral_5m_input_tokens").number(write_5m.into());
    out.key("ephemeral_1h_input_tokens").number(usage.cache_write_1h.into());
    out.end_object();
    out.key("output_tokens").number(usage.output.into());
    out.key("output_tokens_details").begin_object();
    out.key("thinking_tokens").number(usage.reasoning.into());
    out.end_object();
    if let Some(tier) = service_tier {
        out.field("service_tier", tier);
    }
    out.end_object();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(usage: &Usage) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_usage(usage, None, &mut Out::new(&mut bytes));
        bytes
    }

    #[test]
    fn trap_75_input_includes_the_cache_once() {
        let value = br#"{"input_tokens":3,"cache_creation_input_tokens":20,"cache_read_input_tokens":100,
            "cache_creation":{"ephemeral_5m_input_tokens":5,"ephemeral_1h_input_tokens":15},"output_tokens":7,
            "output_tokens_details":{"thinking_tokens":4},"iterations":[{"input_tokens":999}],
            "server_tool_use":{"web_search_requests":2},"service_tier":"standard"}"#;
        let usage = read_usage(value).unwrap();
        let expected = Usage {
            input: 123,
            cached_input: 100,
            cache_write: 20,
            cache_write_1h: 15,
            output: 7,
            reasoning: 4,
            ..Usage::default()
        };
        assert_eq!(usage, expected);
        assert_eq!(read_usage(&written(&usage)), Some(expected));
    }

    #[test]
    fn edge_15_malformed_usage_is_none() {
        for value in
            [&b"null"[..], b"{}", b"[]", b"", b"{\"input_tokens\":\"3\"}", b"{\"input_tokens\":3", b"7"]
        {
            assert_eq!(read_usage(value), None);
        }
        let huge = read_usage(br#"{"input_tokens":99999999999,"cache_read_input_tokens":5}"#).unwrap();
        assert_eq!((huge.input, huge.cached_input), (u32::MAX, 5));
    }

    #[test]
    fn the_tier_is_read_with_the_counts() {
        for (text, tier) in [
            (&br#"{"input_tokens":1,"service_tier":"priority"}"#[..], ServiceTier::Priority),
            (br#"{"service_tier" : "batch" , "output_tokens":1}"#, ServiceTier::Batch),
            (br#"{"service_tier":"standard","output_tokens":1}"#, ServiceTier::Standard),
            (br#"{"service_tier":null,"output_tokens":1}"#, ServiceTier::Standard),
            (br#"{"service_tier":{},"output_tokens":1}"#, ServiceTier::Standard),
        ] {
            assert_eq!(read_usage(text).unwrap().tier, tier);
        }
        let mut counts = Counts::read(br#"{"input_tokens":5,"service_tier":"priority"}"#).unwrap();
        counts.merge(Counts::read(br#"{"output_tokens":30}"#).unwrap());
        assert_eq!(counts.usage().tier, ServiceTier::Priority);
    }

    #[test]
    fn parts_of_the_input_grow_apart() {
        let mut counts =
            Counts::read(br#"{"input_tokens":50,"cache_read_input_tokens":200,"output_tokens":1}"#).unwrap();
        counts.merge(Counts::read(br#"{"output_tokens":30}"#).unwrap());
        assert_eq!((counts.usage().input, counts.usage().output), (250, 30));
        counts.merge(Counts::read(br#"{"input_tokens":60,"output_tokens":31}"#).unwrap());
        assert_eq!((counts.usage().input, counts.usage().output), (260, 31));
    }
}
