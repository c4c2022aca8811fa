//! Pages of lists of models, as the parameters of Anthropic's and Gemini's APIs ask for them.
//!
//! A page is found by the name of the model next to it, never by a number: the next request may be served from another plan,
//! and a model that was added or taken out in between moves nothing.
//! <https://platform.claude.com/docs/en/api/models/list>, <https://ai.google.dev/api/models#method:-models.list>

use std::fmt::Write as _;
use std::ops::Range;

use sluice_pipeline::percent_decoded;
use sluice_types::ErrorKind;

use crate::refusal::Refusal;

/// Most models of a page, in both dialects.
const MOST: usize = 1_000;

/// Models of a page of Anthropic's where nothing is said.
const ANTHROPIC_USUAL: usize = 20;

/// The same of Gemini's.
const GEMINI_USUAL: usize = 50;

/// Part of a list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Which models.
    pub(crate) range: Range<usize>,
    /// There are more in the direction that was asked for.
    pub(crate) has_more: bool,
}

impl Page {
    fn from(start: usize, end: usize, limit: usize) -> Self {
        let stop = end.min(start.saturating_add(limit)).max(start);
        Self { range: start..stop, has_more: stop < end }
    }
}

/// `limit`, and `after_id` or `before_id`; the page before a model is the one that ends at it.
pub(crate) fn anthropic_page(names: &[&str], query: Option<&str>) -> Result<Page, Refusal> {
    let limit = match parameter(query, "limit") {
        None => ANTHROPIC_USUAL,
        Some(text) => match text.parse() {
            Ok(limit @ 1..=MOST) => limit,
            _ => return Err(refused("limit", &text, "a number from 1 to 1000")),
        },
    };
    let at = |name: &'static str| match parameter(query, name) {
        None => Ok(None),
        Some(id) => match names.iter().position(|name| **name == *id) {
            Some(at) => Ok(Some(at)),
            None => Err(refused(name, &id, "the id of a listed model")),
        },
    };
    match (at("after_id")?, at("before_id")?) {
        (None, Some(before)) => {
            let start = before.saturating_sub(limit);
            Ok(Page { range: start..before, has_more: start > 0 })
        }
        (after, before) => {
            let start = after.map_or(0, |at| at + 1);
            Ok(Page::from(start, before.unwrap_or(names.len()), limit))
        }
    }
}

/// `pageSize`, and the `pageToken` of the page before. More than a page can hold asks for the most.
pub(crate) fn gemini_page(names: &[&str], query: Option<&str>) -> Result<Page, Refusal> {
    let size = match parameter(query, "pageSize").filter(|text| !text.is_empty()) {
        None => GEMINI_USUAL,
        Some(text) => match text.parse::<u32>() {
            Ok(0) => GEMINI_USUAL,
            Ok(size) => usize::try_from(size).unwrap_or(MOST).min(MOST),
            Err(_) => return Err(refused("pageSize", &text, "a number from 0 on")),
        },
    };
    let start = match parameter(query, "pageToken").filter(|text| !text.is_empty()) {
        None => 0,
        Some(token) => match names.iter().position(|name| token_of(name) == token) {
            Some(at) => at + 1,
            None => return Err(refused("pageToken", &token, "the nextPageToken of a page")),
        },
    };
    Ok(Page::from(start, names.len(), size))
}

/// The token of the page behind a model: its name, in letters that no client has to escape.
pub(crate) fn token_of(name: &str) -> String {
    name.bytes().fold(String::with_capacity(name.len() * 2), |mut token, byte| {
        let _ = write!(token, "{byte:02x}");
        token
    })
}

/// A parameter of a query, without escapes.
fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let value = query?.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(percent_decoded(&value.replace('+', " ")))
}

#[cold]
fn refused(name: &'static str, found: &str, expected: &str) -> Refusal {
    let found: String = found.chars().take(64).collect();
    let message = format!("{name}: found `{found}`, expected {expected}.");
    Refusal::new(ErrorKind::InvalidBody, message).with_param(Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] = ["a", "b/c", "d e", "f", "g"];

    fn anthropic(query: &str) -> (Range<usize>, bool) {
        let page = anthropic_page(&NAMES, Some(query)).unwrap_or_else(|_| panic!("{query}"));
        (page.range, page.has_more)
    }

    #[test]
    fn pages_of_anthropic_go_both_ways() {
        assert_eq!(anthropic(""), (0..5, false));
        assert_eq!(anthropic("limit=2"), (0..2, true));
        assert_eq!(anthropic("limit=2&after_id=b%2Fc"), (2..4, true));
        assert_eq!(anthropic("after_id=d+e&limit=2"), (3..5, false));
        assert_eq!(anthropic("after_id=g"), (5..5, false));
        assert_eq!(anthropic("limit=2&before_id=f"), (1..3, true));
        assert_eq!(anthropic("limit=9&before_id=f"), (0..3, false));
        assert_eq!(anthropic("before_id=a"), (0..0, false));
        assert_eq!(anthropic("after_id=a&before_id=f"), (1..3, false));
        assert_eq!(anthropic("after_id=f&before_id=a"), (4..4, false));
        for wrong in ["limit=0", "limit=1001", "limit=-1", "limit=", "after_id=x", "before_id="] {
            assert!(anthropic_page(&NAMES, Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pages_of_gemini_follow_their_tokens() {
        let page =
            |query: &str| gemini_page(&NAMES, Some(query)).ok().map(|page| (page.range, page.has_more));
        assert_eq!(page("key=k"), Some((0..5, false)));
        assert_eq!(page("pageSize=0&pageToken="), Some((0..5, false)));
        assert_eq!(page("pageSize=3"), Some((0..3, true)));
        assert_eq!(page(&format!("pageSize=3&pageToken={}", token_of("d e"))), Some((3..5, false)));
        assert_eq!(page("pageSize=100000"), Some((0..5, false)));
        for wrong in ["pageSize=-1", "pageSize=x", "pageToken=x", "pageToken=zz"] {
            assert_eq!(page(wrong), None, "{wrong}");
        }
    }
}
