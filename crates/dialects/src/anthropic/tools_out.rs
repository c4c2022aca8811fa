//! Writing tools and the choice of them.

use super::message_out::Breakpoints;
use super::{FORMAT_TOOL, mapped_name};
use crate::exchange::{ChatRequest, Dropped, Raw, Text, Tool, ToolCall, ToolChoice, losses};
use crate::json::{self, Out};

/// The schema of a tool that takes nothing.
const NO_ARGUMENTS: &[u8] = br#"{"type":"object","properties":{}}"#;

/// The schema of a tool that takes free text.
const FREE_TEXT: &[u8] =
    br#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;

/// What is offered to the model, and what it must call.
#[derive(Debug)]
pub(super) struct Toolbox<'r, 'a> {
    /// The tools of the request that are offered.
    pub(super) tools: Vec<&'r Tool<'a>>,
    /// Names of tools that the conversation calls while the request has none: history with calls and no tools is refused.
    past: Vec<&'r Text<'a>>,
    /// The schema of a tool that stands in for a format.
    pub(super) format: Option<&'r Raw<'a>>,
    choice: Choice<'r, 'a>,
    parallel: Option<bool>,
    /// `strict` is known there.
    strict: bool,
}

/// What must be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice<'r, 'a> {
    /// Nothing was said.
    Unsaid,
    Auto,
    None,
    Any,
    /// This one.
    Tool(&'r Text<'a>),
    /// The one that stands in for a format.
    Format,
}

impl<'r, 'a> Toolbox<'r, 'a> {
    /// `format` is the schema of a format for which a tool has to stand in. A call that is demanded by name goes before it.
    pub(super) fn of(
        request: &'r ChatRequest<'a>,
        calls: impl Iterator<Item = &'r ToolCall<'a>>,
        format: Option<&'r Raw<'a>>,
        dropped: &mut Dropped,
    ) -> Self {
        let mut tools: Vec<_> = request.tools.iter().collect();
        let mut choice = Choice::Unsaid;
        match &request.tool_choice {
            None => {}
            Some(_) if tools.is_empty() => dropped.note(losses::TOOL_CHOICE),
            Some(ToolChoice::Auto) => choice = Choice::Auto,
            Some(ToolChoice::None) => choice = Choice::None,
            Some(ToolChoice::Required) => choice = Choice::Any,
            Some(ToolChoice::Named(name)) => choice = Choice::Tool(name),
            Some(ToolChoice::Allowed { names, required }) => {
                tools.retain(|tool| names.contains(&tool.name));
                choice = if *required { Choice::Any } else { Choice::Auto };
            }
        }
        let format = format.filter(|schema| {
            let takes = !matches!(choice, Choice::Tool(_)) && is_object_schema(schema.as_bytes());
            dropped.note_if(!takes, losses::FORMAT);
            takes
        });
        choice = match choice {
            _ if format.is_none() => choice,
            Choice::None => Choice::Format,
            _ if tools.is_empty() => Choice::Format,
            _ => Choice::Any,
        };
        let mut own = Self {
            tools,
            past: Vec::new(),
            format,
            choice,
            parallel: request.parallel_tool_calls,
            strict: true,
        };
        if own.tools.is_empty() && own.format.is_none() {
            own.recall(calls);
        }
        own
    }

    /// Without `strict`, which came with `output_config.format`.
    pub(super) fn without_strict(mut self, dropped: &mut Dropped) -> Self {
        self.strict = false;
        dropped.note_if(self.tools.iter().any(|tool| tool.strict == Some(true)), losses::TOOL_STRICT);
        self
    }

    fn recall(&mut self, calls: impl Iterator<Item = &'r ToolCall<'a>>) {
        for call in calls {
            if !self.past.contains(&&call.name) {
                self.past.push(&call.name);
            }
        }
        // None of them may be called again.
        self.choice = if self.past.is_empty() { Choice::Unsaid } else { Choice::None };
    }

    /// Whether the model must call something. It cannot think then.
    pub(super) fn is_forced(&self) -> bool {
        matches!(self.choice, Choice::Any | Choice::Tool(_) | Choice::Format)
    }

    fn is_empty(&self) -> bool {
        self.tools.is_empty() && self.past.is_empty() && self.format.is_none()
    }

    /// Writes `tools` and `tool_choice`, where there are any.
    pub(super) fn write(&self, all: &[Tool<'a>], breakpoints: &mut Breakpoints, out: &mut Out<'_>) {
        if self.is_empty() {
            return;
        }
        out.key("tools").begin_array();
        for tool in &self.tools {
            out.begin_object().key("name").text(&mapped_name(all, &tool.name));
            out.field_text("description", tool.description.as_ref()).key("input_schema");
            write_schema(tool, out);
            if self.strict && tool.strict == Some(true) {
                out.key("strict").bool(true);
            }
            breakpoints.write(tool.cache, out);
            out.end_object();
        }
        for name in &self.past {
            out.begin_object().key("name").text(&mapped_name(all, name));
            out.key("input_schema").raw(NO_ARGUMENTS).end_object();
        }
        if let Some(schema) = self.format {
            out.begin_object().field("name", FORMAT_TOOL);
            out.field("description", "Gives the answer. Call it with the whole answer, and call it last.");
            out.key("input_schema").raw(schema.as_bytes()).end_object();
        }
        out.end_array();
        self.write_choice(all, out);
    }

    /// Calls one at a time is a member of the choice, and needs one.
    fn write_choice(&self, all: &[Tool<'a>], out: &mut Out<'_>) {
        let single = self.parallel == Some(false) && self.choice != Choice::None;
        if self.choice == Choice::Unsaid && !single {
            return;
        }
        out.key("tool_choice").begin_object();
        match self.choice {
            Choice::Unsaid | Choice::Auto => out.field("type", "auto"),
            Choice::None => out.field("type", "none"),
            Choice::Any => out.field("type", "any"),
            Choice::Tool(name) => out.field("type", "tool").key("name").text(&mapped_name(all, name)),
            Choice::Format => out.field("type", "tool").field("name", FORMAT_TOOL),
        };
        if single {
            out.key("disable_parallel_tool_use").bool(true);
        }
        out.end_object();
    }
}

fn write_schema(tool: &Tool<'_>, out: &mut Out<'_>) {
    let schema = match &tool.schema {
        _ if tool.custom => FREE_TEXT,
        Some(schema) => schema.as_bytes(),
        None => NO_ARGUMENTS,
    };
    let members = json::scan_object_lenient(schema, &["type"]);
    match members {
        Ok(members) if members.values[0].is_some() => out.raw(schema),
        Ok(members) if members.empty => out.raw(NO_ARGUMENTS),
        // A schema must say that it is an object's.
        Ok(members) => {
            let (open, rest) = schema.split_at(members.after_brace as usize);
            out.raw(open);
            out.bytes().extend_from_slice(b"\"type\":\"object\",");
            out.bytes().extend_from_slice(rest);
            out
        }
        Err(_) => out.raw(NO_ARGUMENTS),
    };
}

fn is_object_schema(schema: &[u8]) -> bool {
    let members = json::scan_object_lenient(schema, &["type"]);
    members.is_ok_and(|members| members.values[0].is_some_and(|kind| kind.of(schema) == b"\"object\""))
}
