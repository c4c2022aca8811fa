//! Reading a request.

use super::{messages_in, tools_in};
use crate::exchange::{ChatRequest, Dropped, Effort, Number, Raw, Reasoning, Text};
use crate::json::{Doc, Kind, Value};
use crate::openai::RequestError;

/// Reads a client's request. Whether it wants a stream is in the body, so the second argument says nothing here.
///
/// # Errors
///
/// What is wrong with the request: no messages, or a member of a type it cannot have.
pub fn read_request<'d>(
    doc: &'d Doc<'d>,
    _stream: bool,
    dropped: &mut Dropped,
) -> Result<ChatRequest<'d>, RequestError> {
    let mut reader =
        Reader { request: ChatRequest::default(), max_tokens: None, safety_identifier: None, dropped };
    for (name, value) in doc.root().members().filter(|(_, value)| value.kind() != Kind::Null) {
        reader.member(&name.decode(), value)?;
    }
    reader.finish()
}

struct Reader<'d, 'n> {
    request: ChatRequest<'d>,
    /// The old name of `max_completion_tokens`, which counts where both are given.
    max_tokens: Option<u64>,
    /// The new name of `user`, which counts only where that is not given.
    safety_identifier: Option<Text<'d>>,
    dropped: &'n mut Dropped,
}

impl<'d> Reader<'d, '_> {
    fn member(&mut self, name: &str, value: Value<'d>) -> Result<(), RequestError> {
        let request = &mut self.request;
        match name {
            "model" => {}
            "messages" => request.messages = messages_in::read(value, self.dropped)?,
            "stream" => request.stream = flag(value, "stream")?,
            "stream_options" => {
                request.include_usage = value.get("include_usage").and_then(Value::bool).unwrap_or(false);
            }
            "max_completion_tokens" => request.max_tokens = Some(count(value, "max_completion_tokens")?),
            "max_tokens" => self.max_tokens = Some(count(value, "max_tokens")?),
            "tools" => request.tools.extend(tools_in::read_tools(value, self.dropped)?),
            "functions" => request.tools.extend(tools_in::read_functions(value, self.dropped)?),
            "tool_choice" => request.tool_choice = Some(tools_in::read_choice(value, "tool_choice")?),
            "function_call" => request.tool_choice = Some(tools_in::read_choice(value, "function_call")?),
            "parallel_tool_calls" => {
                request.parallel_tool_calls = Some(flag(value, "parallel_tool_calls")?);
            }
            "response_format" => request.format = tools_in::read_format(value, self.dropped)?,
            _ => return self.option(name, value),
        }
        Ok(())
    }

    fn option(&mut self, name: &str, value: Value<'d>) -> Result<(), RequestError> {
        let request = &mut self.request;
        match name {
            "temperature" => request.temperature = Some(number(value, "temperature")?),
            "top_p" => request.top_p = Some(number(value, "top_p")?),
            "top_k" => request.top_k = Some(number(value, "top_k")?),
            "frequency_penalty" => request.frequency_penalty = Some(number(value, "frequency_penalty")?),
            "presence_penalty" => request.presence_penalty = Some(number(value, "presence_penalty")?),
            "seed" | "random_seed" => request.seed = Some(number(value, "seed")?),
            "stop" => request.stop = stop(value)?,
            "n" => request.n = Some(positive(value, "n")?),
            "logprobs" => request.logprobs = Some(flag(value, "logprobs")?),
            "top_logprobs" => request.top_logprobs = Some(count(value, "top_logprobs")?),
            "logit_bias" if value.is_object() => request.logit_bias = Some(Raw::written(value.raw())),
            "logit_bias" => return Err(wrong_type("logit_bias")),
            "reasoning_effort" => reasoning(request).effort = Some(effort(value)?),
            "reasoning" => read_reasoning(value, reasoning(request))?,
            "thinking" => read_thinking(value, reasoning(request))?,
            "user" => request.user = Some(text(value, "user")?),
            "safety_identifier" => self.safety_identifier = Some(text(value, "safety_identifier")?),
            "verbosity" => request.verbosity = Some(text(value, "verbosity")?),
            "service_tier" => request.service_tier = Some(text(value, "service_tier")?),
            "prompt_cache_key" => request.cache_key = Some(text(value, "prompt_cache_key")?),
            // The default.
            "store" if value.bool() == Some(false) => {}
            other => self.dropped.note(other.to_owned()),
        }
        Ok(())
    }

    fn finish(self) -> Result<ChatRequest<'d>, RequestError> {
        let mut request = self.request;
        if request.messages.is_empty() {
            return Err(RequestError::about("messages", "Missing required parameter: 'messages'."));
        }
        request.max_tokens = request.max_tokens.or(self.max_tokens);
        let both = request.user.is_some() && self.safety_identifier.is_some();
        self.dropped.note_if(both && request.user != self.safety_identifier, "safety_identifier");
        request.user = request.user.or(self.safety_identifier);
        Ok(request)
    }
}

fn reasoning<'r>(request: &'r mut ChatRequest<'_>) -> &'r mut Reasoning {
    request.reasoning.get_or_insert_default()
}

/// OpenRouter's `reasoning`: an effort or a budget.
fn read_reasoning(value: Value<'_>, into: &mut Reasoning) -> Result<(), RequestError> {
    if let Some(named) = value.get("effort") {
        into.effort = Some(effort(named)?);
    }
    if let Some(budget) = value.get("max_tokens") {
        into.budget = Some(count(budget, "reasoning")?);
    }
    match value.get("enabled").and_then(Value::bool) {
        Some(false) => into.effort = Some(Effort::None),
        Some(true) if into.effort.is_none() && into.budget.is_none() => into.dynamic = true,
        _ => {}
    }
    if let Some(exclude) = value.get("exclude").and_then(Value::bool) {
        into.show = Some(!exclude);
    }
    Ok(())
}

/// Anthropic's and DeepSeek's `thinking`, as clients send it through this dialect.
fn read_thinking(value: Value<'_>, into: &mut Reasoning) -> Result<(), RequestError> {
    let kind = value.text_of("type").ok_or_else(|| wrong_type("thinking"))?;
    if kind.is("disabled") {
        into.effort = Some(Effort::None);
    } else if let Some(budget) = value.get("budget_tokens") {
        into.budget = Some(count(budget, "thinking")?);
    } else if into.effort.is_none() {
        into.dynamic = true;
    }
    Ok(())
}

fn effort(value: Value<'_>) -> Result<Effort, RequestError> {
    let named = value.text().as_ref().and_then(Effort::named);
    named.ok_or_else(|| RequestError::about("reasoning_effort", "Invalid value for 'reasoning_effort'."))
}

#[cold]
fn wrong_type(param: &'static str) -> RequestError {
    RequestError::about(param, "Invalid type for this parameter.")
}

fn text<'d>(value: Value<'d>, param: &'static str) -> Result<Text<'d>, RequestError> {
    value.text().ok_or_else(|| wrong_type(param))
}

fn number<'d>(value: Value<'d>, param: &'static str) -> Result<Number<'d>, RequestError> {
    value.number().ok_or_else(|| wrong_type(param))
}

fn flag(value: Value<'_>, param: &'static str) -> Result<bool, RequestError> {
    value.bool().ok_or_else(|| wrong_type(param))
}

fn count(value: Value<'_>, param: &'static str) -> Result<u64, RequestError> {
    value
        .u64()
        .ok_or_else(|| RequestError::about(param, "Invalid value: expected a whole number, 0 or more."))
}

fn positive(value: Value<'_>, param: &'static str) -> Result<u64, RequestError> {
    let number = count(value, param)?;
    if number == 0 {
        Err(RequestError::about(param, "Invalid value: expected 1 or more."))
    } else {
        Ok(number)
    }
}

/// One text, or a list of them.
fn stop(value: Value<'_>) -> Result<Vec<Text<'_>>, RequestError> {
    match value.kind() {
        Kind::String => Ok(value.text().into_iter().collect()),
        Kind::Array => value.elements().map(|element| text(element, "stop")).collect(),
        _ => Err(wrong_type("stop")),
    }
}
