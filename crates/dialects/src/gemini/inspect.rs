//! What is read of a request that is passed on untouched.

use crate::json::{self, Kind, Members, Span};
use crate::openai::RequestError;
use crate::wire::NativeView;

/// Validates a request body and reads what the gateway acts on. The model and whether a stream is wanted are in the path.
///
/// Google's own reader takes every member in `camelCase` and in `snake_case`; one that is there in both could be read in
/// two ways and is refused.
///
/// # Errors
///
/// What is wrong with the request, in words for the client.
pub fn inspect(body: &[u8]) -> Result<NativeView, RequestError> {
    let members = scan(body, &["contents", "generationConfig", "generation_config"])?;
    let [contents, camel, snake] = members.values;
    let contents = contents.ok_or_else(|| RequestError::about("contents", "contents is required."))?;
    if json::kind_of(contents.of(body)) != Kind::Array {
        return Err(RequestError::about("contents", "contents must be an array."));
    }
    let mut view = NativeView { n: 1, input: Some(contents), ..NativeView::default() };
    if let Some(config) = one_of(body, camel, snake, "generationConfig")? {
        read_config(config.of(body), &mut view)?;
    }
    Ok(view)
}

fn read_config(config: &[u8], view: &mut NativeView) -> Result<(), RequestError> {
    if json::kind_of(config) != Kind::Object {
        return Err(RequestError::about("generationConfig", "generationConfig must be an object."));
    }
    let wanted = ["maxOutputTokens", "max_output_tokens", "candidateCount", "candidate_count"];
    let [max, max_snake, n, n_snake] = scan(config, &wanted)?.values;
    let max = one_of(config, max, max_snake, "generationConfig.maxOutputTokens")?;
    let n = one_of(config, n, n_snake, "generationConfig.candidateCount")?;
    view.max_output_tokens =
        max.map(|span| count(span.of(config), "generationConfig.maxOutputTokens")).transpose()?;
    let n = n.map(|span| count(span.of(config), "generationConfig.candidateCount")).transpose()?;
    view.n = n.unwrap_or(1).max(1);
    Ok(())
}

fn scan<const N: usize>(body: &[u8], wanted: &[&str; N]) -> Result<Members<N>, RequestError> {
    json::scan_object(body, wanted).map_err(|error| RequestError {
        message: format!("Could not parse the request body: {error}.").into(),
        param: None,
    })
}

/// The value of a member under either spelling; `null` is none.
fn one_of(
    body: &[u8],
    camel: Option<Span>,
    snake: Option<Span>,
    param: &'static str,
) -> Result<Option<Span>, RequestError> {
    let there = |span: &Span| json::kind_of(span.of(body)) != Kind::Null;
    match (camel.filter(there), snake.filter(there)) {
        (Some(_), Some(_)) => Err(RequestError::about(param, format!("{param} is given in two spellings."))),
        (camel, snake) => Ok(camel.or(snake)),
    }
}

/// A whole number; Google's reader takes it as a string too.
fn count(value: &[u8], param: &'static str) -> Result<u64, RequestError> {
    let digits = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
    json::as_u64(digits).ok_or_else(|| RequestError::about(param, format!("{param} must be a whole number.")))
}
