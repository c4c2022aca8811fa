//! Writing whole answers.

use crate::exchange::{Arguments, ChatAnswer, Choice, Media, Part, PartKind, Raw, Source, Text, ToolCall};
use crate::json::{Doc, Out};
use crate::wire::AnswerContext;

use super::response_out::{
    CallItem, Response, Status, item_id, response_id, write_call, write_image, write_message,
    write_reasoning, write_refusal_part, write_response, write_text_part,
};
use super::{CALL_SIGNATURE, REDACTED};

/// Appends an answer. A response has one choice: the first.
pub fn write_answer(answer: &ChatAnswer<'_>, context: &AnswerContext, out: &mut Vec<u8>) {
    let mut output = Vec::new();
    let status = match answer.choices.first() {
        Some(choice) => {
            let refused = choice.parts.iter().any(|part| matches!(part.kind, PartKind::Refusal(_)));
            let status = Status::of(choice.finish, refused);
            write_items(choice, &context.id, status, &mut output);
            status
        }
        // The prompt was refused.
        None => Status::Incomplete("content_filter"),
    };
    let response = Response {
        id: &response_id(answer.id.as_ref(), &context.id),
        model: &context.model,
        created: context.created,
        status,
        output: &output,
        usage: answer.usage,
        service_tier: answer.service_tier.as_ref(),
    };
    write_response(&response, &mut Out::new(out));
}

fn is_message(part: &Part<'_>) -> bool {
    matches!(part.kind, PartKind::Text(_) | PartKind::Refusal(_))
}

fn write_items(choice: &Choice<'_>, id: &str, status: Status<'_>, output: &mut Vec<u8>) {
    let mut index = 0;
    let mut logprobs = choice.logprobs.as_ref();
    let mut citations = &choice.citations[..];
    let groups = choice.parts.chunk_by(|a, b| is_message(a) && is_message(b));
    let last = choice.parts.chunk_by(|a, b| is_message(a) && is_message(b)).count().saturating_sub(1);
    for (at, group) in groups.enumerate() {
        let status = if at == last { status.of_last_item() } else { "completed" };
        let length = output.len();
        let mut out = Out::new(output);
        match &group[0].kind {
            PartKind::Text(_) | PartKind::Refusal(_) => {
                let content = message_content(group, citations, logprobs);
                // They are about the whole answer, and stand with its first text.
                (logprobs, citations) = (None, &[]);
                write_message(&item_id("msg", id, index), status, &content, &mut out);
            }
            PartKind::Thinking { text, signature } => {
                let none = Text::default();
                let proof = signature.as_ref().unwrap_or(&none);
                write_reasoning(&item_id("rs", id, index), text, proof, &mut out);
            }
            PartKind::RedactedThinking(data) => {
                let proof = marked(REDACTED, data);
                write_reasoning(&item_id("rs", id, index), &Text::default(), &proof, &mut out);
            }
            PartKind::ToolCall(call) => {
                if let Some(signature) = &call.signature {
                    let proof = marked(CALL_SIGNATURE, signature);
                    write_reasoning(&item_id("rs", id, index), &Text::default(), &proof, &mut out);
                    index += 1;
                }
                write_tool_call(call, id, index, status, &mut out);
            }
            PartKind::Image(Media { source: Source::Base64(data), .. }) => {
                write_image(&item_id("ig", id, index), Some(data), &mut out);
            }
            // There are no items for other media that a model makes.
            _ => {}
        }
        index += u64::from(output.len() > length);
    }
}

/// What stands for a thought that only its provider can read, or for the signature of a call.
pub(super) fn marked(mark: &'static str, data: &Text<'_>) -> Text<'static> {
    let mut proof = Text::literal(mark);
    proof.push(data);
    proof
}

/// The parts of a message. Texts next to each other are one: other dialects cut theirs where a citation begins.
fn message_content(group: &[Part<'_>], citations: &[Raw<'_>], logprobs: Option<&Raw<'_>>) -> Vec<u8> {
    let mut content = Vec::new();
    let annotations = annotations(citations);
    let logprobs = logprobs.map(logprob_elements).unwrap_or_default();
    let mut about = Some((&annotations[..], &logprobs[..]));
    let is_text = |part: &Part<'_>| matches!(part.kind, PartKind::Text(_));
    for run in group.chunk_by(|a, b| is_text(a) == is_text(b)) {
        let mut texts = run.iter().filter_map(|part| match &part.kind {
            PartKind::Text(text) | PartKind::Refusal(text) => Some(text),
            _ => None,
        });
        let Some(first) = texts.next() else { continue };
        let mut text = first.borrow();
        texts.for_each(|more| text.push(more));
        let mut out = Out::new(&mut content);
        if is_text(&run[0]) {
            let (annotations, logprobs) = about.take().unwrap_or_default();
            write_text_part(&text, annotations, logprobs, &mut out);
        } else {
            write_refusal_part(&text, &mut out);
        }
    }
    content
}

fn write_tool_call(call: &ToolCall<'_>, id: &str, index: u64, status: &str, out: &mut Out<'_>) {
    let arguments =
        if call.custom { custom_input(&call.arguments) } else { function_arguments(&call.arguments) };
    let item = CallItem {
        id: &item_id(call_prefix(call.custom), id, index),
        call_id: &call.id,
        name: &call.name,
        custom: call.custom,
        arguments: &arguments,
        status,
    };
    write_call(&item, out);
}

/// How the ids of calls begin.
pub(super) fn call_prefix(custom: bool) -> &'static str {
    if custom { "ctc" } else { "fc" }
}

/// A function's arguments are an object, be it an empty one.
fn function_arguments<'c>(arguments: &'c Arguments<'_>) -> Text<'c> {
    match arguments {
        Arguments::Text(text) if text.is_blank() => Text::literal("{}"),
        arguments => arguments.to_text(),
    }
}

/// The free text of a custom tool, which the dialects without them have in an object with one member.
fn custom_input<'c>(arguments: &'c Arguments<'_>) -> Text<'c> {
    if let Arguments::Object(raw) = arguments
        && let Ok(doc) = Doc::parse(raw.as_bytes())
        && let Some(input) = doc.root().text_of("input")
    {
        return input.into_owned();
    }
    arguments.to_text()
}

/// The elements of the list in the object that chat completions have around probabilities.
pub(super) fn logprob_elements(logprobs: &Raw<'_>) -> Vec<u8> {
    let Ok(doc) = Doc::parse(logprobs.as_bytes()) else { return Vec::new() };
    let list = doc.root().get("content");
    let inside = list.and_then(|list| list.raw().strip_prefix(b"[")?.strip_suffix(b"]"));
    inside.unwrap_or_default().trim_ascii().to_vec()
}

/// Citations of OpenAI's dialects as annotations; those of others have no place here.
fn annotations(citations: &[Raw<'_>]) -> Vec<u8> {
    let mut elements = Vec::new();
    for citation in citations {
        let Ok(doc) = Doc::parse(citation.as_bytes()) else { continue };
        let root = doc.root();
        let Some(kind) = root.text_of("type") else { continue };
        let mut out = Out::new(&mut elements);
        if let Some(inner) = root.get("url_citation").filter(|inner| inner.is_object()) {
            // As chat completions have it.
            out.begin_object().field("type", "url_citation");
            for (name, value) in inner.members() {
                out.key_text(&name).raw(value.raw());
            }
            out.end_object();
        } else if ["url_citation", "file_citation", "container_file_citation", "file_path"]
            .iter()
            .any(|it| kind.is(it))
        {
            out.raw(citation.as_bytes());
        }
    }
    elements
}
