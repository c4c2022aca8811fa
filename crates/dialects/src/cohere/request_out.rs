use super::message_out::{MessageWriter, takes};
use super::tools::write_tool;
use crate::exchange::{
    ChatRequest, Dropped, Effort, Format, Media, Number, Reasoning, Source, Tool, ToolChoice, losses,
};
use crate::json::Out;
use crate::lost_media::refuse_emptied;
use crate::openai::RequestError;
use crate::wire::Target;

/// Most texts that end the generation.
const MAX_STOPS: usize = 5;

/// Appends the body for `/v2/chat`.
///
/// # Errors
///
/// Where several answers are wanted, a tool is demanded that is not there, or no message says anything.
pub fn write_request(
    request: &ChatRequest<'_>,
    target: &Target<'_>,
    dropped: &mut Dropped,
    out: &mut Vec<u8>,
) -> Result<(), RequestError> {
    request.require_one_answer()?;
    refuse_emptied(&request.messages, "images, as bytes (base64) or by an https: address", takes)?;
    let mut out = Out::new(out);
    out.begin_object().field("model", target.model).key("messages");
    let mut messages = MessageWriter::new(request, dropped);
    messages.write(&mut out);
    let MessageWriter { count, documents, .. } = messages;
    if count == 0 {
        return Err(RequestError::about("messages", "Invalid 'messages': no message holds anything."));
    }
    write_documents(&documents, &mut out);
    if request.stream {
        out.key("stream").bool(true);
    }
    write_tools(request, dropped, &mut out)?;
    write_format(request, !documents.is_empty(), dropped, &mut out);
    write_sampling(request, dropped, &mut out);
    if let Some(reasoning) = &request.reasoning {
        write_thinking(reasoning, request.max_tokens, dropped, &mut out);
    }
    out.end_object();
    note_rest(request, dropped);
    Ok(())
}

fn write_documents(documents: &[&Media<'_>], out: &mut Out<'_>) {
    if documents.is_empty() {
        return;
    }
    out.key("documents").begin_array();
    for media in documents {
        let Source::Text(text) = &media.source else { continue };
        out.begin_object().field_text("id", media.name.as_ref());
        out.key("data").begin_object().key("text").text(text).end_object().end_object();
    }
    out.end_array();
}

/// Which tools to offer, and whether one must be called. Cohere can be told no names, so a choice of some is written as
/// the list of them.
fn write_tools(
    request: &ChatRequest<'_>,
    dropped: &mut Dropped,
    out: &mut Out<'_>,
) -> Result<(), RequestError> {
    let missing = |message| RequestError::about("tool_choice", message);
    let all = || request.tools.iter().collect::<Vec<_>>();
    let (offered, choice) = match &request.tool_choice {
        None | Some(ToolChoice::Auto) => (all(), None),
        Some(ToolChoice::None) => (all(), Some("NONE")),
        Some(ToolChoice::Required) => (all(), Some("REQUIRED")),
        Some(ToolChoice::Named(name)) => {
            (request.tools.iter().filter(|tool| tool.name == *name).collect(), Some("REQUIRED"))
        }
        Some(ToolChoice::Allowed { names, required }) => {
            let allowed = |tool: &&Tool<'_>| names.contains(&tool.name);
            (request.tools.iter().filter(allowed).collect(), required.then_some("REQUIRED"))
        }
    };
    if offered.is_empty() {
        return match choice {
            Some("REQUIRED") => {
                Err(missing("Invalid 'tool_choice': it demands a tool that 'tools' does not have."))
            }
            _ => Ok(()),
        };
    }
    out.key("tools").begin_array();
    offered.iter().for_each(|tool| write_tool(&request.tools, tool, out));
    out.end_array();
    if let Some(choice) = choice {
        out.field("tool_choice", choice);
    }
    if offered.iter().all(|tool| tool.strict == Some(true)) {
        out.key("strict_tools").bool(true);
    } else {
        // It is all of them or none.
        dropped.note_if(offered.iter().any(|tool| tool.strict == Some(true)), losses::TOOL_STRICT);
    }
    dropped.note_if(offered.iter().any(|tool| tool.cache.is_some()), losses::CACHE);
    dropped.note_if(request.parallel_tool_calls == Some(false), losses::PARALLEL_TOOL_CALLS);
    Ok(())
}

fn write_format(request: &ChatRequest<'_>, documents: bool, dropped: &mut Dropped, out: &mut Out<'_>) {
    let schema = match &request.format {
        None | Some(Format::Text) => return,
        Some(Format::Json) => None,
        Some(Format::Schema { schema, .. }) => Some(schema),
    };
    // Cohere refuses a format beside tools or documents.
    if documents || !request.tools.is_empty() {
        dropped.note(losses::FORMAT);
        return;
    }
    out.key("response_format").begin_object().field("type", "json_object");
    out.field_raw("json_schema", schema.map(crate::exchange::Raw::as_bytes)).end_object();
}

fn write_sampling(request: &ChatRequest<'_>, dropped: &mut Dropped, out: &mut Out<'_>) {
    out.field_number("max_tokens", request.max_tokens);
    out.field_raw("temperature", request.temperature.as_ref().map(Number::as_bytes));
    // 1 is the default of most dialects and means no cut; Cohere takes up to 0.99, and its own default is 0.75.
    write_clamped("p", request.top_p.as_ref(), ("0.01", "0.99"), out);
    write_clamped("k", request.top_k.as_ref(), ("0", "500"), out);
    let penalties = [
        ("frequency_penalty", request.frequency_penalty.as_ref()),
        ("presence_penalty", request.presence_penalty.as_ref()),
    ];
    for (name, penalty) in penalties {
        if write_clamped(name, penalty, ("0", "1"), out) {
            dropped.note(name);
        }
    }
    match &request.seed {
        Some(seed) if !seed.as_bytes().starts_with(b"-") => drop(out.key("seed").raw(seed.as_bytes())),
        seed => dropped.note_if(seed.is_some(), losses::SEED),
    }
    if !request.stop.is_empty() {
        out.key("stop_sequences").begin_array();
        request.stop.iter().take(MAX_STOPS).for_each(|stop| {
            out.text(stop);
        });
        out.end_array();
        dropped.note_if(request.stop.len() > MAX_STOPS, losses::STOP);
    }
    if request.logprobs == Some(true) {
        out.key("logprobs").bool(true);
    }
}

/// A number within its bounds; whether it had to be moved there.
fn write_clamped(name: &str, number: Option<&Number<'_>>, bounds: (&str, &str), out: &mut Out<'_>) -> bool {
    let Some(number) = number else { return false };
    let value = number.as_f64().unwrap_or_default();
    let bound = |text: &str| text.parse::<f64>().unwrap_or_default();
    let (written, moved) = match value {
        value if value < bound(bounds.0) => (bounds.0.as_bytes(), true),
        value if value > bound(bounds.1) => (bounds.1.as_bytes(), true),
        _ => (number.as_bytes(), false),
    };
    out.key(name).raw(written);
    moved
}

/// How much to think. A budget must leave room for the answer.
fn write_thinking(reasoning: &Reasoning, max_tokens: Option<u64>, dropped: &mut Dropped, out: &mut Out<'_>) {
    dropped.note_if(reasoning.show == Some(false), losses::SHOW_THINKING);
    let budget = reasoning.budget.or(reasoning.effort.map(Effort::budget));
    if budget.is_none() && !reasoning.dynamic {
        return;
    }
    out.key("thinking").begin_object();
    if reasoning.is_off() {
        out.field("type", "disabled");
    } else {
        out.field("type", "enabled");
        let budget = budget.filter(|_| !reasoning.dynamic || reasoning.budget.is_some());
        let most = max_tokens.map_or(u64::MAX, |max| (max / 2).max(1));
        out.field_number("token_budget", budget.map(|budget| budget.min(most)));
    }
    out.end_object();
}

fn note_rest(request: &ChatRequest<'_>, dropped: &mut Dropped) {
    dropped.note_if(request.top_logprobs.is_some(), losses::TOP_LOGPROBS);
    dropped.note_if(request.logit_bias.is_some(), losses::LOGIT_BIAS);
    dropped.note_if(request.user.is_some(), losses::USER);
    dropped.note_if(request.verbosity.is_some(), losses::VERBOSITY);
    dropped.note_if(request.service_tier.is_some(), losses::SERVICE_TIER);
    dropped.note_if(request.cache_key.is_some(), losses::CACHE_KEY);
}
