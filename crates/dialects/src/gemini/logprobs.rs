//! Probabilities of tokens: Google's `logprobsResult` and OpenAI's `logprobs`.

use crate::exchange::Raw;
use crate::json::{Doc, Out, Value};

/// OpenAI's object for Google's; `None` where it chose no tokens.
pub(super) fn to_openai(result: Value<'_>) -> Option<Raw<'static>> {
    let chosen = result.get("chosenCandidates")?;
    let mut bytes = Vec::new();
    let mut out = Out::new(&mut bytes);
    out.begin_object().key("content").begin_array();
    let mut top = result.get("topCandidates").into_iter().flat_map(Value::elements);
    for token in chosen.elements() {
        out.begin_object();
        write_openai_token(token, &mut out);
        out.key("top_logprobs").begin_array();
        for other in top.next().and_then(|step| step.get("candidates")).into_iter().flat_map(Value::elements)
        {
            out.begin_object();
            write_openai_token(other, &mut out);
            out.end_object();
        }
        out.end_array().end_object();
    }
    out.end_array().key("refusal").null().end_object();
    Some(Raw::owned(bytes))
}

fn write_openai_token(token: Value<'_>, out: &mut Out<'_>) {
    out.key("token").text(&token.text_of("token").unwrap_or_default());
    // A probability of one is left out, as Google leaves out every zero.
    out.key("logprob").raw(token.get("logProbability").map_or(b"0", Value::raw)).key("bytes").null();
}

/// Appends Google's object for OpenAI's, as the member `logprobsResult`; nothing where there are no tokens.
pub(super) fn write_google(logprobs: &Raw<'_>, out: &mut Out<'_>) {
    let Ok(doc) = Doc::parse(logprobs.as_bytes()) else { return };
    let Some(content) = doc.root().get("content") else { return };
    out.key("logprobsResult").begin_object().key("chosenCandidates").begin_array();
    content.elements().for_each(|token| write_google_token(token, out));
    out.end_array().key("topCandidates").begin_array();
    for token in content.elements() {
        out.begin_object().key("candidates").begin_array();
        let others = token.get("top_logprobs").into_iter().flat_map(Value::elements);
        others.for_each(|other| write_google_token(other, out));
        out.end_array().end_object();
    }
    out.end_array().end_object();
}

fn write_google_token(token: Value<'_>, out: &mut Out<'_>) {
    out.begin_object().field_text("token", token.text_of("token").as_ref());
    out.field_raw("logProbability", token.get("logprob").map(Value::raw)).end_object();
}
