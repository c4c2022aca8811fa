//! Google's `embedContent` and `batchEmbedContents`.

use sluice_types::Usage;

use super::{
    EmbedAnswer, EmbedInput, EmbedRequest, Names, Purpose, Truncate, Vector, checked, name_of, named,
    only_text, texts, wanted,
};
use crate::exchange::{Dropped, Text, losses};
use crate::json::{self, Doc, Kind, Out, Value};
use crate::openai::RequestError;
use crate::wire::Malformed;

pub(super) const TASK_TYPES: Names<Purpose, 8> = [
    (Purpose::Query, "RETRIEVAL_QUERY"),
    (Purpose::Document, "RETRIEVAL_DOCUMENT"),
    (Purpose::Similarity, "SEMANTIC_SIMILARITY"),
    (Purpose::Classification, "CLASSIFICATION"),
    (Purpose::Clustering, "CLUSTERING"),
    (Purpose::CodeQuery, "CODE_RETRIEVAL_QUERY"),
    (Purpose::QuestionAnswering, "QUESTION_ANSWERING"),
    (Purpose::FactVerification, "FACT_VERIFICATION"),
];

/// Reads `embedContent`.
pub(super) fn read_content<'d>(
    doc: &'d Doc<'d>,
    dropped: &mut Dropped,
) -> Result<EmbedRequest<'d>, RequestError> {
    let mut request = EmbedRequest::default();
    add_input(doc.root(), &mut request, dropped)?;
    checked(request, "content")
}

/// Reads `batchEmbedContents`. What its requests ask for besides their inputs must be the same for all.
pub(super) fn read_batch<'d>(
    doc: &'d Doc<'d>,
    dropped: &mut Dropped,
) -> Result<EmbedRequest<'d>, RequestError> {
    let mut all = EmbedRequest::default();
    for (name, value) in doc.root().members().filter(|(_, value)| value.kind() != Kind::Null) {
        if !name.is("requests") {
            dropped.note(name.decode().into_owned());
            continue;
        }
        for (position, item) in value.elements().enumerate() {
            let mut one = EmbedRequest::default();
            add_input(item, &mut one, dropped)?;
            let same =
                (one.purpose, one.dimensions, one.truncate) == (all.purpose, all.dimensions, all.truncate);
            if position > 0 && !same {
                return Err(RequestError::about(
                    "requests",
                    "All requests of a batch must ask for the same.",
                ));
            }
            one.inputs.splice(0..0, all.inputs);
            all = one;
        }
    }
    checked(all, "requests")
}

/// Reads one request; in newer versions of the API some of it is in a configuration of its own.
fn add_input<'d>(
    root: Value<'d>,
    request: &mut EmbedRequest<'d>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    for (name, value) in root.members().filter(|(_, value)| value.kind() != Kind::Null) {
        let name = name.decode();
        match &*name {
            "model" => {}
            "content" => request.inputs.push(read_input(value)?),
            "taskType" | "task_type" => {
                request.purpose = named(&TASK_TYPES, &wanted(value.text(), "taskType")?);
                dropped.note_if(request.purpose.is_none() && !value.is("TASK_TYPE_UNSPECIFIED"), "taskType");
            }
            "outputDimensionality" | "output_dimensionality" => {
                request.dimensions = Some(wanted(value.u64(), "outputDimensionality")?);
            }
            "autoTruncate" | "auto_truncate" => {
                let cut = wanted(value.bool(), "autoTruncate")?;
                request.truncate = Some(if cut { Truncate::End } else { Truncate::Never });
            }
            _ => dropped.note(name.into_owned()),
        }
    }
    Ok(())
}

/// The parts of an input are one text.
fn read_input(content: Value<'_>) -> Result<EmbedInput<'_>, RequestError> {
    let parts: Vec<_> = content.get("parts").into_iter().flat_map(Value::elements).collect();
    if let [part] = parts.as_slice()
        && let Some(media) = part.get("inlineData").or_else(|| part.get("inline_data"))
    {
        let media_type = media.text_of("mimeType").or_else(|| media.text_of("mime_type"));
        let (media_type, data) = (wanted(media_type, "content")?, wanted(media.text_of("data"), "content")?);
        let mut url = Text::literal("data:");
        url.push(&media_type);
        url.push(&Text::literal(";base64,"));
        url.push(&data);
        return Ok(EmbedInput::Image(url));
    }
    let texts: Option<Vec<_>> = parts.iter().map(|part| part.text_of("text")).collect();
    let mut texts = wanted(texts, "content")?.into_iter();
    let mut whole = wanted(texts.next(), "content")?;
    texts.for_each(|text| {
        whole.push(&Text::literal("\\n"));
        whole.push(&text);
    });
    Ok(EmbedInput::Text(whole))
}

/// Appends the body of `embedContent`.
pub(super) fn write_content(
    request: &EmbedRequest<'_>,
    dropped: &mut Dropped,
    out: &mut Out<'_>,
) -> Result<(), RequestError> {
    write_one_request(request, only_text(request)?, None, out);
    dropped.note_if(request.truncate.is_some(), losses::TRUNCATE);
    Ok(())
}

/// Appends the body of `batchEmbedContents`.
pub(super) fn write_batch(
    request: &EmbedRequest<'_>,
    model: &str,
    dropped: &mut Dropped,
    out: &mut Out<'_>,
) -> Result<(), RequestError> {
    let texts = texts(request)?;
    let model = if model.contains('/') { model.to_owned() } else { format!("models/{model}") };
    out.begin_object().key("requests").begin_array();
    texts.into_iter().for_each(|text| write_one_request(request, text, Some(&model), out));
    out.end_array().end_object();
    dropped.note_if(request.truncate.is_some(), losses::TRUNCATE);
    Ok(())
}

fn write_one_request(request: &EmbedRequest<'_>, text: &Text<'_>, model: Option<&str>, out: &mut Out<'_>) {
    out.begin_object();
    if let Some(model) = model {
        out.field("model", model);
    }
    out.key("content").begin_object().key("parts").begin_array();
    out.begin_object().key("text").text(text).end_object().end_array().end_object();
    if let Some(task) = request.purpose.and_then(|purpose| name_of(&TASK_TYPES, purpose)) {
        out.field("taskType", task);
    }
    out.field_number("outputDimensionality", request.dimensions).end_object();
}

/// Reads the answer of either.
pub(super) fn read_answer<'d>(doc: &'d Doc<'d>) -> Result<EmbedAnswer<'d>, Malformed> {
    let root = doc.root();
    let one = root.get("embedding").into_iter();
    let all = one.chain(root.get("embeddings").into_iter().flat_map(Value::elements));
    let read =
        |embedding: Value<'d>| Vector::read(embedding.get("values").ok_or(Malformed("has no vector"))?);
    let vectors: Vec<_> = all.map(read).collect::<Result<_, _>>()?;
    if vectors.is_empty() {
        return Err(Malformed("has no vector"));
    }
    let usage = root.get("usageMetadata").and_then(|usage| read_usage(usage.raw()));
    Ok(EmbedAnswer { id: None, model: None, vectors, usage })
}

/// Reads `usageMetadata`, which only newer models report.
pub(super) fn read_usage(value: &[u8]) -> Option<Usage> {
    let mut input = None;
    json::walk_counts(value, 0, &mut |around, name, number| {
        if (around, name) == (b"", b"promptTokenCount") {
            input = json::as_u64(number).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        }
    })
    .ok()?;
    Some(Usage { input: input?, ..Usage::default() })
}

/// Appends the answer of `embedContent`.
pub(super) fn write_one(answer: &EmbedAnswer<'_>, out: &mut Out<'_>) {
    out.begin_object();
    if let Some(vector) = answer.vectors.first() {
        out.key("embedding");
        write_vector(vector, out);
    }
    write_usage(answer, out);
    out.end_object();
}

/// Appends the answer of `batchEmbedContents`.
pub(super) fn write_all(answer: &EmbedAnswer<'_>, out: &mut Out<'_>) {
    out.begin_object().key("embeddings").begin_array();
    answer.vectors.iter().for_each(|vector| write_vector(vector, out));
    out.end_array();
    write_usage(answer, out);
    out.end_object();
}

fn write_vector(vector: &Vector<'_>, out: &mut Out<'_>) {
    out.begin_object().key("values");
    vector.write_floats(out);
    out.end_object();
}

fn write_usage(answer: &EmbedAnswer<'_>, out: &mut Out<'_>) {
    if let Some(usage) = answer.usage {
        out.key("usageMetadata").begin_object().key("promptTokenCount").number(usage.input.into());
        out.key("totalTokenCount").number(usage.input.into()).end_object();
    }
}
