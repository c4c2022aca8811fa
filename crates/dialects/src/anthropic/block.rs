//! One block of a stream that is being written.

use super::answer::write_thinking;
use super::stream_out::frame;
use crate::exchange::Text;
use crate::json::Out;

/// What a block is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BlockKind {
    Text,
    Thinking,
    /// An encrypted thought.
    Redacted(Text<'static>),
    Tool {
        /// Which call.
        number: u32,
        id: Text<'static>,
        name: Text<'static>,
        /// Its arguments are free text.
        custom: bool,
    },
}

/// A block, open or waiting.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) kind: BlockKind,
    /// Text or arguments that were not written yet, escaped.
    pending: Vec<u8>,
    /// Of a thought. It is written whole: clients take each fragment of one for all of it.
    pub(super) signature: Text<'static>,
    json: JsonEnd,
    /// Nothing more will come.
    pub(super) ended: bool,
}

impl Block {
    pub(super) fn new(kind: BlockKind) -> Self {
        let (signature, json) = (Text::default(), JsonEnd::default());
        Self { kind, pending: Vec::new(), signature, json, ended: false }
    }

    /// A block to which nothing is added later.
    pub(super) fn whole(kind: BlockKind) -> Self {
        Self { ended: true, ..Self::new(kind) }
    }

    /// A thought that has nothing but a signature.
    pub(super) fn signed(signature: Text<'static>) -> Self {
        Self { signature, ..Self::whole(BlockKind::Thinking) }
    }

    /// A call. Free text becomes the member `input` of an object, as in requests.
    pub(super) fn tool(number: u32, id: Text<'static>, name: Text<'static>, custom: bool) -> Self {
        let pending = if custom { br#"{\"input\":\""#.to_vec() } else { Vec::new() };
        Self { pending, ..Self::new(BlockKind::Tool { number, id, name, custom }) }
    }

    /// Which call it is, if it is one.
    pub(super) fn tool_number(&self) -> Option<u32> {
        match &self.kind {
            BlockKind::Tool { number, .. } => Some(*number),
            _ => None,
        }
    }

    fn is_custom(&self) -> bool {
        matches!(self.kind, BlockKind::Tool { custom: true, .. })
    }

    /// Whether more of that kind belongs into this block. A thought that is signed is over.
    pub(super) fn goes_on_as(&self, kind: &BlockKind) -> bool {
        self.kind == *kind && !self.ended && self.signature.is_empty()
    }

    /// Whether the arguments are a whole JSON value.
    pub(super) fn is_complete(&self) -> bool {
        self.json.complete
    }

    pub(super) fn add(&mut self, text: &Text<'_>) {
        self.pending.extend_from_slice(text.as_escaped());
    }

    pub(super) fn add_arguments(&mut self, fragment: &Text<'_>) {
        if self.is_custom() {
            // What is escaped for its own string is escaped once more, for the string in the JSON that is sent as one.
            self.add(&Text::plain(&String::from_utf8_lossy(fragment.as_escaped())));
        } else if !self.ended {
            self.json.feed(fragment.as_escaped());
            self.add(fragment);
        }
    }

    pub(super) fn write_start(&self, index: u64, out: &mut Vec<u8>) {
        frame("content_block_start", out, |out| {
            out.key("index").number(index).key("content_block");
            match &self.kind {
                BlockKind::Text => {
                    out.begin_object().field("type", "text").field("text", "").end_object();
                }
                BlockKind::Thinking => write_thinking(&Text::default(), None, out),
                BlockKind::Redacted(data) => {
                    out.begin_object().field("type", "redacted_thinking").key("data").text(data).end_object();
                }
                BlockKind::Tool { id, name, .. } => {
                    out.begin_object().field("type", "tool_use").key("id").text(id).key("name").text(name);
                    out.key("input").begin_object().end_object().end_object();
                }
            }
        });
    }

    /// Writes what is pending and, where the block ends, what its end takes.
    pub(super) fn write_deltas(&mut self, index: u64, ends: bool, out: &mut Vec<u8>) {
        if ends && self.is_custom() {
            self.pending.extend_from_slice(br#"\"}"#);
        }
        if !self.pending.is_empty() {
            let (kind, member) = match self.kind {
                BlockKind::Text | BlockKind::Redacted(_) => ("text_delta", "text"),
                BlockKind::Thinking => ("thinking_delta", "thinking"),
                BlockKind::Tool { .. } => ("input_json_delta", "partial_json"),
            };
            write_delta(index, kind, member, &Text::escaped(&self.pending), out);
            self.pending.clear();
        }
        if ends && !self.signature.is_empty() {
            write_delta(index, "signature_delta", "signature", &self.signature, out);
        }
    }
}

fn write_delta(index: u64, kind: &str, member: &str, text: &Text<'_>, out: &mut Vec<u8>) {
    frame("content_block_delta", out, |out: &mut Out<'_>| {
        out.key("index").number(index).key("delta").begin_object().field("type", kind);
        out.key(member).text(text).end_object();
    });
}

/// Follows a JSON value, sent in fragments as the inside of strings, to its end.
#[derive(Debug, Default)]
struct JsonEnd {
    depth: u32,
    in_string: bool,
    after_backslash: bool,
    complete: bool,
}

impl JsonEnd {
    /// Fragments are cut between escapes, never within one.
    fn feed(&mut self, fragment: &[u8]) {
        let mut rest = fragment;
        while let Some((byte, behind)) = rest.split_first() {
            rest = behind;
            if *byte != b'\\' {
                self.step(*byte);
                continue;
            }
            let Some((escape, behind)) = rest.split_first() else { return };
            rest = behind;
            match escape {
                b'u' => {
                    let hex = rest.get(..4).and_then(|hex| std::str::from_utf8(hex).ok());
                    let unit = hex.and_then(|hex| u16::from_str_radix(hex, 16).ok());
                    // What is no ASCII has no meaning to the structure.
                    self.step(unit.and_then(|unit| u8::try_from(unit).ok()).unwrap_or(b' '));
                    rest = rest.get(4..).unwrap_or_default();
                }
                b'"' | b'\\' => self.step(*escape),
                _ => self.step(b' '),
            }
        }
    }

    fn step(&mut self, byte: u8) {
        if self.in_string {
            match byte {
                _ if self.after_backslash => self.after_backslash = false,
                b'\\' => self.after_backslash = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.complete |= self.depth == 0;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_whole(json: &str) -> bool {
        let mut end = JsonEnd::default();
        // Cut after every character, as an unlucky provider may.
        json.chars().for_each(|c| end.feed(Text::plain(&c.to_string()).as_escaped()));
        end.complete
    }

    #[test]
    fn the_end_of_arguments_is_seen() {
        for json in ["{}", r#"{"a":"}"}"#, r#"{"a":"\"}","b":[1,{"c":"\\"}]}"#, "{\"a\":\"\n\"} "] {
            assert!(is_whole(json), "{json}");
            assert!(!is_whole(json.trim_end().strip_suffix('}').unwrap()), "{json}");
        }
        let mut end = JsonEnd::default();
        end.feed(br"\u007b\u0022a\u0022:\u0022}\u0022");
        assert!(!end.complete);
        end.feed(br"\u007d");
        assert!(end.complete);
    }
}
