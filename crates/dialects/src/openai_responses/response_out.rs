//! The response object and the items of its output, as answers and streams write them.

use sluice_types::Usage;

use crate::exchange::{ApiError, Finish, Text};
use crate::json::Out;

use super::error::code;

/// How far a response has come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Status<'e> {
    /// It has begun.
    InProgress,
    /// It is whole.
    Completed,
    /// It was cut off, for this reason.
    Incomplete(&'static str),
    /// It failed; with the error where one is known.
    Failed(Option<&'e ApiError>),
}

impl Status<'_> {
    /// The status that a reason to finish comes to. A refusal in words is a whole answer here; without words there is
    /// only the filter to say so.
    pub(super) fn of(finish: Finish, refused_in_words: bool) -> Self {
        match finish {
            Finish::Length => Self::Incomplete("max_output_tokens"),
            Finish::ContentFilter => Self::Incomplete("content_filter"),
            Finish::Refusal if !refused_in_words => Self::Incomplete("content_filter"),
            Finish::Error => Self::Failed(None),
            Finish::Stop | Finish::StopSequence | Finish::ToolCalls | Finish::Refusal | Finish::Pause => {
                Self::Completed
            }
        }
    }

    /// The name of the status.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed(_) => "failed",
        }
    }

    /// The status of the item that was open when the response came to its end.
    pub(super) fn of_last_item(self) -> &'static str {
        if matches!(self, Self::Completed) { "completed" } else { "incomplete" }
    }
}

/// What a response object is written from.
pub(super) struct Response<'r> {
    pub(super) id: &'r str,
    /// By the name the client asked for.
    pub(super) model: &'r str,
    /// Seconds since 1970.
    pub(super) created: u64,
    pub(super) status: Status<'r>,
    /// The items, with commas between them.
    pub(super) output: &'r [u8],
    pub(super) usage: Option<Usage>,
    pub(super) service_tier: Option<&'r Text<'r>>,
}

/// The part of a response that repeats the request. The request is not at hand; these are the defaults.
const REQUEST_MEMBERS: &[u8] = br#""instructions":null,"max_output_tokens":null,"metadata":{},"parallel_tool_calls":true,"previous_response_id":null,"reasoning":{"effort":null,"summary":null},"store":false,"temperature":null,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"top_p":null,"truncation":"disabled","user":null"#;

/// Appends the object.
pub(super) fn write_response(response: &Response<'_>, out: &mut Out<'_>) {
    let status = response.status;
    out.begin_object().field("id", response.id).field("object", "response");
    out.key("created_at").number(response.created).field("status", status.name());
    out.key("error");
    match status {
        Status::Failed(error) => {
            let (code, message) = error.map_or(("server_error", "The model failed to answer."), |error| {
                (code(error), error.message.as_str())
            });
            out.begin_object().field("code", code).field("message", message).end_object();
        }
        _ => drop(out.null()),
    }
    out.key("incomplete_details");
    match status {
        Status::Incomplete(reason) => drop(out.begin_object().field("reason", reason).end_object()),
        _ => drop(out.null()),
    }
    out.field("model", response.model);
    list("output", response.output, out);
    out.raw(REQUEST_MEMBERS);
    out.field_text("service_tier", response.service_tier).key("usage");
    match response.usage {
        Some(usage) => write_usage(&usage, out),
        None => drop(out.null()),
    }
    out.end_object();
}

fn write_usage(usage: &Usage, out: &mut Out<'_>) {
    out.begin_object().key("input_tokens").number(usage.input.into());
    out.key("input_tokens_details").begin_object();
    out.key("cached_tokens").number(usage.cached_input.into());
    out.key("cache_write_tokens").number(usage.cache_write.into()).end_object();
    out.key("output_tokens").number(usage.output.into());
    out.key("output_tokens_details").begin_object();
    out.key("reasoning_tokens").number(usage.reasoning.into()).end_object();
    out.key("total_tokens").number(usage.total()).end_object();
}

/// Appends a message; `content` are its parts, with commas between them.
pub(super) fn write_message(id: &str, status: &str, content: &[u8], out: &mut Out<'_>) {
    out.begin_object().field("id", id).field("type", "message").field("status", status);
    list("content", content, out);
    out.field("role", "assistant").end_object();
}

/// Appends a part with text; `annotations` and `logprobs` are the elements of their lists.
pub(super) fn write_text_part(text: &Text<'_>, annotations: &[u8], logprobs: &[u8], out: &mut Out<'_>) {
    out.begin_object().field("type", "output_text");
    list("annotations", annotations, out);
    list("logprobs", logprobs, out);
    out.key("text").text(text).end_object();
}

/// Appends a member with a list of which the elements are written already.
pub(super) fn list(name: &str, elements: &[u8], out: &mut Out<'_>) {
    out.key(name).begin_array();
    if !elements.is_empty() {
        out.raw(elements);
    }
    out.end_array();
}

/// Appends a part with a refusal.
pub(super) fn write_refusal_part(text: &Text<'_>, out: &mut Out<'_>) {
    out.begin_object().field("type", "refusal").key("refusal").text(text).end_object();
}

/// Appends a reasoning item, with what there is of a summary and of a proof.
pub(super) fn write_reasoning(id: &str, summary: &Text<'_>, proof: &Text<'_>, out: &mut Out<'_>) {
    out.begin_object().field("id", id).field("type", "reasoning").key("summary").begin_array();
    if !summary.is_empty() {
        write_summary_part(summary, out);
    }
    out.end_array();
    if !proof.is_empty() {
        out.key("encrypted_content").text(proof);
    }
    out.end_object();
}

/// Appends a part of a summary.
pub(super) fn write_summary_part(text: &Text<'_>, out: &mut Out<'_>) {
    out.begin_object().field("type", "summary_text").key("text").text(text).end_object();
}

/// What a call's item is written from.
pub(super) struct CallItem<'c> {
    pub(super) id: &'c str,
    pub(super) call_id: &'c Text<'c>,
    pub(super) name: &'c Text<'c>,
    pub(super) custom: bool,
    pub(super) arguments: &'c Text<'c>,
    pub(super) status: &'c str,
}

/// Appends a call of a function or of a custom tool.
pub(super) fn write_call(call: &CallItem<'_>, out: &mut Out<'_>) {
    let (kind, member) =
        if call.custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
    out.begin_object().field("id", call.id).field("type", kind).field("status", call.status);
    out.key(member).text(call.arguments).key("call_id").text(call.call_id);
    out.key("name").text(call.name).end_object();
}

/// Appends an image that was generated; without data it is still to come.
pub(super) fn write_image(id: &str, data: Option<&Text<'_>>, out: &mut Out<'_>) {
    out.begin_object().field("id", id).field("type", "image_generation_call");
    out.field("status", if data.is_some() { "completed" } else { "in_progress" }).key("result");
    match data {
        Some(data) => out.text(data),
        None => out.null(),
    };
    out.end_object();
}

/// The id of an item, by what it is and where it stands.
pub(super) fn item_id(prefix: &str, id: &str, index: u64) -> String {
    format!("{prefix}_{id}_{index}")
}

/// The id of a response: the provider's if it looks like one, or ours.
pub(super) fn response_id(given: Option<&Text<'_>>, id: &str) -> String {
    match given {
        Some(given) if given.as_escaped().starts_with(b"resp_") => given.decode().into_owned(),
        _ => format!("resp_{id}"),
    }
}
