//! Probabilities of tokens: Cohere gives them by chunk of text, OpenAI by token.

use crate::exchange::Raw;
use crate::json::{Doc, Out, Value};

/// OpenAI's object from Cohere's items, each `{"text", "token_ids", "logprobs"}`. An item of several tokens becomes one
/// entry with their joint probability, since their texts are not told apart.
pub(super) fn read_logprobs<'d>(items: impl Iterator<Item = Value<'d>>) -> Option<Raw<'static>> {
    let mut bytes = Vec::new();
    let mut out = Out::new(&mut bytes);
    let mut any = false;
    out.begin_object().key("content").begin_array();
    for item in items {
        let (Some(text), Some(values)) = (item.text_of("text"), item.get("logprobs")) else { continue };
        let mut numbers = values.elements().filter_map(Value::number);
        let Some(first) = numbers.next() else { continue };
        out.begin_object().key("token").text(&text).key("logprob");
        match numbers.filter_map(|number| number.as_f64()).reduce(|sum, value| sum + value) {
            None => out.raw(first.as_bytes()),
            Some(rest) => out.raw(format!("{}", first.as_f64().unwrap_or_default() + rest).as_bytes()),
        };
        out.key("bytes").null().key("top_logprobs").begin_array().end_array().end_object();
        any = true;
    }
    out.end_array().end_object();
    any.then(|| Raw::owned(bytes))
}

/// Appends Cohere's items, one for each token of OpenAI's object.
pub(super) fn write_logprobs(logprobs: &Raw<'_>, out: &mut Out<'_>) {
    out.begin_array();
    if let Ok(doc) = Doc::parse(logprobs.as_bytes()) {
        for token in doc.root().get("content").into_iter().flat_map(Value::elements) {
            write_item(token, out);
        }
    }
    out.end_array();
}

/// Calls `write` with each token of OpenAI's object that has a probability.
pub(super) fn each_token(logprobs: &Raw<'_>, mut write: impl FnMut(Value<'_>)) {
    let Ok(doc) = Doc::parse(logprobs.as_bytes()) else { return };
    doc.root().get("content").into_iter().flat_map(Value::elements).for_each(&mut write);
}

/// Appends one item. The ids of tokens are not known.
pub(super) fn write_item(token: Value<'_>, out: &mut Out<'_>) {
    let (Some(text), Some(logprob)) = (token.text_of("token"), token.get("logprob")) else { return };
    out.begin_object().key("text").text(&text);
    out.key("token_ids").begin_array().end_array();
    out.key("logprobs").begin_array().raw(logprob.raw()).end_array().end_object();
}
