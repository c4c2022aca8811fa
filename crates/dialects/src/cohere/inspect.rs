use crate::json::Kind;
use crate::native::model_name;
use crate::openai::{self, MAX_MODEL_BYTES, RequestError};
use crate::wire::NativeView;

/// Validates a body that is to be passed on untouched, and reads what the gateway acts on.
///
/// # Errors
///
/// What is not JSON, what two readers could understand differently, and members we act on that have a type they cannot
/// have.
pub fn inspect(body: &[u8]) -> Result<NativeView, RequestError> {
    const WANTED: [&str; 4] = ["model", "messages", "stream", "max_tokens"];
    let [model, messages, stream, max_tokens] = openai::scan(body, &WANTED)?.values;
    model_name(body, model, &mut [0; MAX_MODEL_BYTES])?;
    Ok(NativeView {
        model,
        stream: openai::flag(body, stream, "stream")?,
        max_output_tokens: openai::count(body, max_tokens, "max_tokens")?,
        n: 1,
        input: Some(openai::required(body, messages, "messages", &[Kind::Array])?),
    })
}
