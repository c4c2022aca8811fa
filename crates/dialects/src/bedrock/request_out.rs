//! Writing requests as Bedrock wants them.

use super::messages_out::{MessageWriter, has_tool_blocks, open_calls_are_unproven, write_cache_point};
use super::model_fields::{Family, Thinking, write_model_fields};
use crate::exchange::{
    ChatRequest, Dropped, Format, Number, PartKind, Raw, Role, Text, Tool, ToolChoice, losses,
};
use crate::json::{self, Out};
use crate::openai::RequestError;
use crate::tool_names::{NameRules, ToolNames};
use crate::wire::{Quirk, Target};

/// What Bedrock allows in a tool's name.
const NAMES: NameRules = NameRules::COMMON;

/// The name a tool has at Bedrock.
#[must_use]
pub fn mapped_name<'n>(tools: &[Tool<'_>], name: &'n Text<'_>) -> Text<'n> {
    NAMES.mapped_name(tools, name)
}

/// Writes a request.
///
/// # Errors
///
/// Where it asks for several answers, or a message would be empty.
pub fn write_request(
    request: &ChatRequest<'_>,
    target: &Target<'_>,
    dropped: &mut Dropped,
    out: &mut Vec<u8>,
) -> Result<(), RequestError> {
    request.require_one_answer()?;
    let family = Family::of(target.model);
    let tools = OfferedTools::of(request);
    let adaptive = target.quirks.has(Quirk::AdaptiveThinking);
    let forced = tools.is_forced();
    let unproven = open_calls_are_unproven(request);
    let thinking = Thinking::choose(request, family, adaptive, forced, unproven, dropped);
    note_dropped(request, dropped);

    let names = NAMES.names_of(&request.tools);
    let mut out = Out::new(out);
    out.begin_object();
    MessageWriter::new(&names, &NAMES, family, dropped).write(&request.messages, &mut out)?;
    write_system(request, family, dropped, &mut out);
    let sampling = !(adaptive || thinking.excludes_sampling());
    write_inference_config(request, family, sampling, dropped, &mut out);
    tools.write(&names, family, dropped, &mut out);
    write_output_config(request, thinking, dropped, &mut out);
    write_service_tier(request, dropped, &mut out);
    let top_k = request.top_k.as_ref();
    dropped.note_if(top_k.is_some() && !sampling, losses::TOP_K);
    write_model_fields(family, thinking, top_k.filter(|_| sampling), &mut out);
    // Which of the texts it was is said only where it is asked for, and only by Claude.
    if family == Family::Claude && !request.stop.is_empty() {
        out.key("additionalModelResponseFieldPaths").begin_array().string("/stop_sequence").end_array();
    }
    out.end_object();
    Ok(())
}

/// Notes what has no place in a request at all.
fn note_dropped(request: &ChatRequest<'_>, dropped: &mut Dropped) {
    let absent = [
        (request.frequency_penalty.is_some(), losses::FREQUENCY_PENALTY),
        (request.presence_penalty.is_some(), losses::PRESENCE_PENALTY),
        (request.seed.is_some(), losses::SEED),
        (request.logprobs == Some(true), losses::LOGPROBS),
        (request.top_logprobs.is_some(), losses::TOP_LOGPROBS),
        (request.logit_bias.is_some(), losses::LOGIT_BIAS),
        (request.user.is_some(), losses::USER),
        (request.verbosity.is_some(), losses::VERBOSITY),
        (request.cache_key.is_some(), losses::CACHE_KEY),
        (request.parallel_tool_calls == Some(false), losses::PARALLEL_TOOL_CALLS),
        (matches!(request.format, Some(Format::Json)), losses::FORMAT),
        (request.messages.iter().any(|message| message.name.is_some()), losses::MESSAGE_NAME),
    ];
    for (there, name) in absent {
        dropped.note_if(there, name);
    }
}

/// System prompts from anywhere in the conversation, in order.
fn write_system(request: &ChatRequest<'_>, family: Family, dropped: &mut Dropped, out: &mut Out<'_>) {
    let mut any = false;
    let system = request.messages.iter().filter(|message| message.role == Role::System);
    for part in system.flat_map(|message| &message.parts) {
        let PartKind::Text(text) = &part.kind else {
            dropped.note(losses::of_part(&part.kind));
            continue;
        };
        if text.is_blank() {
            continue;
        }
        if !any {
            out.key("system").begin_array();
            any = true;
        }
        out.begin_object().field_text("text", Some(text)).end_object();
        write_cache_point(part.cache, family, dropped, out);
    }
    if any {
        out.end_array();
    }
}

fn write_inference_config(
    request: &ChatRequest<'_>,
    family: Family,
    sampling: bool,
    dropped: &mut Dropped,
    out: &mut Out<'_>,
) {
    let claude = family == Family::Claude;
    let (temperature, top_p) = (request.temperature.as_ref(), request.top_p.as_ref());
    dropped.note_if(temperature.is_some() && !sampling, losses::TEMPERATURE);
    // Claude takes one of the two.
    let takes_top_p = sampling && !(claude && temperature.is_some());
    dropped.note_if(top_p.is_some() && !takes_top_p, losses::TOP_P);
    let (temperature, top_p) = (temperature.filter(|_| sampling), top_p.filter(|_| takes_top_p));
    // None takes a text that is empty, and Claude none of white space.
    let takes = |text: &&Text<'_>| if claude { !text.is_blank() } else { !text.is_empty() };
    let stop: Vec<&Text<'_>> = request.stop.iter().filter(takes).collect();
    dropped.note_if(stop.len() < request.stop.len(), losses::STOP);
    if request.max_tokens.is_none() && temperature.is_none() && top_p.is_none() && stop.is_empty() {
        return;
    }
    out.key("inferenceConfig").begin_object().field_number("maxTokens", request.max_tokens);
    if let Some(temperature) = temperature {
        out.key("temperature").raw(clamped(temperature, dropped));
    }
    out.field_raw("topP", top_p.map(Number::as_bytes));
    if !stop.is_empty() {
        out.key("stopSequences").begin_array();
        for text in stop {
            out.text(text);
        }
        out.end_array();
    }
    out.end_object();
}

/// The scale ends at 1 here.
fn clamped<'t>(temperature: &'t Number<'_>, dropped: &mut Dropped) -> &'t [u8] {
    if temperature.as_f64().is_some_and(|value| value > 1.0) {
        dropped.note(losses::TEMPERATURE);
        return b"1";
    }
    temperature.as_bytes()
}

fn write_output_config(
    request: &ChatRequest<'_>,
    thinking: Thinking,
    dropped: &mut Dropped,
    out: &mut Out<'_>,
) {
    let effort = thinking.output_effort();
    let schema = matches!(request.format, Some(Format::Schema { .. }));
    if effort.is_none() && !schema {
        return;
    }
    out.key("outputConfig").begin_object();
    if let Some(Format::Schema { name, description, schema, strict }) = &request.format {
        dropped.note_if(*strict == Some(false), losses::FORMAT_STRICT);
        out.key("textFormat").begin_object().field("type", "json_schema");
        out.key("structure").begin_object().key("jsonSchema").begin_object();
        // A document within a string.
        out.field("schema", &String::from_utf8_lossy(schema.as_bytes()));
        out.field_text("name", name.as_ref()).field_text("description", description.as_ref());
        out.end_object().end_object().end_object();
    }
    if let Some(effort) = effort {
        out.field("effort", effort);
    }
    out.end_object();
}

fn write_service_tier(request: &ChatRequest<'_>, dropped: &mut Dropped, out: &mut Out<'_>) {
    let Some(tier) = &request.service_tier else { return };
    if ["default", "flex", "priority", "reserved"].iter().any(|known| tier.is(known)) {
        out.key("serviceTier").begin_object().field_text("type", Some(tier)).end_object();
    } else {
        dropped.note_if(!tier.is("auto"), losses::SERVICE_TIER);
    }
}

/// The tools to offer, and how the model is to choose.
struct OfferedTools<'r, 'a> {
    tools: Vec<&'r Tool<'a>>,
    choice: Option<&'r ToolChoice<'a>>,
    /// Calls and results in the conversation are refused where no tool is offered.
    placeholder: bool,
}

impl<'r, 'a> OfferedTools<'r, 'a> {
    fn of(request: &'r ChatRequest<'a>) -> Self {
        let choice = request.tool_choice.as_ref();
        let offered = |tool: &&Tool<'_>| match choice {
            Some(ToolChoice::None) => false,
            Some(ToolChoice::Allowed { names, .. }) => names.contains(&tool.name),
            _ => true,
        };
        let tools: Vec<_> = request.tools.iter().filter(offered).collect();
        let placeholder = tools.is_empty() && has_tool_blocks(&request.messages);
        Self { tools, choice, placeholder }
    }

    fn is_forced(&self) -> bool {
        let required = matches!(
            self.choice,
            Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Allowed { required: true, .. })
        );
        required && !self.tools.is_empty()
    }

    fn write(&self, names: &ToolNames, family: Family, dropped: &mut Dropped, out: &mut Out<'_>) {
        if self.tools.is_empty() && !self.placeholder {
            return;
        }
        out.key("toolConfig").begin_object().key("tools").begin_array();
        for tool in &self.tools {
            write_tool(tool, names, out);
            write_cache_point(tool.cache, family, dropped, out);
        }
        if self.placeholder {
            out.raw(PLACEHOLDER);
        }
        out.end_array();
        match self.choice {
            Some(ToolChoice::Named(name)) if !self.tools.is_empty() => {
                out.key("toolChoice").begin_object().key("tool").begin_object();
                out.field_text("name", Some(&names.mapped(&NAMES, name))).end_object().end_object();
            }
            Some(ToolChoice::Auto | ToolChoice::Allowed { required: false, .. })
                if !self.tools.is_empty() =>
            {
                out.key("toolChoice").raw(br#"{"auto":{}}"#);
            }
            _ if self.is_forced() => {
                out.key("toolChoice").raw(br#"{"any":{}}"#);
            }
            _ => {}
        }
        out.end_object();
    }
}

const PLACEHOLDER: &[u8] = br#"{"toolSpec":{"name":"unavailable","description":"Cannot be called.","inputSchema":{"json":{"type":"object","properties":{}}}}}"#;

const NO_ARGUMENTS: &[u8] = br#"{"type":"object","properties":{}}"#;

/// What a tool that takes free text takes here.
const FREE_TEXT: &[u8] =
    br#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;

fn write_tool(tool: &Tool<'_>, names: &ToolNames, out: &mut Out<'_>) {
    out.begin_object().key("toolSpec").begin_object();
    out.field_text("name", Some(&names.mapped(&NAMES, &tool.name)));
    out.field_text("description", tool.description.as_ref().filter(|text| !text.is_blank()));
    out.key("inputSchema").begin_object().key("json");
    match &tool.schema {
        _ if tool.custom => {
            out.raw(FREE_TEXT);
        }
        Some(schema) => write_schema(schema, out),
        None => {
            out.raw(NO_ARGUMENTS);
        }
    }
    out.end_object();
    if let Some(strict) = tool.strict {
        out.key("strict").bool(strict);
    }
    out.end_object().end_object();
}

/// The schema as it is; the outermost type must be said.
fn write_schema(schema: &Raw<'_>, out: &mut Out<'_>) {
    let schema = schema.as_bytes();
    match json::scan_object_lenient(schema, &["type"]) {
        Ok(members) if members.values[0].is_none() => {
            out.begin_object().field("type", "object");
            if !members.empty {
                out.bytes().push(b',');
            }
            out.bytes().extend_from_slice(&schema[members.after_brace as usize..]);
        }
        _ => {
            out.raw(schema);
        }
    }
}
