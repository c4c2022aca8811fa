//! Vertex AI's `predict` of embedding models.

use sluice_types::Usage;

use super::gemini::TASK_TYPES;
use super::{
    EmbedAnswer, EmbedInput, EmbedRequest, Truncate, Vector, checked, name_of, named, texts, wanted,
};
use crate::exchange::{Dropped, losses};
use crate::json::{Doc, Kind, Out, Value};
use crate::openai::RequestError;
use crate::wire::Malformed;

pub(super) fn read_request<'d>(
    doc: &'d Doc<'d>,
    dropped: &mut Dropped,
) -> Result<EmbedRequest<'d>, RequestError> {
    let root = doc.root();
    let mut request = EmbedRequest::default();
    for (position, instance) in root.get("instances").into_iter().flat_map(Value::elements).enumerate() {
        let content = wanted(instance.text_of("content"), "instances")?;
        request.inputs.push(EmbedInput::Text(content));
        let purpose = instance.text_of("task_type").and_then(|name| named(&TASK_TYPES, &name));
        if position > 0 && purpose != request.purpose {
            return Err(RequestError::about("instances", "All instances must be for the same task."));
        }
        request.purpose = purpose;
        dropped.note_if(instance.get("title").is_some(), "title");
    }
    for (name, value) in root.get("parameters").into_iter().flat_map(Value::members) {
        let name = name.decode();
        match &*name {
            _ if value.kind() == Kind::Null => {}
            "outputDimensionality" => request.dimensions = Some(wanted(value.u64(), "parameters")?),
            "autoTruncate" => {
                let cut = wanted(value.bool(), "parameters")?;
                request.truncate = Some(if cut { Truncate::End } else { Truncate::Never });
            }
            _ => dropped.note(name.into_owned()),
        }
    }
    checked(request, "instances")
}

pub(super) fn write_request(
    request: &EmbedRequest<'_>,
    dropped: &mut Dropped,
    out: &mut Out<'_>,
) -> Result<(), RequestError> {
    let task = request.purpose.and_then(|purpose| name_of(&TASK_TYPES, purpose));
    out.begin_object().key("instances").begin_array();
    for text in texts(request)? {
        out.begin_object().key("content").text(text);
        if let Some(task) = task {
            out.field("task_type", task);
        }
        out.end_object();
    }
    out.end_array();
    if request.dimensions.is_some() || request.truncate.is_some() {
        out.key("parameters").begin_object().field_number("outputDimensionality", request.dimensions);
        if let Some(truncate) = request.truncate {
            out.key("autoTruncate").bool(truncate != Truncate::Never);
        }
        out.end_object();
    }
    out.end_object();
    dropped.note_if(request.truncate == Some(Truncate::Start), losses::TRUNCATE);
    Ok(())
}

pub(super) fn read_answer<'d>(doc: &'d Doc<'d>) -> Result<EmbedAnswer<'d>, Malformed> {
    let list =
        doc.root().get("predictions").filter(|list| list.is_array()).ok_or(Malformed("has no vectors"))?;
    let mut answer = EmbedAnswer::default();
    let mut tokens = None::<u64>;
    for prediction in list.elements() {
        let embeddings = prediction.get("embeddings").ok_or(Malformed("has no vector"))?;
        answer.vectors.push(Vector::read(embeddings.get("values").ok_or(Malformed("has no vector"))?)?);
        let count = embeddings.get("statistics").and_then(|statistics| statistics.get("token_count")?.u64());
        tokens = count.map(|count| count + tokens.unwrap_or_default()).or(tokens);
    }
    answer.usage =
        tokens.map(|tokens| Usage { input: u32::try_from(tokens).unwrap_or(u32::MAX), ..Usage::default() });
    Ok(answer)
}

/// Appends an answer. Tokens are counted for each vector here; they are all put to the first.
pub(super) fn write_answer(answer: &EmbedAnswer<'_>, out: &mut Out<'_>) {
    out.begin_object().key("predictions").begin_array();
    for (index, vector) in answer.vectors.iter().enumerate() {
        out.begin_object().key("embeddings").begin_object().key("statistics").begin_object();
        out.key("truncated").bool(false);
        let tokens = answer.usage.filter(|_| index == 0).map_or(0, |usage| u64::from(usage.input));
        out.key("token_count").number(tokens).end_object().key("values");
        vector.write_floats(out);
        out.end_object().end_object();
    }
    out.end_array().end_object();
}
