//! Canonical requests and answers in a form that can be compared across dialects: what is the same for a model is the
//! same here, however a dialect must write it.

use serde_json::{Map, Value, json};
use sluice_dialects::exchange::{
    Arguments, ChatAnswer, ChatRequest, Event, Finish, Format, Media, Message, Number, Part, PartKind, Raw,
    Reasoning, Role, Source, Text, Tool, ToolCall, ToolChoice,
};
use sluice_types::Usage;

/// A request, member by member.
pub(crate) fn request(request: &ChatRequest<'_>) -> Map<String, Value> {
    let number = |number: &Option<Number<'_>>| number.as_ref().and_then(Number::as_f64).map(|n| json!(n));
    let raw = |raw: &Raw<'_>| serde_json::from_slice::<Value>(raw.as_bytes()).expect("valid JSON");
    let mut ids = Ids::default();
    let mut members = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        members.insert(name.to_owned(), value.unwrap_or_default());
    };
    put("system", Some(system(&request.messages)));
    put("turns", Some(turns(&request.messages, &mut ids)));
    put(
        "names",
        Some(request.messages.iter().filter_map(|message| message.name.as_ref().map(text)).collect()),
    );
    put("cache", Some(json!(cache_marks(request))));
    let (callable, must) = callable(request);
    put("tools", Some(tools(&callable)));
    put("tool_choice", Some(json!(must)));
    put(
        "parallel_tool_calls",
        request.parallel_tool_calls.filter(|parallel| !parallel).map(|_| json!(false)),
    );
    put("max_tokens", request.max_tokens.map(|count| json!(count)));
    put("temperature", number(&request.temperature));
    put("top_p", number(&request.top_p));
    put("top_k", number(&request.top_k));
    put("frequency_penalty", number(&request.frequency_penalty));
    put("presence_penalty", number(&request.presence_penalty));
    put("seed", number(&request.seed));
    put("stop", Some(request.stop.iter().map(text).collect()));
    put("n", request.n.filter(|n| *n != 1).map(|n| json!(n)));
    put("logprobs", request.logprobs.filter(|wanted| *wanted).map(|_| json!(true)));
    put("top_logprobs", request.top_logprobs.map(|count| json!(count)));
    put("logit_bias", request.logit_bias.as_ref().map(raw));
    put("format", format(request.format.as_ref()));
    put("reasoning", request.reasoning.as_ref().and_then(reasoning));
    put("user", request.user.as_ref().map(text));
    put("verbosity", request.verbosity.as_ref().map(text));
    put("service_tier", request.service_tier.as_ref().map(text));
    put("cache_key", request.cache_key.as_ref().map(text));
    put("stream", Some(json!(request.stream)));
    members
}

/// Efforts and budgets are told in each other's terms, so that they are on is all that is the same everywhere.
fn reasoning(reasoning: &Reasoning) -> Option<Value> {
    match reasoning {
        reasoning if reasoning.is_off() => Some(json!("off")),
        Reasoning { dynamic: true, .. } => Some(json!("dynamic")),
        Reasoning { effort: Some(_), .. } | Reasoning { budget: Some(_), .. } => Some(json!("on")),
        _ => None,
    }
}

fn text(text: &Text<'_>) -> Value {
    json!(text.decode())
}

/// Line ends are where dialects with one text only join several.
fn joined<'t>(texts: impl Iterator<Item = &'t Text<'t>>) -> String {
    texts.map(|text| text.decode().replace('\n', "")).collect()
}

fn texts_of<'p>(parts: &'p [Part<'p>]) -> impl Iterator<Item = &'p Text<'p>> {
    parts.iter().filter_map(|part| match &part.kind {
        PartKind::Text(text) => Some(text),
        _ => None,
    })
}

fn system(messages: &[Message<'_>]) -> Value {
    let system = messages.iter().filter(|message| message.role == Role::System);
    json!(system.map(|message| joined(texts_of(&message.parts))).collect::<String>())
}

/// Ids of calls by the order in which they come up: those of dialects without ids are made up.
#[derive(Default)]
struct Ids(Vec<String>);

impl Ids {
    fn number(&mut self, id: &Text<'_>) -> usize {
        let id = id.decode();
        self.0.iter().position(|known| *known == id).unwrap_or_else(|| {
            self.0.push(id.into_owned());
            self.0.len() - 1
        })
    }
}

/// What is said but for the system, neighbours of one role joined.
fn turns(messages: &[Message<'_>], ids: &mut Ids) -> Value {
    let mut turns: Vec<(Role, Vec<Value>)> = Vec::new();
    for message in messages.iter().filter(|message| message.role != Role::System && !message.parts.is_empty())
    {
        let inner = message.parts.iter().flat_map(media_of_result);
        let parts: Vec<Value> = message.parts.iter().chain(inner).map(|part| part_value(part, ids)).collect();
        match turns.last_mut() {
            Some((role, before)) if *role == message.role => before.extend(parts),
            _ => turns.push((message.role, parts)),
        }
    }
    turns.into_iter().map(|(role, parts)| json!([format!("{role:?}"), ordered(parts)])).collect()
}

/// The parts of a turn: thoughts, results by their calls, then the rest, texts that are neighbours joined, calls last.
fn ordered(parts: Vec<Value>) -> Vec<Value> {
    let rank = |part: &Value| match part.as_object().and_then(|part| part.keys().next()).map(String::as_str) {
        Some("thinking" | "redacted") => (0, 0),
        Some("result") => (1, part["result"]["id"].as_u64().unwrap_or_default()),
        Some("call") => (3, 0),
        _ => (2, 0),
    };
    let mut parts = parts;
    parts.sort_by_key(rank);
    let mut merged: Vec<Value> = Vec::new();
    for part in parts {
        match (merged.last_mut().and_then(|last| last.get_mut("text")), part.get("text")) {
            (Some(Value::String(before)), Some(Value::String(more))) => before.push_str(more),
            (_, Some(Value::String(text))) if text.is_empty() => {}
            _ => merged.push(part),
        }
    }
    merged
}

/// What a tool said. Where that must be an object or must not be empty, nothing is `{}` or in words, and a failure an object
/// with an `error`.
fn said(text: &str, is_error: bool) -> (String, bool) {
    let failed = serde_json::from_str::<Value>(text)
        .ok()
        .filter(|object| object.as_object().is_some_and(|it| it.len() == 1));
    match failed.as_ref().and_then(|object| object["error"].as_str()) {
        Some(error) => (error.to_owned(), true),
        None if matches!(text, "{}" | "(no output)") => (String::new(), is_error),
        None => (text.to_owned(), is_error),
    }
}

/// Images and documents in a tool's result: where a dialect has no place for them there, they stand behind it.
fn media_of_result<'p>(part: &'p Part<'p>) -> impl Iterator<Item = &'p Part<'p>> {
    let parts = if let PartKind::ToolResult(result) = &part.kind { result.parts.as_slice() } else { &[] };
    parts.iter().filter(|part| !matches!(part.kind, PartKind::Text(_)))
}

fn part_value(part: &Part<'_>, ids: &mut Ids) -> Value {
    match &part.kind {
        PartKind::Text(text) => json!({"text": joined(std::iter::once(text))}),
        PartKind::Image(image) => json!({"image": media(image)}),
        PartKind::Audio(audio) => json!({"audio": media(audio)}),
        PartKind::Document(Media { source: Source::Text(text), .. }) => {
            json!({"text": joined(std::iter::once(text))})
        }
        PartKind::Document(document) => json!({"document": media(document)}),
        PartKind::Video(video) => json!({"video": media(video)}),
        PartKind::ToolCall(call) => json!({"call": {
            "id": ids.number(&call.id), "name": text(&call.name), "arguments": arguments(call),
            "signature": call.signature.as_ref().map(text),
        }}),
        PartKind::ToolResult(result) => {
            let (text, is_error) = said(&joined(texts_of(&result.parts)), result.is_error);
            json!({"result": {"id": ids.number(&result.id), "text": text, "is_error": is_error}})
        }
        PartKind::Thinking { text: thought, signature } => {
            json!({"thinking": {"text": text(thought), "signature": signature.as_ref().map(text)}})
        }
        PartKind::RedactedThinking(data) => json!({"redacted": text(data)}),
        PartKind::Refusal(refusal) => json!({"text": joined(std::iter::once(refusal))}),
    }
}

fn media(media: &Media<'_>) -> Value {
    let (kind, data) = match &media.source {
        Source::Base64(data) => ("base64", data),
        Source::Url(url) => ("url", url),
        Source::File(id) => ("file", id),
        Source::Text(text) => ("text", text),
    };
    let detail = media.detail.as_ref().filter(|detail| !detail.is("auto"));
    json!({kind: text(data), "detail": detail.map(text)})
}

/// Arguments as an object; free text, and what is no object, as the writers of objects put it.
fn arguments(call: &ToolCall<'_>) -> Value {
    let mut object = Vec::new();
    match &call.arguments {
        Arguments::Text(text) if call.custom => return json!({"input": text.decode()}),
        arguments => arguments.write_object(&mut object),
    }
    serde_json::from_slice(&object).expect("an object")
}

fn cache_marks(request: &ChatRequest<'_>) -> usize {
    let parts =
        request.messages.iter().flat_map(|message| &message.parts).filter(|part| part.cache.is_some());
    parts.count() + request.tools.iter().filter(|tool| tool.cache.is_some()).count()
}

/// The tools that may be called, and whether one must be: a dialect that cannot name those of many that are allowed offers
/// no others.
fn callable<'r>(request: &'r ChatRequest<'r>) -> (Vec<&'r Tool<'r>>, bool) {
    let among = |names: &[Text<'_>]| request.tools.iter().filter(|tool| names.contains(&tool.name)).collect();
    match &request.tool_choice {
        Some(ToolChoice::None) => (Vec::new(), false),
        Some(ToolChoice::Named(name)) => (among(std::slice::from_ref(name)), true),
        Some(ToolChoice::Allowed { names, required }) => (among(names), *required),
        Some(ToolChoice::Required) => (request.tools.iter().collect(), true),
        Some(ToolChoice::Auto) | None => (request.tools.iter().collect(), false),
    }
}

/// A schema without `additionalProperties`, which Gemini's schemas do not have.
fn open(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(members) => {
            members.remove("additionalProperties");
            members.values_mut().for_each(|member| *member = open(member.take()));
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| *element = open(element.take())),
        _ => {}
    }
    schema
}

/// What is said of tools, without what is made up where a dialect must have it: a schema of one that takes nothing, or
/// free text.
fn tools(callable: &[&Tool<'_>]) -> Value {
    let tool = |tool: &&Tool<'_>| {
        let schema = tool.schema.as_ref().filter(|_| !tool.custom);
        let schema =
            schema.map(|schema| open(serde_json::from_slice(schema.as_bytes()).expect("valid JSON")));
        let names = schema.as_ref().and_then(|schema| schema["properties"].as_object());
        let trivial = names.is_none_or(|names| names.is_empty() || names.keys().eq(["input"]));
        json!({
            "name": text(&tool.name), "description": tool.description.as_ref().map(text),
            "schema": schema.filter(|_| !trivial), "strict": tool.strict.unwrap_or_default(),
        })
    };
    callable.iter().map(tool).collect()
}

fn format(format: Option<&Format<'_>>) -> Option<Value> {
    match format? {
        Format::Text => None,
        Format::Json => Some(json!("json")),
        Format::Schema { schema, .. } => {
            Some(open(serde_json::from_slice(schema.as_bytes()).expect("valid JSON")))
        }
    }
}

/// An answer, whole or from a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answered {
    pub(crate) choices: Vec<Given>,
    pub(crate) usage: Option<(u32, u32)>,
    /// The class and the message of an error that ended a stream.
    pub(crate) error: Option<(String, String)>,
    pub(crate) ended: bool,
}

/// What one choice holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Given {
    pub(crate) text: String,
    pub(crate) thinking: String,
    pub(crate) signature: String,
    pub(crate) redacted: Vec<String>,
    pub(crate) calls: Vec<(String, Value)>,
    pub(crate) media: Vec<String>,
    pub(crate) finish: &'static str,
}

/// Reasons to finish that no dialect but their own tells apart are one.
fn finish_name(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence | Finish::Pause => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter | Finish::Refusal => "content_filter",
        Finish::Error => "error",
    }
}

fn counted(usage: &Usage) -> (u32, u32) {
    (usage.input, usage.output)
}

/// A whole answer.
pub(crate) fn answer(answer: &ChatAnswer<'_>) -> Answered {
    let choices = answer.choices.iter().map(|choice| {
        let mut given = Given { finish: finish_name(choice.finish), ..Given::default() };
        choice.parts.iter().for_each(|part| give(&mut given, &part.kind));
        given
    });
    let usage = answer.usage.as_ref().map(counted);
    Answered { choices: choices.collect(), usage, error: None, ended: true }
}

fn give(given: &mut Given, part: &PartKind<'_>) {
    match part {
        PartKind::Text(text) | PartKind::Refusal(text) => given.text.push_str(&text.decode()),
        PartKind::Thinking { text, signature } => {
            given.thinking.push_str(&text.decode());
            given.signature.push_str(&signature.as_ref().map(Text::decode).unwrap_or_default());
        }
        PartKind::RedactedThinking(data) => given.redacted.push(data.decode().into_owned()),
        PartKind::ToolCall(call) => given.calls.push((call.name.decode().into_owned(), arguments(call))),
        PartKind::Image(media) | PartKind::Audio(media) => {
            if let Source::Base64(data) = &media.source {
                given.media.push(data.decode().into_owned());
            }
        }
        _ => {}
    }
}

/// A stream, event by event.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    answered: Answered,
    usage: Option<Usage>,
    /// Of each call its choice, its number, whether it is custom, and its arguments as they came, escaped.
    calls: Vec<(usize, u32, bool, Vec<u8>)>,
}

impl Fold {
    fn choice(&mut self, choice: u32) -> &mut Given {
        let at = choice as usize;
        if self.answered.choices.len() <= at {
            self.answered.choices.resize_with(at + 1, Given::default);
        }
        &mut self.answered.choices[at]
    }

    pub(crate) fn event(&mut self, event: &Event<'_>) {
        assert!(!self.answered.ended && self.answered.error.is_none(), "nothing follows the end: {event:?}");
        match event {
            Event::Text { choice, text } | Event::Refusal { choice, text } => {
                self.choice(*choice).text.push_str(&text.decode());
            }
            Event::Thinking { choice, text } => self.choice(*choice).thinking.push_str(&text.decode()),
            Event::Signature { choice, signature } => {
                self.choice(*choice).signature.push_str(&signature.decode())
            }
            Event::RedactedThinking { choice, data } => {
                self.choice(*choice).redacted.push(data.decode().into_owned());
            }
            Event::Media { choice, data, .. } => self.choice(*choice).media.push(data.decode().into_owned()),
            Event::ToolStart { choice, tool, name, custom, .. } => {
                self.choice(*choice).calls.push((name.decode().into_owned(), Value::Null));
                self.calls.push((*choice as usize, *tool, *custom, Vec::new()));
            }
            Event::ToolArguments { choice, tool, fragment } => {
                let at = *choice as usize;
                let call = self.calls.iter_mut().find(|call| (call.0, call.1) == (at, *tool));
                call.expect("arguments of a call that has begun").3.extend_from_slice(fragment.as_escaped());
            }
            Event::Finish { choice, finish, .. } => {
                let given = self.choice(*choice);
                assert_eq!(given.finish, "", "a choice ends once");
                given.finish = finish_name(*finish);
            }
            Event::Usage(usage) => self.usage.get_or_insert_default().merge_max(*usage),
            Event::Error(error) => {
                self.answered.error = Some((format!("{:?}", error.class), error.message.clone()));
            }
            Event::End => self.answered.ended = true,
            _ => {}
        }
    }

    pub(crate) fn finish(mut self) -> Answered {
        for (choice, number, custom, escaped) in &self.calls {
            let call = ToolCall {
                id: Text::literal(""),
                name: Text::literal(""),
                arguments: Arguments::Text(Text::escaped(escaped)),
                signature: None,
                custom: *custom,
            };
            let before = self.calls.iter().filter(|other| other.0 == *choice && other.1 < *number).count();
            self.answered.choices[*choice].calls[before].1 = arguments(&call);
        }
        self.answered.usage = self.usage.as_ref().map(counted);
        self.answered
    }
}
