//! Reading requests: everything but the input.

use crate::exchange::{ChatRequest, Dropped, Message, PartKind, Role, Text};
use crate::json::{Doc, Kind, Value};
use crate::openai::RequestError;

use super::items_in;
use super::params_in;

/// Reads a request. The path does not say whether a stream is wanted; the body does.
///
/// # Errors
///
/// What has a wrong type, lacks input, or builds on state that OpenAI keeps.
pub fn read_request<'d>(
    doc: &'d Doc<'d>,
    _stream: bool,
    dropped: &mut Dropped,
) -> Result<ChatRequest<'d>, RequestError> {
    let mut reader = Reader::default();
    for (name, value) in doc.root().members() {
        if value.kind() != Kind::Null {
            reader.member(&name, value, dropped)?;
        }
    }
    reader.finish(dropped)
}

/// What was read so far. The order of members is free, that of messages is not: the input waits for the instructions.
#[derive(Default)]
struct Reader<'d> {
    request: ChatRequest<'d>,
    instructions: Option<Text<'d>>,
    input: Option<Value<'d>>,
    safety_identifier: Option<Text<'d>>,
}

impl<'d> Reader<'d> {
    fn member(
        &mut self,
        name: &Text<'_>,
        value: Value<'d>,
        dropped: &mut Dropped,
    ) -> Result<(), RequestError> {
        let request = &mut self.request;
        match &*name.decode() {
            "model" => {}
            "input" => self.input = Some(value),
            "instructions" => self.instructions = Some(text(value, "instructions")?),
            "stream" => request.stream = boolean(value, "stream")?,
            "tools" => request.tools = params_in::tools(value, dropped)?,
            "tool_choice" => request.tool_choice = params_in::tool_choice(value, dropped)?,
            "parallel_tool_calls" => {
                request.parallel_tool_calls = Some(boolean(value, "parallel_tool_calls")?)
            }
            "max_output_tokens" => request.max_tokens = Some(count(value, "max_output_tokens")?),
            "temperature" => request.temperature = Some(value.number().ok_or_else(|| wrong("temperature"))?),
            "top_p" => request.top_p = Some(value.number().ok_or_else(|| wrong("top_p"))?),
            "top_logprobs" => request.top_logprobs = Some(count(value, "top_logprobs")?),
            "text" => params_in::text(value, request, dropped)?,
            "reasoning" => request.reasoning = params_in::reasoning(value, dropped)?,
            "include" => params_in::include(value, request, dropped)?,
            "user" => request.user = Some(text(value, "user")?),
            "safety_identifier" => self.safety_identifier = Some(text(value, "safety_identifier")?),
            "service_tier" => request.service_tier = Some(text(value, "service_tier")?),
            "prompt_cache_key" => request.cache_key = Some(text(value, "prompt_cache_key")?),
            "previous_response_id" => return Err(state("previous_response_id")),
            "conversation" => return Err(state("conversation")),
            "prompt" => return Err(state("prompt")),
            "background" if boolean(value, "background")? => {
                return Err(RequestError::about("background", "This model cannot answer in the background."));
            }
            "background" => {}
            other => dropped.note(other.to_owned()),
        }
        Ok(())
    }

    fn finish(mut self, dropped: &mut Dropped) -> Result<ChatRequest<'d>, RequestError> {
        let request = &mut self.request;
        if let Some(text) = self.instructions.filter(|text| !text.is_empty()) {
            let parts = vec![PartKind::Text(text).into()];
            request.messages.push(Message { role: Role::System, parts, name: None });
        }
        let input = self.input.ok_or_else(|| RequestError::about("input", "Missing required parameter."))?;
        items_in::messages(input, &mut request.messages, dropped)?;
        if request.tools.is_empty()
            && request.tool_choice.take().is_some_and(|choice| params_in::calls(&choice))
        {
            dropped.note("tool_choice");
        }
        request.user = self.safety_identifier.or(request.user.take());
        if request.top_logprobs.is_some_and(|alternatives| alternatives > 0) {
            request.logprobs = Some(true);
        }
        Ok(self.request)
    }
}

/// About a member of a type it cannot have.
#[cold]
pub(super) fn wrong(param: &'static str) -> RequestError {
    RequestError::about(param, "Invalid type for this parameter.")
}

/// About a member that names something the provider keeps.
#[cold]
fn state(param: &'static str) -> RequestError {
    RequestError::about(
        param,
        "The provider of this model does not keep the state that this parameter refers to; send the whole conversation as input.",
    )
}

/// A string.
pub(super) fn text<'d>(value: Value<'d>, param: &'static str) -> Result<Text<'d>, RequestError> {
    value.text().ok_or_else(|| wrong(param))
}

/// A boolean.
pub(super) fn boolean(value: Value<'_>, param: &'static str) -> Result<bool, RequestError> {
    value.bool().ok_or_else(|| wrong(param))
}

/// A whole number that is not negative.
fn count(value: Value<'_>, param: &'static str) -> Result<u64, RequestError> {
    value.u64().ok_or_else(|| wrong(param))
}

/// Notes the members of an object that nobody reads.
pub(super) fn note_others(value: Value<'_>, known: &[&str], prefix: &str, dropped: &mut Dropped) {
    for (name, member) in value.members() {
        if member.kind() != Kind::Null && !known.iter().any(|known| name.is(known)) {
            dropped.note(format!("{prefix}.{}", name.decode()));
        }
    }
}
