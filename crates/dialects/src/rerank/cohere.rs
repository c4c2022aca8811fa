use super::{RerankAnswer, RerankRequest};
use crate::exchange::{Dropped, losses};
use crate::json::Out;
use crate::wire::AnswerContext;

/// Appends the members that only Cohere calls so.
pub(super) fn write_request(request: &RerankRequest<'_>, dropped: &mut Dropped, out: &mut Out<'_>) {
    out.field_number("top_n", request.top_n);
    out.field_number("max_tokens_per_doc", request.max_tokens_per_document);
    // What is too long is always cut.
    dropped.note_if(request.truncate == Some(false), losses::TRUNCATION);
}

pub(super) fn write_answer(answer: &RerankAnswer<'_>, context: &AnswerContext, out: &mut Out<'_>) {
    out.begin_object().key("id");
    crate::cohere::write_id(answer.id.as_ref(), context, out);
    out.key("results").begin_array();
    for ranked in &answer.results {
        out.begin_object().key("index").number(ranked.index);
        out.key("relevance_score").raw(ranked.score.as_bytes());
        if let Some(document) = &ranked.document {
            out.key("document").begin_object().key("text").text(document).end_object();
        }
        out.end_object();
    }
    out.end_array().key("meta").begin_object();
    out.key("api_version").begin_object().field("version", "2").end_object();
    out.key("billed_units").begin_object();
    match (answer.usage.search_units, answer.usage.tokens) {
        (None, Some(tokens)) => out.key("input_tokens").number(tokens.input.into()),
        (units, _) => out.key("search_units").number(units.unwrap_or(1)),
    };
    out.end_object().end_object().end_object();
}
