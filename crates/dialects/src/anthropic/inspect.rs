//! What the gateway reads of a request that passes untouched.

use crate::json::Kind;
use crate::native::model_name;
use crate::openai::{self, MAX_MODEL_BYTES, RequestError};
use crate::wire::NativeView;

/// Validates a body and says where the members are that the gateway acts on. Everything else, `max_tokens` being there
/// included, is the provider's to judge: the same body without it asks for a count of tokens.
///
/// # Errors
///
/// What is not JSON, what two readers could understand differently, and members we act on that have a type they cannot
/// have.
pub fn inspect(body: &[u8]) -> Result<NativeView, RequestError> {
    let [model, messages, stream, max] =
        openai::scan(body, &["model", "messages", "stream", "max_tokens"])?.values;
    model_name(body, model, &mut [0; MAX_MODEL_BYTES])?;
    Ok(NativeView {
        model,
        stream: openai::flag(body, stream, "stream")?,
        max_output_tokens: openai::count(body, max, "max_tokens")?,
        n: 1,
        input: Some(openai::required(body, messages, "messages", &[Kind::Array])?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_acted_on_is_found() {
        let body = br#"{"model":"claude-opus-4-8","max_tokens":1024,"stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
        let view = inspect(body).unwrap();
        assert_eq!(view.model.unwrap().of(body), b"\"claude-opus-4-8\"");
        assert_eq!(view.input.unwrap().of(body), br#"[{"role":"user","content":"Hi"}]"#);
        assert!(view.stream);
        assert_eq!((view.max_output_tokens, view.n), (Some(1024), 1));
    }

    #[test]
    fn edge_32_what_cannot_be_read_is_refused() {
        let refused = |body: &str| inspect(body.as_bytes()).unwrap_err().param;
        assert_eq!(refused("[]"), None);
        assert_eq!(refused(r#"{"messages":[]}"#), Some("model"));
        assert_eq!(refused(r#"{"model":null,"messages":[]}"#), Some("model"));
        assert_eq!(refused(r#"{"model":"m"}"#), Some("messages"));
        assert_eq!(refused(r#"{"model":"m","messages":"Hi"}"#), Some("messages"));
        assert_eq!(refused(r#"{"model":"m","messages":[],"stream":"yes"}"#), Some("stream"));
        assert_eq!(refused(r#"{"model":"m","messages":[],"model":"n"}"#), Some("model"));
        assert_eq!(refused(r#"{"model":"m","messages":[],"Stream":true}"#), Some("stream"));
    }
}
