use std::borrow::Cow;
use std::fmt;

use crate::json::{decode_text, push_json_string};

/// A text as it stands between the quotes of a JSON string, escapes and all. Most of a translated request is text that
/// is copied from one document into another; kept like this, copying is all that is done to it.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Text<'a>(Cow<'a, [u8]>);

impl<'a> Text<'a> {
    /// The inside of a JSON string of a document that was parsed.
    #[must_use]
    pub const fn escaped(inside: &'a [u8]) -> Self {
        Self(Cow::Borrowed(inside))
    }

    /// A text of ours that needs no escapes.
    #[must_use]
    pub const fn literal(text: &'static str) -> Text<'static> {
        Text(Cow::Borrowed(text.as_bytes()))
    }

    /// Any text.
    #[must_use]
    pub fn plain(text: &str) -> Text<'static> {
        let mut quoted = Vec::with_capacity(text.len() + 2);
        push_json_string(&mut quoted, text);
        quoted.pop();
        quoted.remove(0);
        Text(Cow::Owned(quoted))
    }

    /// What is between the quotes.
    #[must_use]
    pub fn as_escaped(&self) -> &[u8] {
        &self.0
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is this text, however either is escaped.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        if memchr::memchr(b'\\', &self.0).is_none() {
            return *self.0 == *text.as_bytes();
        }
        self.decode() == text
    }

    /// The text itself. Half a surrogate pair becomes U+FFFD.
    #[must_use]
    pub fn decode(&self) -> Cow<'_, str> {
        decode_text(&self.0)
    }

    /// Whether there is nothing in it but white space. Looks no further than to the first character that is none.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        let mut rest = &self.0[..];
        loop {
            rest = match rest {
                [] => return true,
                [b' ', behind @ ..] | [b'\\', b'n' | b'r' | b't' | b'f', behind @ ..] => behind,
                [0x80..=0xff, ..] if !begins_with_space(rest) => return false,
                // White space beyond ASCII, or an escape that may stand for some, is rare.
                [0x80..=0xff, ..] | [b'\\', b'u', ..] => return decode_text(rest).trim().is_empty(),
                _ => return false,
            };
        }
    }

    /// The same, with bytes of its own.
    #[must_use]
    pub fn into_owned(self) -> Text<'static> {
        Text(Cow::Owned(self.0.into_owned()))
    }

    /// The same, borrowed from this one.
    #[must_use]
    pub fn borrow(&self) -> Text<'_> {
        Text(Cow::Borrowed(&self.0))
    }

    /// Its last `len` bytes as a text of the same document. `None` where the bytes written are not those that were meant,
    /// for there are escapes among them.
    #[must_use]
    pub fn tail(&self, len: usize) -> Option<Self> {
        let Cow::Borrowed(bytes) = self.0 else { return None };
        let start = bytes.len().checked_sub(len)?;
        memchr::memchr(b'\\', bytes).is_none().then(|| Self::escaped(&bytes[start..]))
    }

    /// Appends another text.
    pub fn push(&mut self, other: &Text<'_>) {
        self.0.to_mut().extend_from_slice(&other.0);
    }
}

/// Whether the first character is white space. None takes more than four bytes.
fn begins_with_space(text: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&text[..text.len().min(4)]);
    head.chars().next().is_some_and(char::is_whitespace)
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.decode())
    }
}

/// A number as it is written in JSON, so that none loses precision on its way.
#[derive(Clone, PartialEq, Eq)]
pub struct Number<'a>(Cow<'a, [u8]>);

impl<'a> Number<'a> {
    /// A number of a document that was parsed.
    #[must_use]
    pub const fn written(digits: &'a [u8]) -> Self {
        Self(Cow::Borrowed(digits))
    }

    /// As it is written.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its nearest double.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        std::str::from_utf8(&self.0).ok()?.parse().ok()
    }
}

impl fmt::Debug for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// A JSON value that is carried as it is: a tool's schema, the object a tool returned.
#[derive(Clone, PartialEq, Eq)]
pub struct Raw<'a>(Cow<'a, [u8]>);

impl<'a> Raw<'a> {
    /// A value of a document that was parsed.
    #[must_use]
    pub const fn written(value: &'a [u8]) -> Self {
        Self(Cow::Borrowed(value))
    }

    /// A value of ours; must be valid JSON.
    #[must_use]
    pub const fn owned(value: Vec<u8>) -> Raw<'static> {
        Raw(Cow::Owned(value))
    }

    /// As it is written.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same, with bytes of its own.
    #[must_use]
    pub fn into_owned(self) -> Raw<'static> {
        Raw(Cow::Owned(self.0.into_owned()))
    }
}

impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// Arguments of a tool call. Some dialects write them as an object, others as a string that should hold one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arguments<'a> {
    /// An object, as it is written.
    Object(Raw<'a>),
    /// The inside of a string; what a model put into it may be anything.
    Text(Text<'a>),
}

impl Arguments<'_> {
    /// Appends them as an object. Empty text is no arguments; text that is no JSON object (a model may have written
    /// anything) becomes `{"input": TEXT}`, since the dialects with objects accept nothing else.
    pub fn write_object(&self, out: &mut Vec<u8>) {
        let text = match self {
            Self::Object(raw) => return out.extend_from_slice(raw.as_bytes()),
            Self::Text(text) => text,
        };
        let decoded = text.decode();
        if decoded.trim().is_empty() {
            out.extend_from_slice(b"{}");
        } else if crate::json::scan_object_lenient(decoded.as_bytes(), &[]).is_ok() {
            out.extend_from_slice(decoded.trim().as_bytes());
        } else {
            out.extend_from_slice(b"{\"input\":\"");
            out.extend_from_slice(text.as_escaped());
            out.extend_from_slice(b"\"}");
        }
    }

    /// Appends them as a JSON string with its quotes.
    pub fn write_string(&self, out: &mut Vec<u8>) {
        match self {
            Self::Object(raw) => match std::str::from_utf8(raw.as_bytes()) {
                Ok(text) => push_json_string(out, text),
                Err(_) => out.extend_from_slice(b"\"{}\""),
            },
            Self::Text(text) => {
                out.push(b'"');
                out.extend_from_slice(text.as_escaped());
                out.push(b'"');
            }
        }
    }

    /// The same as the inside of a string, as it is sent in fragments of a stream.
    #[must_use]
    pub fn to_text(&self) -> Text<'_> {
        match self {
            Self::Object(raw) => Text::plain(&String::from_utf8_lossy(raw.as_bytes())),
            Self::Text(text) => text.borrow(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &'static str) -> String {
        let mut out = Vec::new();
        Arguments::Text(Text::plain(text)).write_object(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn arguments_change_between_object_and_string() {
        assert_eq!(object(""), "{}");
        assert_eq!(object(" {\"a\": 12345678901234567890} "), "{\"a\": 12345678901234567890}");
        assert_eq!(object("{\"a\":"), "{\"input\":\"{\\\"a\\\":\"}");
        assert_eq!(object("[1]"), "{\"input\":\"[1]\"}");
        let mut out = Vec::new();
        Arguments::Object(Raw::written(b"{\"a\":\"b\"}")).write_string(&mut out);
        assert_eq!(out, br#""{\"a\":\"b\"}""#);
    }

    #[test]
    fn texts_compare_by_what_they_say() {
        assert!(Text::escaped(br"us\u0065r").is("user"));
        assert!(!Text::escaped(b"user").is("users"));
        for blank in ["", "  ", " \\n\\t\\r\\f", "\\n\\u0020\\u00a0", "\u{a0} \\n", "\u{3000}"] {
            assert!(Text::escaped(blank.as_bytes()).is_blank(), "{blank}");
        }
        for text in ["a", " \\\\n", "\\n\\\"", "\\u0041", " \u{a0}x", "\u{4f60}", "\u{1f44b}", "\\u0020."] {
            assert!(!Text::escaped(text.as_bytes()).is_blank(), "{text}");
        }
        assert_eq!(Text::plain("a\"b\n").as_escaped(), br#"a\"b\n"#);
        assert_eq!(Text::escaped(br"x\ud83d").decode(), "x\u{fffd}");
    }
}
