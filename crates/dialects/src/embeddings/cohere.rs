//! Cohere's `/v2/embed`, and its models by Bedrock's `invoke`, which differ in little.

use sluice_types::Usage;

use super::{
    EmbedAnswer, EmbedInput, EmbedRequest, Encodings, Names, Purpose, Truncate, checked, name_of, named,
    read_vectors, texts, wanted, write_texts,
};
use crate::exchange::{Dropped, Text, losses};
use crate::json::{self, Doc, Kind, Out, Value};
use crate::openai::RequestError;
use crate::wire::{AnswerContext, Malformed};

const INPUT_TYPES: Names<Purpose, 8> = [
    (Purpose::Query, "search_query"),
    (Purpose::Document, "search_document"),
    (Purpose::Classification, "classification"),
    (Purpose::Clustering, "clustering"),
    // The nearest there is.
    (Purpose::Similarity, "clustering"),
    (Purpose::CodeQuery, "search_query"),
    (Purpose::QuestionAnswering, "search_query"),
    (Purpose::FactVerification, "search_query"),
];

/// The names of Cohere and, after them, those of its newer models at Bedrock.
pub(super) const TRUNCATE: Names<Truncate, 5> = [
    (Truncate::Never, "NONE"),
    (Truncate::Start, "START"),
    (Truncate::End, "END"),
    (Truncate::Start, "LEFT"),
    (Truncate::End, "RIGHT"),
];

pub(super) fn read_request<'d>(
    doc: &'d Doc<'d>,
    dropped: &mut Dropped,
) -> Result<EmbedRequest<'d>, RequestError> {
    let mut request = EmbedRequest::default();
    for (name, value) in doc.root().members().filter(|(_, value)| value.kind() != Kind::Null) {
        let name = name.decode();
        match &*name {
            "model" => {}
            "texts" => add_inputs(value, Value::text, EmbedInput::Text, "texts", &mut request)?,
            "images" => add_inputs(value, Value::text, EmbedInput::Image, "images", &mut request)?,
            "inputs" => add_inputs(value, read_input, std::convert::identity, "inputs", &mut request)?,
            "input_type" => {
                request.purpose = named(&INPUT_TYPES, &wanted(value.text(), "input_type")?);
                dropped.note_if(request.purpose.is_none() && !value.is("image"), losses::INPUT_TYPE);
            }
            "embedding_types" => request.encodings = read_encodings(value, dropped)?,
            "output_dimension" => request.dimensions = Some(wanted(value.u64(), "output_dimension")?),
            "truncate" => {
                let truncate = value.text().and_then(|name| named(&TRUNCATE, &name));
                request.truncate = Some(wanted(truncate, "truncate")?);
            }
            _ => dropped.note(name.into_owned()),
        }
    }
    checked(request, "texts")
}

fn add_inputs<'d, T>(
    list: Value<'d>,
    read: impl Fn(Value<'d>) -> Option<T>,
    input: impl Fn(T) -> EmbedInput<'d>,
    param: &'static str,
    request: &mut EmbedRequest<'d>,
) -> Result<(), RequestError> {
    if !list.is_array() {
        return Err(RequestError::about(param, super::WRONG_TYPE));
    }
    for value in list.elements() {
        request.inputs.push(input(wanted(read(value), param)?));
    }
    Ok(())
}

/// An input of one block; several in one have no canonical form.
fn read_input(value: Value<'_>) -> Option<EmbedInput<'_>> {
    let mut blocks = value.get("content")?.elements();
    let (block, None) = (blocks.next()?, blocks.next()) else { return None };
    if let Some(text) = block.text_of("text") {
        return Some(EmbedInput::Text(text));
    }
    block.get("image_url")?.text_of("url").map(EmbedInput::Image)
}

/// The forms wanted. Integers of a few bits cannot be made of other providers' vectors.
fn read_encodings(value: Value<'_>, dropped: &mut Dropped) -> Result<Encodings, RequestError> {
    let mut encodings = Encodings { float: false, base64: false };
    for kind in value.elements() {
        match &*wanted(kind.text(), "embedding_types")?.decode() {
            "float" => encodings.float = true,
            "base64" => encodings.base64 = true,
            other => dropped.note(format!("embedding_types.{other}")),
        }
    }
    if !encodings.float && !encodings.base64 {
        return Err(RequestError::about("embedding_types", "This model gives float and base64 only."));
    }
    Ok(encodings)
}

/// Appends a body. `named` is the model's name where it belongs into the body.
pub(super) fn write_request(
    request: &EmbedRequest<'_>,
    named: Option<&str>,
    model: &str,
    dropped: &mut Dropped,
    out: &mut Out<'_>,
) -> Result<(), RequestError> {
    out.begin_object();
    if let Some(model) = named {
        out.field("model", model);
    }
    let images: Vec<_> = request.inputs.iter().filter_map(image_of).collect();
    let input_type = if images.is_empty() {
        out.key("texts");
        write_texts(texts(request)?, out);
        // Required; to be found is what most vectors are for.
        name_of(&INPUT_TYPES, request.purpose.unwrap_or(Purpose::Document))
    } else if images.len() == request.inputs.len() {
        out.key("images");
        write_texts(images, out);
        Some("image")
    } else {
        write_mixed(request, out)?;
        name_of(&INPUT_TYPES, request.purpose.unwrap_or(Purpose::Document))
    };
    out.field("input_type", input_type.unwrap_or("search_document"));
    // Numbers, since all models give them; what the client wants is made of these.
    out.key("embedding_types").begin_array().string("float").end_array();
    out.field_number("output_dimension", request.dimensions);
    let newer_at_bedrock = named.is_none() && model.contains("v4");
    let truncate = match request.truncate {
        Some(Truncate::Start) if newer_at_bedrock => Some("LEFT"),
        Some(Truncate::End) if newer_at_bedrock => Some("RIGHT"),
        other => other.and_then(|truncate| name_of(&TRUNCATE, truncate)),
    };
    if let Some(truncate) = truncate {
        out.field("truncate", truncate);
    }
    out.end_object();
    let approximate = matches!(request.purpose, Some(Purpose::Similarity | Purpose::CodeQuery));
    dropped.note_if(approximate, losses::INPUT_TYPE);
    Ok(())
}

fn image_of<'r, 'a>(input: &'r EmbedInput<'a>) -> Option<&'r Text<'a>> {
    match input {
        EmbedInput::Image(url) => Some(url),
        _ => None,
    }
}

fn write_mixed(request: &EmbedRequest<'_>, out: &mut Out<'_>) -> Result<(), RequestError> {
    out.key("inputs").begin_array();
    for input in &request.inputs {
        out.begin_object().key("content").begin_array().begin_object();
        match input {
            EmbedInput::Text(text) => out.field("type", "text").key("text").text(text),
            EmbedInput::Image(url) => out
                .field("type", "image_url")
                .key("image_url")
                .begin_object()
                .key("url")
                .text(url)
                .end_object(),
            EmbedInput::Tokens(_) => return texts(request).map(drop),
        };
        out.end_object().end_array().end_object();
    }
    out.end_array();
    Ok(())
}

/// Reads an answer with its vectors by type or, as the first version had it, without.
pub(super) fn read_answer<'d>(doc: &'d Doc<'d>) -> Result<EmbedAnswer<'d>, Malformed> {
    let root = doc.root();
    let embeddings = root.get("embeddings").ok_or(Malformed("has no vectors"))?;
    let list = if embeddings.is_array() {
        embeddings
    } else {
        embeddings
            .get("float")
            .or_else(|| embeddings.get("base64"))
            .ok_or(Malformed("has no vectors of numbers"))?
    };
    Ok(EmbedAnswer {
        id: root.text_of("id"),
        model: None,
        vectors: read_vectors(list)?,
        usage: root.get("meta").and_then(|meta| read_usage(meta.raw())),
    })
}

/// Reads `meta`: what is billed, of images too.
pub(super) fn read_usage(meta: &[u8]) -> Option<Usage> {
    let (mut text, mut image) = (None, None);
    json::walk_counts(meta, 0, &mut |around, name, number| {
        let into = match (around, name) {
            (b"billed_units", b"input_tokens") => &mut text,
            (b"billed_units", b"image_tokens") => &mut image,
            _ => return,
        };
        *into = json::as_u64(number).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    })
    .ok()?;
    text.or(image)?;
    let image_input: u32 = image.unwrap_or_default();
    Some(Usage {
        input: text.unwrap_or_default().saturating_add(image_input),
        image_input,
        ..Usage::default()
    })
}

pub(super) fn write_answer(
    answer: &EmbedAnswer<'_>,
    context: &AnswerContext,
    encodings: Encodings,
    out: &mut Out<'_>,
) {
    out.begin_object().key("id");
    crate::cohere::write_id(answer.id.as_ref(), context, out);
    out.key("embeddings").begin_object();
    if encodings.float {
        out.key("float").begin_array();
        answer.vectors.iter().for_each(|vector| vector.write_floats(out));
        out.end_array();
    }
    if encodings.base64 {
        out.key("base64").begin_array();
        answer.vectors.iter().for_each(|vector| vector.write_base64(out));
        out.end_array();
    }
    out.end_object().key("meta").begin_object();
    out.key("api_version").begin_object().field("version", "2").end_object();
    let usage = answer.usage.unwrap_or_default();
    out.key("billed_units").begin_object();
    out.key("input_tokens").number((usage.input - usage.image_input.min(usage.input)).into());
    if usage.image_input > 0 {
        out.key("image_tokens").number(usage.image_input.into());
    }
    out.end_object().end_object().field("response_type", "embeddings_by_type").end_object();
}
