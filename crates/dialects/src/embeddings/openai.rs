//! `/v1/embeddings` as OpenAI, Azure, Mistral, Voyage AI and Jina AI have it.

use super::{
    EmbedAnswer, EmbedInput, EmbedRequest, EmbedWire, Encodings, Names, Purpose, Truncate, Vector, checked,
    name_of, named, texts, wanted, write_texts,
};
use crate::exchange::{Dropped, Raw, losses};
use crate::json::{Doc, Kind, Out, Value};
use crate::openai::{RequestError, read_usage};
use crate::wire::{AnswerContext, Malformed};

/// Voyage AI's types of input; the others are what further compatible providers call them.
const INPUT_TYPES: Names<Purpose, 9> = [
    (Purpose::Query, "query"),
    (Purpose::Document, "document"),
    (Purpose::Document, "passage"),
    (Purpose::Query, "search_query"),
    (Purpose::Document, "search_document"),
    (Purpose::Classification, "classification"),
    (Purpose::Clustering, "clustering"),
    (Purpose::Similarity, "semantic_similarity"),
    (Purpose::CodeQuery, "code_query"),
];

/// Jina AI's tasks.
const TASKS: Names<Purpose, 7> = [
    (Purpose::Query, "retrieval.query"),
    (Purpose::Document, "retrieval.passage"),
    (Purpose::Similarity, "text-matching"),
    (Purpose::Classification, "classification"),
    (Purpose::Clustering, "separation"),
    (Purpose::CodeQuery, "code.query"),
    (Purpose::Document, "code.passage"),
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
            "input" => request.inputs = read_inputs(value)?,
            "dimensions" | "output_dimension" => {
                request.dimensions = Some(wanted(value.u64(), "dimensions")?)
            }
            "encoding_format" | "embedding_type" => request.encodings = read_encoding(value)?,
            "user" => request.user = Some(wanted(value.text(), "user")?),
            "input_type" => request.purpose = read_purpose(&INPUT_TYPES, value, "input_type", dropped)?,
            "task" => request.purpose = read_purpose(&TASKS, value, "task", dropped)?,
            "truncate" | "truncation" => request.truncate = Some(read_truncate(value)?),
            // The default, said aloud.
            "output_dtype" if value.is("float") => {}
            _ => dropped.note(name.into_owned()),
        }
    }
    checked(request, "input")
}

/// A text, texts, numbers of tokens, or lists of these; Jina AI also takes objects.
fn read_inputs(value: Value<'_>) -> Result<Vec<EmbedInput<'_>>, RequestError> {
    if let Some(text) = value.text() {
        return Ok(vec![EmbedInput::Text(text)]);
    }
    if is_tokens(value) {
        return Ok(vec![EmbedInput::Tokens(Raw::written(value.raw()))]);
    }
    let inputs = value.is_array().then(|| value.elements().map(read_input).collect());
    wanted(inputs.flatten(), "input")
}

fn read_input(value: Value<'_>) -> Option<EmbedInput<'_>> {
    match value.kind() {
        Kind::String => value.text().map(EmbedInput::Text),
        Kind::Array if is_tokens(value) => Some(EmbedInput::Tokens(Raw::written(value.raw()))),
        Kind::Object => value
            .text_of("text")
            .map(EmbedInput::Text)
            .or_else(|| value.text_of("image").map(EmbedInput::Image)),
        _ => None,
    }
}

/// Whether it is a list of numbers, at least one.
fn is_tokens(list: Value<'_>) -> bool {
    let mut tokens = list.elements().peekable();
    tokens.peek().is_some() && tokens.all(|token| token.kind() == Kind::Number)
}

fn read_encoding(value: Value<'_>) -> Result<Encodings, RequestError> {
    match &*wanted(value.text(), "encoding_format")?.decode() {
        "float" => Ok(Encodings { float: true, base64: false }),
        "base64" => Ok(Encodings { float: false, base64: true }),
        _ => Err(RequestError::about(
            "encoding_format",
            "Invalid 'encoding_format': expected float or base64.",
        )),
    }
}

fn read_purpose<const N: usize>(
    names: &Names<Purpose, N>,
    value: Value<'_>,
    param: &'static str,
    dropped: &mut Dropped,
) -> Result<Option<Purpose>, RequestError> {
    let purpose = named(names, &wanted(value.text(), param)?);
    dropped.note_if(purpose.is_none(), param);
    Ok(purpose)
}

fn read_truncate(value: Value<'_>) -> Result<Truncate, RequestError> {
    match (value.bool(), value.text()) {
        (Some(true), _) => Ok(Truncate::End),
        (Some(false), _) => Ok(Truncate::Never),
        (_, Some(name)) => wanted(named(&super::cohere::TRUNCATE, &name), "truncate"),
        _ => Err(RequestError::about("truncate", super::WRONG_TYPE)),
    }
}

pub(super) fn write_request(
    wire: EmbedWire,
    request: &EmbedRequest<'_>,
    model: &str,
    dropped: &mut Dropped,
    out: &mut Out<'_>,
) -> Result<(), RequestError> {
    out.begin_object().field("model", model).key("input");
    write_inputs(wire, request, out)?;
    let (dimensions, truncate) = (request.dimensions, request.truncate);
    match wire {
        EmbedWire::Mistral => {
            out.field_number("output_dimension", dimensions);
        }
        EmbedWire::Voyage => {
            out.field_number("output_dimension", dimensions);
            write_flag("truncation", truncate, out);
        }
        EmbedWire::Jina => {
            out.field_number("dimensions", dimensions);
            write_flag("truncate", truncate, out);
        }
        _ => {
            out.field_number("dimensions", dimensions).field_text("user", request.user.as_ref());
        }
    }
    dropped.note_if(wire == EmbedWire::Mistral && request.user.is_some(), losses::USER);
    dropped.note_if(
        matches!(wire, EmbedWire::Mistral | EmbedWire::Openai) && truncate.is_some(),
        losses::TRUNCATE,
    );
    write_purpose(wire, request.purpose, dropped, out);
    write_encoding(wire, request.encodings, out);
    out.end_object();
    Ok(())
}

/// Whether inputs that are too long are cut; only their ends are.
fn write_flag(name: &str, truncate: Option<Truncate>, out: &mut Out<'_>) {
    if let Some(truncate) = truncate {
        out.key(name).bool(truncate != Truncate::Never);
    }
}

fn write_purpose(wire: EmbedWire, purpose: Option<Purpose>, dropped: &mut Dropped, out: &mut Out<'_>) {
    let Some(purpose) = purpose else { return };
    let (member, name) = match (wire, purpose) {
        (EmbedWire::Voyage, Purpose::Query | Purpose::Document) => {
            ("input_type", name_of(&INPUT_TYPES, purpose))
        }
        (EmbedWire::Jina, purpose) => ("task", name_of(&TASKS, purpose)),
        _ => ("", None),
    };
    match name {
        Some(name) => {
            out.field(member, name);
        }
        None => dropped.note(losses::INPUT_TYPE),
    }
}

/// Numbers are the default of all, and not all know a word for it; nor do all know base64, so it is left to the gateway
/// where it is not sure.
fn write_encoding(wire: EmbedWire, encodings: Encodings, out: &mut Out<'_>) {
    match wire {
        EmbedWire::Openai | EmbedWire::Voyage if !encodings.float => out.field("encoding_format", "base64"),
        EmbedWire::Jina if !encodings.float => out.field("embedding_type", "base64"),
        _ => out,
    };
}

fn write_inputs(wire: EmbedWire, request: &EmbedRequest<'_>, out: &mut Out<'_>) -> Result<(), RequestError> {
    match wire {
        EmbedWire::Openai => {
            out.begin_array();
            for input in &request.inputs {
                match input {
                    EmbedInput::Text(text) => out.text(text),
                    EmbedInput::Tokens(tokens) => out.raw(tokens.as_bytes()),
                    EmbedInput::Image(_) => return texts(request).map(drop),
                };
            }
            out.end_array();
        }
        EmbedWire::Jina if request.inputs.iter().any(|input| matches!(input, EmbedInput::Image(_))) => {
            out.begin_array();
            for input in &request.inputs {
                let (name, value) = match input {
                    EmbedInput::Text(text) => ("text", text),
                    EmbedInput::Image(url) => ("image", url),
                    EmbedInput::Tokens(_) => return texts(request).map(drop),
                };
                out.begin_object().key(name).text(value).end_object();
            }
            out.end_array();
        }
        _ => write_texts(texts(request)?, out),
    }
    Ok(())
}

pub(super) fn read_answer<'d>(doc: &'d Doc<'d>) -> Result<EmbedAnswer<'d>, Malformed> {
    let root = doc.root();
    let data = root.get("data").filter(|data| data.is_array()).ok_or(Malformed("has no list of vectors"))?;
    let mut vectors = Vec::new();
    for (position, item) in data.elements().enumerate() {
        let index = item.get("index").and_then(Value::u64).unwrap_or(position as u64);
        let vector = item.get("embedding").ok_or(Malformed("has an entry without a vector"))?;
        vectors.push((index, Vector::read(vector)?));
    }
    // They belong to their inputs by index, which is nearly always their order.
    vectors.sort_by_key(|(index, _)| *index);
    Ok(EmbedAnswer {
        id: root.text_of("id"),
        model: root.text_of("model"),
        vectors: vectors.into_iter().map(|(_, vector)| vector).collect(),
        usage: root.get("usage").and_then(|usage| read_usage(usage.raw())),
    })
}

pub(super) fn write_answer(
    answer: &EmbedAnswer<'_>,
    context: &AnswerContext,
    encodings: Encodings,
    out: &mut Out<'_>,
) {
    out.begin_object().field("object", "list").key("data").begin_array();
    for (index, vector) in answer.vectors.iter().enumerate() {
        out.begin_object().field("object", "embedding").key("index").number(index as u64).key("embedding");
        if encodings.float {
            vector.write_floats(out)
        } else {
            vector.write_base64(out)
        }
        out.end_object();
    }
    out.end_array().field("model", &context.model);
    let tokens = answer.usage.map_or(0, |usage| u64::from(usage.input));
    out.key("usage").begin_object();
    out.key("prompt_tokens").number(tokens).key("total_tokens").number(tokens);
    out.end_object().end_object();
}
