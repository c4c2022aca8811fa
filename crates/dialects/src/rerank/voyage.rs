use super::{RerankAnswer, RerankRequest};
use crate::exchange::{Dropped, losses};
use crate::json::Out;
use crate::wire::AnswerContext;

/// Appends the members that only Voyage AI calls so.
pub(super) fn write_request(request: &RerankRequest<'_>, dropped: &mut Dropped, out: &mut Out<'_>) {
    out.field_number("top_k", request.top_n);
    if let Some(wanted) = request.return_documents {
        out.key("return_documents").bool(wanted);
    }
    if let Some(truncate) = request.truncate {
        out.key("truncation").bool(truncate);
    }
    dropped.note_if(request.max_tokens_per_document.is_some(), losses::MAX_TOKENS_PER_DOCUMENT);
}

pub(super) fn write_answer(answer: &RerankAnswer<'_>, context: &AnswerContext, out: &mut Out<'_>) {
    out.begin_object().field("object", "list").key("data").begin_array();
    for ranked in &answer.results {
        out.begin_object().key("index").number(ranked.index);
        out.key("relevance_score").raw(ranked.score.as_bytes());
        out.field_text("document", ranked.document.as_ref()).end_object();
    }
    out.end_array().field("model", &context.model).key("usage");
    super::jina::write_usage(answer, out);
    out.end_object();
}
