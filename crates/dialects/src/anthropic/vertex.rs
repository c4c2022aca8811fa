//! What differs on Vertex AI: the path names the model and the body the version of the API.
//!
//! <https://docs.anthropic.com/en/api/claude-on-vertex-ai>

use crate::json::{self, Span};
use crate::openai::{Pieces, RequestError};

/// The version that bodies name there.
pub(super) const VERTEX_VERSION: &str = "vertex-2023-10-16";

/// The same as a member of a body.
pub const VERTEX_MEMBER: &str = "\"anthropic_version\":\"vertex-2023-10-16\"";

/// Refuses a body that names a version itself, as Anthropic's own API does: with ours there would be two.
///
/// # Errors
///
/// Where it is no JSON object or has the member.
pub fn refuse_own_version(body: &[u8]) -> Result<(), RequestError> {
    const NAMES: [&str; 1] = ["anthropic_version"];
    let members = json::scan_object(body, &NAMES).map_err(|error| RequestError::json(error, &NAMES))?;
    match members.values[0] {
        None => Ok(()),
        Some(_) => Err(RequestError::about(
            "anthropic_version",
            "Unknown parameter: 'anthropic_version'. The version is named by the header anthropic-version.",
        )),
    }
}

/// The body with other members in place of `model`, whose value is at `model` in it. `members` are written without a comma
/// at either end.
#[must_use]
pub fn in_place_of_model<'a>(body: &'a [u8], model: Option<Span>, members: &'a str) -> Pieces<'a> {
    let member = model.and_then(|value| member_of(body, value));
    Pieces::replacing(body, member.map(|span| (span, members)))
}

/// From the quote that begins a member's name to the end of its value.
fn member_of(body: &[u8], value: Span) -> Option<Span> {
    let before = body.get(..value.start as usize)?.trim_ascii_end().strip_suffix(b":")?;
    let name = before.trim_ascii_end().strip_suffix(b"\"")?;
    // No quote is within the name of a member that is called `model`.
    let start = u32::try_from(memchr::memrchr(b'"', name)?).ok()?;
    Some(Span { start, end: value.end })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anthropic::inspect;

    fn replaced(body: &str) -> String {
        let view = inspect(body.as_bytes()).unwrap();
        let pieces = in_place_of_model(body.as_bytes(), view.model, VERTEX_MEMBER);
        String::from_utf8(pieces.as_slices().concat()).unwrap()
    }

    #[test]
    fn the_model_gives_way_to_the_version() {
        let cases = [
            (r#"{"model":"m","messages":[]}"#, r#"{VERSION,"messages":[]}"#),
            (r#"{"messages":[],"model":"m"}"#, r#"{"messages":[],VERSION}"#),
            (r#"{ "model" : "a\"b" , "messages":[]}"#, r#"{ VERSION , "messages":[]}"#),
            (
                r#"{"x":"\"model\":", "model":"m","messages":[]}"#,
                r#"{"x":"\"model\":", VERSION,"messages":[]}"#,
            ),
        ];
        for (body, wanted) in cases {
            let wanted = wanted.replace("VERSION", VERTEX_MEMBER);
            assert_eq!(replaced(body), wanted);
            assert!(serde_json::from_str::<serde_json::Value>(&wanted).is_ok());
        }
        assert!(VERTEX_MEMBER.contains(VERTEX_VERSION));
    }

    #[test]
    fn a_version_of_the_clients_own_is_refused() {
        assert_eq!(refuse_own_version(br#"{"model":"m"}"#), Ok(()));
        let refused = refuse_own_version(br#"{"model":"m","anthropic_version":"vertex-2023-10-16"}"#);
        assert_eq!(refused.unwrap_err().param, Some("anthropic_version"));
    }
}
