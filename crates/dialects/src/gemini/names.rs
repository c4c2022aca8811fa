//! Members under either spelling: Google's JSON reader takes `systemInstruction` and `system_instruction` alike.

use crate::exchange::Text;
use crate::json::{Kind, Out, Value};

/// Whether a member's name is this one, given in `camelCase`.
pub(super) fn named(name: &Text<'_>, camel: &str) -> bool {
    let name = name.as_escaped();
    let mut at = 0;
    for wanted in camel.bytes() {
        match name.get(at) {
            Some(byte) if *byte == wanted => at += 1,
            Some(b'_')
                if wanted.is_ascii_uppercase() && name.get(at + 1) == Some(&wanted.to_ascii_lowercase()) =>
            {
                at += 2
            }
            _ => return false,
        }
    }
    at == name.len()
}

/// Which of the known names it is.
pub(super) fn which(name: &Text<'_>, known: &[&'static str]) -> Option<&'static str> {
    known.iter().find(|known| named(name, known)).copied()
}

/// The member of an object under either spelling; `None` where it is absent or `null`.
pub(super) fn get<'d>(object: Value<'d>, camel: &str) -> Option<Value<'d>> {
    given(object).filter(|(name, _)| named(name, camel)).map(|(_, value)| value).last()
}

/// The member as text.
pub(super) fn text_of<'d>(object: Value<'d>, camel: &str) -> Option<Text<'d>> {
    get(object, camel)?.text()
}

/// The members of an object that are not `null`.
pub(super) fn given(object: Value<'_>) -> impl Iterator<Item = (Text<'_>, Value<'_>)> {
    object.members().filter(|(_, value)| value.kind() != Kind::Null)
}

/// A whole number, which Google's JSON may also write as a string.
pub(super) fn count(value: Value<'_>) -> Option<u64> {
    match value.text() {
        Some(text) => text.decode().parse().ok(),
        None => value.u64(),
    }
}

/// Appends a member with a list of texts; nothing where there are none.
pub(super) fn write_list<'t, 'a: 't>(
    name: &str,
    texts: impl IntoIterator<Item = &'t Text<'a>>,
    out: &mut Out<'_>,
) {
    let mut texts = texts.into_iter().peekable();
    if texts.peek().is_none() {
        return;
    }
    out.key(name).begin_array();
    for text in texts {
        out.text(text);
    }
    out.end_array();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_one_name() {
        let is = |name: &'static str, camel| named(&Text::literal(name), camel);
        assert!(is("systemInstruction", "systemInstruction"));
        assert!(is("system_instruction", "systemInstruction"));
        assert!(is("top_p", "topP"));
        assert!(!is("systeminstruction", "systemInstruction"));
        assert!(!is("system_instructio", "systemInstruction"));
        assert!(!is("system_instructions", "systemInstruction"));
        assert!(!is("", "topP"));
    }
}
