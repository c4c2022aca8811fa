//! The parts of a turn, as requests and answers have them.

use std::borrow::Cow;

use super::media;
use super::names::{get, given, named, text_of, which};
use crate::exchange::{Arguments, Dropped, Part, PartKind, Raw, Text, ToolCall, ToolResult};
use crate::json::{Kind, Value};
use crate::openai::RequestError;

/// Ids for tool calls, which this dialect may leave out. A result without one is for the first call of its name that has
/// none yet, since results come in the order of the calls.
#[derive(Debug)]
pub(super) struct CallIds<'d> {
    /// What an id begins with.
    stem: Cow<'d, str>,
    seen: u32,
    open: Vec<(Text<'d>, Text<'d>)>,
}

impl<'d> CallIds<'d> {
    /// Ids `call_N` by position in a conversation.
    pub(super) fn of_request() -> Self {
        Self::after(Cow::Borrowed("call_"), 0)
    }

    /// Ids with a stem, for what comes after some calls.
    pub(super) fn after(stem: Cow<'d, str>, calls: u32) -> Self {
        Self { stem, seen: calls, open: Vec::new() }
    }

    /// The id of the next call.
    pub(super) fn call(&mut self, given: Option<Text<'d>>) -> Text<'d> {
        let made = self.seen;
        self.seen += 1;
        given.filter(|id| !id.is_empty()).unwrap_or_else(|| Text::plain(&format!("{}{made}", self.stem)))
    }

    fn opened(&mut self, id: &Text<'d>, name: &Text<'d>) {
        self.open.push((id.clone(), name.clone()));
    }

    /// The id of the call a result is for.
    fn answered(&mut self, given: Option<Text<'d>>, name: &Text<'d>) -> Text<'d> {
        let given = given.filter(|id| !id.is_empty());
        let at = match &given {
            Some(id) => self.open.iter().position(|(open, _)| open == id),
            None => self
                .open
                .iter()
                .position(|(_, open)| open == name)
                .or_else(|| (!self.open.is_empty()).then_some(0)),
        };
        let found = at.map(|at| self.open.remove(at).0);
        given.or(found).unwrap_or_else(|| self.call(None))
    }
}

/// What the ids of the calls of an answer begin with. Its own id is part of it where it fits, for clients may look up a
/// call of any turn by its id alone. OpenAI allows forty characters.
pub(super) fn stem_of(answer: Option<&Text<'_>>) -> String {
    let fits = |id: &&Text<'_>| {
        let id = id.as_escaped();
        (1..=28).contains(&id.len())
            && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
    };
    match answer.filter(fits) {
        Some(id) => format!("call_{}_", id.decode()),
        None => "call_".to_owned(),
    }
}

/// Payloads and marks of a part that have a canonical form.
const PART: [&str; 7] =
    ["text", "thought", "thoughtSignature", "functionCall", "functionResponse", "inlineData", "fileData"];

/// Reads the parts of a `Content`, appending to `parts`.
///
/// # Errors
///
/// Where a part cannot be what it says it is.
pub(super) fn read_parts<'d>(
    content: Value<'d>,
    ids: &mut CallIds<'d>,
    dropped: &mut Dropped,
    parts: &mut Vec<Part<'d>>,
) -> Result<(), RequestError> {
    let Some(list) = get(content, "parts") else { return Ok(()) };
    if list.is_object() {
        return read_part(list, ids, dropped, parts);
    }
    if !list.is_array() {
        return Err(wrong("contents.parts"));
    }
    list.elements().try_for_each(|part| read_part(part, ids, dropped, parts))
}

pub(super) fn wrong(param: &'static str) -> RequestError {
    RequestError::about(param, format!("Invalid value at '{param}'."))
}

fn read_part<'d>(
    part: Value<'d>,
    ids: &mut CallIds<'d>,
    dropped: &mut Dropped,
    parts: &mut Vec<Part<'d>>,
) -> Result<(), RequestError> {
    if !part.is_object() {
        return Err(wrong("contents.parts"));
    }
    let (mut thought, mut signature, mut payload) = (false, None, None);
    for (name, value) in given(part) {
        match which(&name, &PART) {
            Some("thought") => thought = value.bool().unwrap_or(false),
            Some("thoughtSignature") => signature = value.text().filter(|text| !text.is_empty()),
            Some(known) => payload = Some((known, value)),
            None => dropped.note(format!("contents.parts.{}", name.decode())),
        }
    }
    let kind = match payload {
        Some(("text", value)) => {
            let text = value.text().ok_or_else(|| wrong("contents.parts.text"))?;
            if thought {
                push_thought(text, signature, parts);
                return Ok(());
            }
            (!text.is_empty()).then_some(PartKind::Text(text))
        }
        Some(("functionCall", value)) => {
            let call = read_call(value, signature, ids, dropped)?;
            parts.push(PartKind::ToolCall(call).into());
            return Ok(());
        }
        Some(("functionResponse", value)) => Some(PartKind::ToolResult(read_result(value, ids, dropped)?)),
        Some(("inlineData", value)) => {
            Some(media::read_inline(value).ok_or_else(|| wrong("contents.parts.inlineData"))?)
        }
        Some(("fileData", value)) => {
            Some(media::read_file(value).ok_or_else(|| wrong("contents.parts.fileData"))?)
        }
        _ => None,
    };
    parts.extend(kind.map(Part::from));
    // The proof of the thinking behind a text may be sent back and need not be. Other dialects have no place for it but a
    // thought without words behind the text, and from them it would not be known for Google's.
    dropped.note_if(signature.is_some(), "contents.parts.thoughtSignature");
    Ok(())
}

/// Thoughts come in pieces, as a stream had them, and are one thought until a signature closes it.
pub(super) fn push_thought<'d>(text: Text<'d>, signature: Option<Text<'d>>, parts: &mut Vec<Part<'d>>) {
    let last = parts.last_mut().map(|part| &mut part.kind);
    if let Some(PartKind::Thinking { text: earlier, signature: none @ None }) = last {
        earlier.push(&text);
        *none = signature;
    } else if !text.is_empty() || signature.is_some() {
        parts.push(PartKind::Thinking { text, signature }.into());
    }
}

fn read_call<'d>(
    call: Value<'d>,
    signature: Option<Text<'d>>,
    ids: &mut CallIds<'d>,
    dropped: &mut Dropped,
) -> Result<ToolCall<'d>, RequestError> {
    let name = text_of(call, "name").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| wrong("contents.parts.functionCall.name"))?;
    let arguments = match get(call, "args") {
        None => Raw::written(b"{}"),
        Some(args) if args.is_object() => Raw::written(args.raw()),
        Some(_) => return Err(wrong("contents.parts.functionCall.args")),
    };
    for (member, _) in given(call) {
        if which(&member, &["id", "name", "args"]).is_none() {
            dropped.note(format!("functionCall.{}", member.decode()));
        }
    }
    let id = ids.call(text_of(call, "id"));
    ids.opened(&id, &name);
    Ok(ToolCall { id, name, arguments: Arguments::Object(arguments), signature, custom: false })
}

fn read_result<'d>(
    result: Value<'d>,
    ids: &mut CallIds<'d>,
    dropped: &mut Dropped,
) -> Result<ToolResult<'d>, RequestError> {
    let name = text_of(result, "name").ok_or_else(|| wrong("contents.parts.functionResponse.name"))?;
    let mut read = ToolResult { id: Text::default(), name: None, parts: Vec::new(), is_error: false };
    read.id = ids.answered(text_of(result, "id"), &name);
    read.name = Some(name);
    for (member, value) in given(result) {
        match which(&member, &["id", "name", "response", "parts"]) {
            Some("response") if value.is_object() => read_response(value, &mut read),
            Some("response") => return Err(wrong("contents.parts.functionResponse.response")),
            Some("parts") => read_result_media(value, &mut read, dropped),
            Some(_) => {}
            None => dropped.note(format!("functionResponse.{}", member.decode())),
        }
    }
    Ok(read)
}

/// By convention `output` alone holds the result and `error` alone says that there is none; anything else is the result as
/// a whole.
fn read_response<'d>(response: Value<'d>, into: &mut ToolResult<'d>) {
    let mut members = response.members();
    let whole = match (members.next(), members.next()) {
        (Some((name, value)), None) if ["output", "result", "error"].iter().any(|known| name.is(known)) => {
            into.is_error = name.is("error");
            value
        }
        _ => response,
    };
    let text = match whole.text() {
        Some(text) => text,
        None if whole.kind() == Kind::Null => Text::default(),
        None => Text::plain(&String::from_utf8_lossy(whole.raw())),
    };
    into.parts.insert(0, PartKind::Text(text).into());
}

fn read_result_media<'d>(parts: Value<'d>, into: &mut ToolResult<'d>, dropped: &mut Dropped) {
    for (name, value) in parts.elements().flat_map(given) {
        let kind = match () {
            () if named(&name, "inlineData") => media::read_inline(value),
            () if named(&name, "fileData") => media::read_file(value),
            () => None,
        };
        match kind {
            Some(kind) => into.parts.push(kind.into()),
            None => dropped.note(format!("functionResponse.parts.{}", name.decode())),
        }
    }
}
