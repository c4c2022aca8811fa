//! Arguments of a tool call as they come in fragments.

use crate::exchange::Text;

/// Follows the fragments of one call's arguments.
#[derive(Debug)]
pub(super) struct Arguments {
    /// Free text, which is sent as the one member of an object.
    custom: bool,
    any: bool,
    /// Open brackets.
    depth: u32,
    in_string: bool,
    escaped: bool,
    complete: bool,
}

impl Arguments {
    pub(super) fn new(custom: bool) -> Self {
        Self { custom, any: false, depth: 0, in_string: false, escaped: false, complete: false }
    }

    /// Whether what was taken is a whole object. Of free text nobody can tell.
    pub(super) fn are_complete(&self) -> bool {
        self.complete
    }

    /// Takes the next fragment; returns it as it is to be sent.
    pub(super) fn take<'t>(&mut self, fragment: &'t Text<'_>) -> Text<'t> {
        let first = !std::mem::replace(&mut self.any, true);
        if self.custom {
            let inner = String::from_utf8_lossy(fragment.as_escaped());
            let beginning = if first { "{\"input\":\"" } else { "" };
            return Text::plain(&format!("{beginning}{inner}"));
        }
        for byte in fragment.decode().bytes() {
            self.follow(byte);
        }
        fragment.borrow()
    }

    fn follow(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.complete |= self.depth == 0;
            }
            _ => {}
        }
    }

    /// What is still to be sent at the end: no arguments are an empty object.
    pub(super) fn finish(&self) -> Option<Text<'static>> {
        match (self.custom, self.any) {
            (true, true) => Some(Text::plain("\"}")),
            (true, false) => Some(Text::plain("{\"input\":\"\"}")),
            (false, true) => None,
            (false, false) => Some(Text::literal("{}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_followed_to_their_end() {
        let mut arguments = Arguments::new(false);
        for (fragment, complete) in
            [("{", false), ("\"a\\", false), ("\"}\":", false), ("[{}", false), ("]", false), ("} ", true)]
        {
            assert_eq!(arguments.take(&Text::plain(fragment)), Text::plain(fragment));
            assert_eq!(arguments.are_complete(), complete, "{fragment}");
        }
        assert_eq!(arguments.finish(), None);
        assert_eq!(Arguments::new(false).finish(), Some(Text::literal("{}")));
    }

    #[test]
    fn trap_32_free_text_becomes_an_object() {
        let mut arguments = Arguments::new(true);
        let mut sent = String::new();
        for fragment in ["print(\"", "hi\")\n"] {
            sent.push_str(&arguments.take(&Text::plain(fragment)).decode());
        }
        sent.push_str(&arguments.finish().unwrap().decode());
        assert_eq!(sent, r#"{"input":"print(\"hi\")\n"}"#);
    }
}
