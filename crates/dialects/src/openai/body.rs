//! What is learnt from a whole answer that passes through in pieces.
//!
//! The answer is not kept: it may be megabytes of embeddings. A small state machine follows its nesting from piece to
//! piece, skips strings and numbers in blocks, and looks at the names of top-level members only, so that a `usage` inside
//! an echoed tool schema is not mistaken for the provider's. It does not validate: the answer is passed on as it is.

use memchr::memchr2;
use sluice_types::Usage;

use super::usage::read_usage;
use crate::json::{TextEnd, structural_stop, text_end};

/// Longest `usage` object that is read, for it is kept where it arrives in several pieces. The longest known, indented and
/// with all details, are under 700 bytes. A longer one is passed over even where it arrives whole, so that the outcome does
/// not depend on the network.
pub const MAX_USAGE_BYTES: usize = 2048;

/// Longest member name that is told apart from others: one more than the longest that matters, `usageMetadata`.
const MAX_NAME_BYTES: usize = 14;

/// Where a dialect has its usage, and how it is read.
#[derive(Clone, Copy, Debug)]
pub struct UsageShape {
    /// The member of the outermost object.
    pub name: &'static str,
    /// Reads the member's value.
    pub read: fn(&[u8]) -> Option<Usage>,
}

/// OpenAI's.
pub const OPENAI_USAGE: UsageShape = UsageShape { name: "usage", read: read_usage };

/// What an answer was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BodyFacts {
    /// Its top-level `usage`.
    pub usage: Option<Usage>,
    /// It begins as a JSON object.
    pub is_json_object: bool,
    /// It ends where that object ends: all brackets are closed and nothing follows.
    pub complete: bool,
    /// It has a top-level `error` that is not `null`.
    pub has_error: bool,
    /// Its length, to estimate tokens by where the provider reports none.
    pub bytes: u64,
}

/// Follows one answer, piece by piece.
#[derive(Clone, Debug)]
pub struct BodyTap {
    shape: UsageShape,
    facts: BodyFacts,
    state: State,
    /// Open arrays and objects.
    depth: u32,
    name: [u8; MAX_NAME_BYTES],
    name_len: usize,
    /// The value being read is that of a top-level `usage`.
    in_usage: bool,
    kept: [u8; MAX_USAGE_BYTES],
    kept_len: usize,
}

/// Where in the grammar the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the opening brace.
    Start,
    /// In the outermost object, before a member's name, a comma or the closing brace.
    Member,
    /// In the name of a top-level member.
    Name,
    /// In it, after a backslash.
    NameEscape,
    /// Between that name and the first byte of its value.
    Colon,
    /// In a number or word at the top level.
    Scalar,
    /// In an array or object that is a top-level value.
    Nested,
    /// In a string, at whatever depth.
    Text,
    /// In it, after a backslash.
    TextEscape,
    /// After the closing brace.
    End,
    /// What comes is of no interest: it is no JSON object, or something follows it.
    Lost,
}

impl Default for BodyTap {
    fn default() -> Self {
        Self::new()
    }
}

impl BodyTap {
    /// A tap on an answer of OpenAI's dialect of which nothing has been seen.
    #[must_use]
    pub fn new() -> Self {
        Self::of(OPENAI_USAGE)
    }

    /// A tap on an answer of another dialect.
    #[must_use]
    pub fn of(shape: UsageShape) -> Self {
        Self {
            shape,
            facts: BodyFacts::default(),
            state: State::Start,
            depth: 0,
            name: [0; MAX_NAME_BYTES],
            name_len: 0,
            in_usage: false,
            kept: [0; MAX_USAGE_BYTES],
            kept_len: 0,
        }
    }

    /// Looks at the next piece, of any length.
    pub fn feed(&mut self, piece: &[u8]) {
        self.facts.bytes += piece.len() as u64;
        // Where in this piece the usage being read begins.
        let mut usage_from = 0;
        let mut at = 0;
        while at < piece.len() {
            at = match self.state {
                State::Start => self.start(piece, at),
                State::Member => self.member(piece, at),
                State::Name => self.name(piece, at),
                State::Colon => {
                    let value = self.colon(piece, at);
                    usage_from = value;
                    value
                }
                State::Scalar => self.scalar(piece, at),
                State::Nested => self.nested(piece, at, usage_from),
                State::Text => self.text(piece, at),
                State::NameEscape => self.escaped(at, State::Name),
                State::TextEscape => self.escaped(at, State::Text),
                State::End => self.end(piece, at),
                State::Lost => piece.len(),
            };
        }
        if self.in_usage {
            self.keep(&piece[usage_from.min(piece.len())..]);
        }
    }

    /// What is known so far.
    #[must_use]
    pub fn facts(&self) -> &BodyFacts {
        &self.facts
    }

    /// What the answer was, now that it has ended.
    #[must_use]
    pub fn finish(self) -> BodyFacts {
        self.facts
    }

    fn start(&mut self, piece: &[u8], at: usize) -> usize {
        match piece[at] {
            byte if is_space(byte) => {}
            b'{' => {
                self.facts.is_json_object = true;
                self.depth = 1;
                self.state = State::Member;
            }
            _ => self.state = State::Lost,
        }
        at + 1
    }

    fn member(&mut self, piece: &[u8], at: usize) -> usize {
        match piece[at] {
            b'"' => {
                self.name_len = 0;
                self.state = State::Name;
            }
            b'}' => self.close_document(),
            _ => {}
        }
        at + 1
    }

    fn name(&mut self, piece: &[u8], at: usize) -> usize {
        let rest = &piece[at..];
        let len = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
        for byte in &rest[..len] {
            if let Some(place) = self.name.get_mut(self.name_len) {
                *place = *byte;
                self.name_len += 1;
            }
        }
        match rest.get(len) {
            Some(b'"') => self.state = State::Colon,
            Some(_) => {
                // A name with escapes is none of ours.
                self.name_len = MAX_NAME_BYTES;
                self.state = State::NameEscape;
            }
            None => return piece.len(),
        }
        at + len + 1
    }

    /// Stops at the first byte of the value.
    fn colon(&mut self, piece: &[u8], at: usize) -> usize {
        let byte = piece[at];
        if is_space(byte) || byte == b':' {
            return at + 1;
        }
        let name = &self.name[..self.name_len];
        self.in_usage = name == self.shape.name.as_bytes() && byte == b'{';
        self.facts.has_error |= name == b"error" && byte != b'n';
        self.kept_len = 0;
        self.state = match byte {
            b'"' | b'{' | b'[' => State::Nested,
            _ => State::Scalar,
        };
        at
    }

    fn scalar(&mut self, piece: &[u8], at: usize) -> usize {
        match piece[at] {
            b',' => self.state = State::Member,
            b'}' => self.close_document(),
            _ => {}
        }
        at + 1
    }

    fn nested(&mut self, piece: &[u8], at: usize, usage_from: usize) -> usize {
        let at = structural_stop(piece, at);
        match piece.get(at) {
            Some(b'"') => self.state = State::Text,
            Some(b'{' | b'[') => self.depth = self.depth.saturating_add(1),
            Some(_) => self.depth -= 1,
            None => return at,
        }
        if self.depth == 1 && self.state == State::Nested {
            self.state = State::Member;
            if self.in_usage {
                self.read_usage(&piece[usage_from..=at]);
            }
        }
        at + 1
    }

    fn text(&mut self, piece: &[u8], at: usize) -> usize {
        match text_end(piece, at) {
            TextEnd::Quote(end) => {
                self.state = if self.depth == 1 { State::Member } else { State::Nested };
                return end;
            }
            TextEnd::Backslash => self.state = State::TextEscape,
            TextEnd::Open => {}
        }
        piece.len()
    }

    fn escaped(&mut self, at: usize, state: State) -> usize {
        self.state = state;
        at + 1
    }

    fn end(&mut self, piece: &[u8], at: usize) -> usize {
        if !is_space(piece[at]) {
            self.facts.complete = false;
            self.state = State::Lost;
        }
        at + 1
    }

    fn close_document(&mut self) {
        self.depth = 0;
        self.facts.complete = true;
        self.state = State::End;
    }

    /// Keeps a part of a usage object that goes on in the next piece. One that grows too long is given up.
    fn keep(&mut self, part: &[u8]) {
        match self.kept.get_mut(self.kept_len..self.kept_len + part.len()) {
            Some(room) => {
                room.copy_from_slice(part);
                self.kept_len += part.len();
            }
            None => self.in_usage = false,
        }
    }

    /// Reads a usage object of which `last` is the last part, or the whole.
    fn read_usage(&mut self, last: &[u8]) {
        let usage = if self.kept_len == 0 {
            (self.shape.read)(last).filter(|_| last.len() <= MAX_USAGE_BYTES)
        } else {
            self.keep(last);
            // Where the last part did not fit, `keep` has given up.
            (self.shape.read)(&self.kept[..self.kept_len]).filter(|_| self.in_usage)
        };
        self.in_usage = false;
        if let Some(usage) = usage {
            self.facts.usage.get_or_insert_default().merge_max(usage);
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}
