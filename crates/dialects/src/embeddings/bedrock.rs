//! Amazon's Titan text embeddings by Bedrock's `invoke`: one input, one vector.

use sluice_types::Usage;

use super::{EmbedAnswer, EmbedInput, EmbedRequest, Vector, checked, only_text, wanted};
use crate::exchange::{Dropped, losses};
use crate::json::{self, Doc, Kind, Out};
use crate::openai::RequestError;
use crate::wire::Malformed;

pub(super) fn read_request<'d>(
    doc: &'d Doc<'d>,
    dropped: &mut Dropped,
) -> Result<EmbedRequest<'d>, RequestError> {
    let mut request = EmbedRequest::default();
    for (name, value) in doc.root().members().filter(|(_, value)| value.kind() != Kind::Null) {
        let name = name.decode();
        match &*name {
            "inputText" => request.inputs.push(EmbedInput::Text(wanted(value.text(), "inputText")?)),
            "dimensions" => request.dimensions = Some(wanted(value.u64(), "dimensions")?),
            // The default, said aloud.
            "normalize" if value.bool() == Some(true) => {}
            "embeddingTypes" if value.elements().all(|kind| kind.is("float")) => {}
            _ => dropped.note(name.into_owned()),
        }
    }
    checked(request, "inputText")
}

pub(super) fn write_request(
    request: &EmbedRequest<'_>,
    dropped: &mut Dropped,
    out: &mut Out<'_>,
) -> Result<(), RequestError> {
    out.begin_object().key("inputText").text(only_text(request)?);
    out.field_number("dimensions", request.dimensions).end_object();
    dropped.note_if(request.purpose.is_some(), losses::INPUT_TYPE);
    dropped.note_if(request.truncate.is_some(), losses::TRUNCATE);
    Ok(())
}

pub(super) fn read_answer<'d>(doc: &'d Doc<'d>) -> Result<EmbedAnswer<'d>, Malformed> {
    let root = doc.root();
    let by_type = || root.get("embeddingsByType")?.get("float");
    let vector = root.get("embedding").or_else(by_type).ok_or(Malformed("has no vector"))?;
    Ok(EmbedAnswer {
        id: None,
        model: None,
        vectors: vec![Vector::read(vector)?],
        usage: read_usage(root.raw()),
    })
}

/// Reads the count, which stands in the answer itself.
pub(super) fn read_usage(body: &[u8]) -> Option<Usage> {
    let members = json::scan_object_lenient(body, &["inputTextTokenCount"]).ok()?;
    let count = json::as_u64(members.values[0]?.of(body))?;
    Some(Usage { input: u32::try_from(count).unwrap_or(u32::MAX), ..Usage::default() })
}

pub(super) fn write_answer(answer: &EmbedAnswer<'_>, out: &mut Out<'_>) {
    out.begin_object();
    if let Some(vector) = answer.vectors.first() {
        out.key("embedding");
        vector.write_floats(out);
    }
    let tokens = answer.usage.map_or(0, |usage| u64::from(usage.input));
    out.key("inputTextTokenCount").number(tokens).end_object();
}
