//! A parsed document, for translation only: one pass over the bytes leaves a flat list of where every value is.
//!
//! No value is decoded. A string stays as it is written, since it is mostly copied into another document as it is, and a
//! number stays its digits, so that none loses precision. Where a member is given twice the last one counts, as for
//! nearly every reader; members that decide about authorisation are read by [`super::scan_object`], which refuses that.

use super::scan::Scanner;
use super::{JsonError, JsonErrorKind, Kind, MAX_DEPTH, kind_of};
use crate::exchange::{Number, Text};

/// Where one value is, and where the next one's node is.
#[derive(Clone, Copy, Debug)]
struct Node {
    start: u32,
    end: u32,
    /// Index of the node behind this value and everything in it.
    next: u32,
}

/// A whole JSON document: an object, for every body and event we read is one.
#[derive(Debug)]
pub struct Doc<'a> {
    bytes: &'a [u8],
    nodes: Vec<Node>,
}

impl<'a> Doc<'a> {
    /// Parses a document whose outermost value is an object.
    ///
    /// # Errors
    ///
    /// As [`super::scan_object`], less what that refuses as policy about members.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, JsonError> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(JsonError { kind: JsonErrorKind::TooLong, offset: u32::MAX as usize });
        }
        let mut parser = Parser { scanner: Scanner::at(bytes, 0), nodes: Vec::with_capacity(64) };
        match parser.document() {
            Ok(()) => parser.scanner.check_utf8().map(|()| Self { bytes, nodes: parser.nodes }),
            Err(kind) => Err(JsonError { kind, offset: parser.scanner.at.min(bytes.len()) }),
        }
    }

    /// The outermost object.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        Value { bytes: self.bytes, nodes: &self.nodes, at: 0 }
    }
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    nodes: Vec<Node>,
}

impl Parser<'_> {
    fn document(&mut self) -> Result<(), JsonErrorKind> {
        if self.scanner.bytes.starts_with(b"\xef\xbb\xbf") {
            return Err(JsonErrorKind::ByteOrderMark);
        }
        match self.scanner.next_token() {
            Some(b'{') => self.value(1)?,
            Some(_) => return Err(JsonErrorKind::NotAnObject),
            None => return Err(JsonErrorKind::UnexpectedEnd),
        }
        match self.scanner.next_token() {
            None => Ok(()),
            Some(_) => Err(JsonErrorKind::TrailingBytes),
        }
    }

    /// The value at hand. The recursion is as deep as the document, which is bounded.
    fn value(&mut self, depth: u32) -> Result<(), JsonErrorKind> {
        let token = self.scanner.next_token();
        let (index, start) = (self.nodes.len(), offset(self.scanner.at));
        self.nodes.push(Node { start, end: start, next: 0 });
        match token {
            Some(b'{' | b'[') if depth > MAX_DEPTH => return Err(JsonErrorKind::TooDeep),
            Some(b'{') => self.children(depth, b'}')?,
            Some(b'[') => self.children(depth, b']')?,
            Some(b'"') => self.scanner.name()?,
            Some(byte) => self.scanner.scalar(byte)?,
            None => return Err(JsonErrorKind::UnexpectedEnd),
        }
        self.nodes[index].end = offset(self.scanner.at);
        self.nodes[index].next = offset(self.nodes.len());
        Ok(())
    }

    /// From the opening bracket to just after the closing one.
    fn children(&mut self, depth: u32, closing: u8) -> Result<(), JsonErrorKind> {
        self.scanner.at += 1;
        if self.scanner.next_token() == Some(closing) {
            self.scanner.at += 1;
            return Ok(());
        }
        loop {
            if closing == b'}' {
                self.member_name()?;
            }
            self.value(depth + 1)?;
            match self.scanner.next_token() {
                Some(b',') => self.scanner.at += 1,
                Some(byte) if byte == closing => {
                    self.scanner.at += 1;
                    return Ok(());
                }
                Some(_) => return Err(JsonErrorKind::UnexpectedByte),
                None => return Err(JsonErrorKind::UnexpectedEnd),
            }
        }
    }

    fn member_name(&mut self) -> Result<(), JsonErrorKind> {
        self.scanner.next_token();
        let start = offset(self.scanner.at);
        self.scanner.name()?;
        let end = offset(self.scanner.at);
        self.nodes.push(Node { start, end, next: offset(self.nodes.len() + 1) });
        self.scanner.colon()
    }
}

/// Offsets and indexes fit: a document longer than that was refused.
#[expect(clippy::cast_possible_truncation, reason = "documents over 4 GiB were refused")]
fn offset(at: usize) -> u32 {
    at as u32
}

/// One value of a document.
#[derive(Clone, Copy)]
pub struct Value<'d> {
    bytes: &'d [u8],
    nodes: &'d [Node],
    at: u32,
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", String::from_utf8_lossy(self.raw()))
    }
}

impl<'d> Value<'d> {
    fn node(self) -> Node {
        self.nodes[self.at as usize]
    }

    fn other(self, at: u32) -> Self {
        Self { at, ..self }
    }

    /// The value as it is written.
    #[must_use]
    pub fn raw(self) -> &'d [u8] {
        let Node { start, end, .. } = self.node();
        &self.bytes[start as usize..end as usize]
    }

    /// What sort of value it is.
    #[must_use]
    pub fn kind(self) -> Kind {
        kind_of(self.raw())
    }

    /// Whether it is an object.
    #[must_use]
    pub fn is_object(self) -> bool {
        self.kind() == Kind::Object
    }

    /// Whether it is an array.
    #[must_use]
    pub fn is_array(self) -> bool {
        self.kind() == Kind::Array
    }

    /// The member of an object; `None` where it is absent or `null`, or this is no object.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Self> {
        let mut found = None;
        for (key, value) in self.members() {
            if key.is(name) {
                found = Some(value);
            }
        }
        found.filter(|value| value.kind() != Kind::Null)
    }

    /// The member as text; `None` where it is none.
    #[must_use]
    pub fn text_of(self, name: &str) -> Option<Text<'d>> {
        self.get(name)?.text()
    }

    /// The members of an object in order, names as they are written; none where this is no object.
    pub fn members(self) -> impl Iterator<Item = (Text<'d>, Self)> {
        let end = if self.is_object() { self.node().next } else { 0 };
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            (at < end).then(|| {
                let (name, value) = (self.other(at), self.other(at + 1));
                at = value.node().next;
                (name.text().unwrap_or_default(), value)
            })
        })
    }

    /// The elements of an array in order; none where this is no array.
    pub fn elements(self) -> impl Iterator<Item = Self> {
        let end = if self.is_array() { self.node().next } else { 0 };
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            (at < end).then(|| {
                let value = self.other(at);
                at = value.node().next;
                value
            })
        })
    }

    /// A string, as it is written between its quotes.
    #[must_use]
    pub fn text(self) -> Option<Text<'d>> {
        self.raw().strip_prefix(b"\"")?.strip_suffix(b"\"").map(Text::escaped)
    }

    /// Whether it is this string.
    #[must_use]
    pub fn is(self, text: &str) -> bool {
        self.text().is_some_and(|own| own.is(text))
    }

    /// A number, as it is written.
    #[must_use]
    pub fn number(self) -> Option<Number<'d>> {
        (self.kind() == Kind::Number).then(|| Number::written(self.raw()))
    }

    /// A whole number that is not negative, see [`super::as_u64`].
    #[must_use]
    pub fn u64(self) -> Option<u64> {
        super::as_u64(self.raw())
    }

    /// A boolean.
    #[must_use]
    pub fn bool(self) -> Option<bool> {
        super::as_bool(self.raw())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_where_they_are() {
        let text = br#" {"a":[1,{"b":"x\"y"},[]],"n":null,"t":true,"a2":{},"e":-1.5e3,"d":1,"d":2} "#;
        let doc = Doc::parse(text).unwrap();
        let root = doc.root();
        let a: Vec<_> = root.get("a").unwrap().elements().collect();
        assert_eq!(a.len(), 3);
        assert_eq!(a[0].u64(), Some(1));
        assert_eq!(a[1].text_of("b").unwrap().decode(), "x\"y");
        assert_eq!(a[2].elements().count(), 0);
        assert!(root.get("n").is_none());
        assert_eq!(root.get("t").unwrap().bool(), Some(true));
        assert_eq!(root.get("a2").unwrap().members().count(), 0);
        assert_eq!(root.get("e").unwrap().number().unwrap().as_f64(), Some(-1500.0));
        assert_eq!(root.get("d").unwrap().u64(), Some(2));
        assert_eq!(root.members().count(), 7);
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for text in [
            "",
            "[]",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{} x",
            "{\"a\":[1 2]}",
            "{a:1}",
            "{\"a\":\"\n\"}",
        ] {
            assert!(Doc::parse(text.as_bytes()).is_err(), "{text}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(70), "]".repeat(70));
        assert_eq!(Doc::parse(deep.as_bytes()).unwrap_err().kind, JsonErrorKind::TooDeep);
    }
}
