use super::{RerankAnswer, RerankRequest};
use crate::exchange::{Dropped, losses};
use crate::json::Out;
use crate::wire::AnswerContext;

/// Appends the members that only Jina AI calls so. Documents are returned unless that is refused.
pub(super) fn write_request(request: &RerankRequest<'_>, dropped: &mut Dropped, out: &mut Out<'_>) {
    out.field_number("top_n", request.top_n);
    out.key("return_documents").bool(request.return_documents == Some(true));
    dropped.note_if(request.max_tokens_per_document.is_some(), losses::MAX_TOKENS_PER_DOCUMENT);
    dropped.note_if(request.truncate == Some(false), losses::TRUNCATION);
}

pub(super) fn write_answer(answer: &RerankAnswer<'_>, context: &AnswerContext, out: &mut Out<'_>) {
    out.begin_object().field("model", &context.model).field("object", "list").key("usage");
    write_usage(answer, out);
    out.key("results").begin_array();
    for ranked in &answer.results {
        out.begin_object().key("index").number(ranked.index);
        out.key("relevance_score").raw(ranked.score.as_bytes());
        if let Some(document) = &ranked.document {
            out.key("document").begin_object().key("text").text(document).end_object();
        }
        out.end_object();
    }
    out.end_array().end_object();
}

/// Tokens; those of a provider that counts searches are not known, which is none.
pub(super) fn write_usage(answer: &RerankAnswer<'_>, out: &mut Out<'_>) {
    let tokens = answer.usage.tokens.map_or(0, |tokens| u64::from(tokens.input));
    out.begin_object().key("total_tokens").number(tokens).end_object();
}
