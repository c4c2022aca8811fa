//! Writing JSON: a document is appended piece by piece, commas set where they belong.

use crate::exchange::Text;
use crate::json::push_json_string;

/// Appends to a buffer. Whether a comma is due is read off the last byte written, so writers nest and are handed around
/// freely; the caller opens and closes in pairs.
#[derive(Debug)]
pub struct Out<'o> {
    bytes: &'o mut Vec<u8>,
}

impl<'o> Out<'o> {
    /// Goes on with what is in the buffer, which must end where a value may begin: empty, with an opening bracket, a
    /// colon, a space or a line end, or after a value of the same container.
    pub fn new(bytes: &'o mut Vec<u8>) -> Self {
        Self { bytes }
    }

    fn comma(&mut self) {
        if !matches!(self.bytes.last(), None | Some(b'{' | b'[' | b':' | b' ' | b'\n' | b',')) {
            self.bytes.push(b',');
        }
    }

    /// `{`
    pub fn begin_object(&mut self) -> &mut Self {
        self.comma();
        self.bytes.push(b'{');
        self
    }

    /// `}`
    pub fn end_object(&mut self) -> &mut Self {
        self.bytes.push(b'}');
        self
    }

    /// `[`
    pub fn begin_array(&mut self) -> &mut Self {
        self.comma();
        self.bytes.push(b'[');
        self
    }

    /// `]`
    pub fn end_array(&mut self) -> &mut Self {
        self.bytes.push(b']');
        self
    }

    /// A member's name, which needs no escapes, with its colon.
    pub fn key(&mut self, name: &str) -> &mut Self {
        self.comma();
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b"\":");
        self
    }

    /// A member's name that comes from a document.
    pub fn key_text(&mut self, name: &Text<'_>) -> &mut Self {
        self.text(name);
        self.bytes.push(b':');
        self
    }

    /// A string that is escaped already.
    pub fn text(&mut self, text: &Text<'_>) -> &mut Self {
        self.comma();
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(text.as_escaped());
        self.bytes.push(b'"');
        self
    }

    /// A string of ours.
    pub fn string(&mut self, text: &str) -> &mut Self {
        self.comma();
        push_json_string(self.bytes, text);
        self
    }

    /// A whole JSON value.
    pub fn raw(&mut self, value: &[u8]) -> &mut Self {
        self.comma();
        self.bytes.extend_from_slice(value);
        self
    }

    /// A whole number.
    pub fn number(&mut self, value: u64) -> &mut Self {
        self.comma();
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut left = value;
        loop {
            at -= 1;
            digits[at] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        self.bytes.extend_from_slice(&digits[at..]);
        self
    }

    /// `true` or `false`
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.raw(if value { b"true" } else { b"false" })
    }

    /// `null`
    pub fn null(&mut self) -> &mut Self {
        self.raw(b"null")
    }

    /// A member with a string of ours.
    pub fn field(&mut self, name: &str, value: &str) -> &mut Self {
        self.key(name).string(value)
    }

    /// A member with a text, left out where there is none.
    pub fn field_text(&mut self, name: &str, value: Option<&Text<'_>>) -> &mut Self {
        if let Some(text) = value {
            self.key(name).text(text);
        }
        self
    }

    /// A member with a whole number, left out where there is none.
    pub fn field_number(&mut self, name: &str, value: Option<u64>) -> &mut Self {
        if let Some(value) = value {
            self.key(name).number(value);
        }
        self
    }

    /// A member with a JSON value, left out where there is none.
    pub fn field_raw(&mut self, name: &str, value: Option<&[u8]>) -> &mut Self {
        if let Some(value) = value {
            self.key(name).raw(value);
        }
        self
    }

    /// The buffer, to write what is no JSON.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_are_set_where_they_belong() {
        let mut bytes = b"data: ".to_vec();
        let mut out = Out::new(&mut bytes);
        out.begin_object()
            .field("a", "x\"")
            .key("b")
            .begin_array()
            .number(1)
            .null()
            .begin_object()
            .end_object();
        out.end_array()
            .field_number("c", None)
            .field_text("d", Some(&Text::escaped(b"\\n,")))
            .key("e")
            .bool(true);
        out.end_object();
        assert_eq!(bytes, br#"data: {"a":"x\"","b":[1,null,{}],"d":"\n,","e":true}"#);
    }
}
