//! Reading, which is lenient enough for all three dialects at once: no name means two things among them.

use super::{Ranked, RerankAnswer, RerankRequest, RerankUsage};
use crate::exchange::{Dropped, Text};
use crate::json::{self, Doc, Kind, Value};
use crate::openai::{self, RequestError};
use crate::wire::Malformed;

const WRONG_TYPE: &str = "Invalid type for this parameter.";

pub(super) fn read_request<'d>(
    doc: &'d Doc<'d>,
    dropped: &mut Dropped,
) -> Result<RerankRequest<'d>, RequestError> {
    let wanted = |param| move || RequestError::about(param, WRONG_TYPE);
    let mut request = RerankRequest::default();
    let mut has_query = false;
    for (name, value) in doc.root().members().filter(|(_, value)| value.kind() != Kind::Null) {
        let name = name.decode();
        match &*name {
            "model" => {}
            "query" => {
                request.query = value.text().ok_or_else(wanted("query"))?;
                has_query = true;
            }
            "documents" => request.documents = read_documents(value).ok_or_else(wanted("documents"))?,
            "top_n" | "top_k" => request.top_n = Some(value.u64().ok_or_else(wanted("top_n"))?),
            "return_documents" => {
                request.return_documents = Some(value.bool().ok_or_else(wanted("return_documents"))?);
            }
            "max_tokens_per_doc" => {
                request.max_tokens_per_document = Some(value.u64().ok_or_else(wanted("max_tokens_per_doc"))?);
            }
            "truncation" => request.truncate = Some(value.bool().ok_or_else(wanted("truncation"))?),
            _ => dropped.note(name.into_owned()),
        }
    }
    if !has_query {
        return Err(RequestError::about("query", "Missing required parameter."));
    }
    if request.documents.is_empty() {
        return Err(RequestError::about("documents", "There must be at least one document."));
    }
    Ok(request)
}

fn read_documents(value: Value<'_>) -> Option<Vec<Text<'_>>> {
    value.is_array().then(|| value.elements().map(read_document).collect())?
}

/// A text, an object with one, or another object: its JSON, as the documentation advises for data.
fn read_document(value: Value<'_>) -> Option<Text<'_>> {
    match value.kind() {
        Kind::String => value.text(),
        Kind::Object => match (value.text_of("text"), value.members().nth(1)) {
            (Some(text), None) => Some(text),
            _ => Some(Text::plain(&String::from_utf8_lossy(value.raw()))),
        },
        _ => None,
    }
}

pub(super) fn read_answer<'d>(doc: &'d Doc<'d>) -> Result<RerankAnswer<'d>, Malformed> {
    let root = doc.root();
    let list = root.get("results").or_else(|| root.get("data")).filter(|list| list.is_array());
    let results = list.ok_or(Malformed("has no results"))?.elements().map(read_result);
    let raw = |name| root.get(name).map(Value::raw).unwrap_or_default();
    Ok(RerankAnswer {
        id: root.text_of("id"),
        model: root.text_of("model"),
        results: results.collect::<Option<_>>().ok_or(Malformed("has a result without index or score"))?,
        usage: read_usage(raw("meta"), raw("usage")),
    })
}

fn read_result(value: Value<'_>) -> Option<Ranked<'_>> {
    Some(Ranked {
        index: value.get("index")?.u64()?,
        score: value.get("relevance_score").or_else(|| value.get("score"))?.number()?,
        document: value.get("document").and_then(read_document),
    })
}

/// Search units of Cohere's `meta`, and tokens of either.
pub(super) fn read_usage(meta: &[u8], usage: &[u8]) -> RerankUsage {
    let mut search_units = None;
    let counted = json::walk_counts(meta, 0, &mut |around, name, number| {
        if (around, name) == (b"billed_units", b"search_units") {
            search_units = json::as_u64(number);
        }
    });
    RerankUsage { search_units: counted.ok().and(search_units), tokens: openai::read_usage(usage) }
}
