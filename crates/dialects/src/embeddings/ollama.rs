//! Ollama's `/api/embed`.

use super::{
    EmbedAnswer, EmbedInput, EmbedRequest, Truncate, checked, read_vectors, texts, wanted, write_texts,
};
use crate::exchange::{Dropped, losses};
use crate::json::{Doc, Kind, Out, Value};
use crate::openai::RequestError;
use crate::wire::{AnswerContext, Malformed};

pub(super) fn read_request<'d>(
    doc: &'d Doc<'d>,
    dropped: &mut Dropped,
) -> Result<EmbedRequest<'d>, RequestError> {
    let mut request = EmbedRequest::default();
    for (name, value) in doc.root().members().filter(|(_, value)| value.kind() != Kind::Null) {
        let name = name.decode();
        match &*name {
            "model" => {}
            "input" => {
                let texts = match value.text() {
                    Some(text) => Some(vec![text]),
                    None if value.is_array() => value.elements().map(Value::text).collect(),
                    None => None,
                };
                request.inputs = wanted(texts, "input")?.into_iter().map(EmbedInput::Text).collect();
            }
            "dimensions" => request.dimensions = Some(wanted(value.u64(), "dimensions")?),
            "truncate" => {
                let cut = wanted(value.bool(), "truncate")?;
                request.truncate = Some(if cut { Truncate::End } else { Truncate::Never });
            }
            _ => dropped.note(name.into_owned()),
        }
    }
    checked(request, "input")
}

pub(super) fn write_request(
    request: &EmbedRequest<'_>,
    model: &str,
    dropped: &mut Dropped,
    out: &mut Out<'_>,
) -> Result<(), RequestError> {
    out.begin_object().field("model", model).key("input");
    write_texts(texts(request)?, out);
    out.field_number("dimensions", request.dimensions);
    if let Some(truncate) = request.truncate {
        out.key("truncate").bool(truncate != Truncate::Never);
    }
    out.end_object();
    dropped.note_if(request.purpose.is_some(), losses::INPUT_TYPE);
    Ok(())
}

pub(super) fn read_answer<'d>(doc: &'d Doc<'d>) -> Result<EmbedAnswer<'d>, Malformed> {
    let root = doc.root();
    let list = root.get("embeddings").filter(|list| list.is_array()).ok_or(Malformed("has no vectors"))?;
    Ok(EmbedAnswer {
        id: None,
        model: root.text_of("model"),
        vectors: read_vectors(list)?,
        usage: crate::ollama::read_usage(root.raw()),
    })
}

pub(super) fn write_answer(answer: &EmbedAnswer<'_>, context: &AnswerContext, out: &mut Out<'_>) {
    out.begin_object().field("model", &context.model).key("embeddings").begin_array();
    answer.vectors.iter().for_each(|vector| vector.write_floats(out));
    out.end_array().key("total_duration").number(0).key("load_duration").number(0);
    let tokens = answer.usage.map_or(0, |usage| u64::from(usage.input));
    out.key("prompt_eval_count").number(tokens).end_object();
}
