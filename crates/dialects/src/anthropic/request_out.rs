//! Writing requests.
//!
//! The body fits both versions of the API, but for `temperature`, `top_p` and `top_k`, which version 2026-10-21 refuses:
//! who sends it names version 2023-06-01, and models that refuse them have [`Quirk::AdaptiveThinking`].

use super::message_out::{Breakpoints, MessageWriter};
use super::tools_out::Toolbox;
use super::turns::Conversation;
use super::vertex::VERTEX_VERSION;
use crate::exchange::{ChatRequest, Dropped, Effort, Format, Number, Raw, Text, losses};
use crate::json::Out;
use crate::lost_media::refuse_emptied;
use crate::openai::RequestError;
use crate::wire::{Quirk, Target};

/// Smallest budget for thinking that is accepted, in tokens.
const MIN_BUDGET: u64 = 1_024;

/// The share of a limit that is kept for the answer where a budget for thinking would take up all of it: a quarter.
const ANSWER_SHARE: u64 = 4;

/// Appends a request's body.
///
/// - Thinking and a forced call exclude each other in this dialect. The call decides what the answer is, thinking only how
///   good it is, so thinking is left out, with a note. So it is, by budget, in the middle of a turn whose thoughts the client
///   did not give back.
/// - A budget for thinking must be less than `max_tokens`. A limit of the client's is a limit of cost and is kept: the budget
///   is lowered, and thinking is left out where less than 1,024 tokens remain for it. Without one, the budget is added to
///   the target's default where it would not fit into it.
/// - Any JSON object as a format has no peer and is left out, with a note.
///
/// # Errors
///
/// Where several answers are asked for, or no message says anything.
pub fn write_request(
    request: &ChatRequest<'_>,
    target: &Target<'_>,
    dropped: &mut Dropped,
    out: &mut Vec<u8>,
) -> Result<(), RequestError> {
    request.require_one_answer()?;
    refuse_emptied(
        &request.messages,
        "images and documents, as bytes (base64) or by an https: address",
        Conversation::takes_medium,
    )?;
    let adaptive = target.quirks.has(Quirk::AdaptiveThinking);
    // A turn to go on with is refused by models that think adaptively, and by others while they think.
    let thinks = request.reasoning.is_some_and(|reasoning| !reasoning.is_off());
    let conversation = Conversation::of(&request.messages, !adaptive && !thinks, dropped);
    let conversation = conversation
        .ok_or_else(|| RequestError::about("messages", "There must be at least one message with content."))?;
    let schema = schema(request, dropped);
    let stand_in = target.quirks.has(Quirk::NoOutputFormat);
    let tool_schema = schema.filter(|_| stand_in);
    let mut toolbox = Toolbox::of(request, conversation.calls(), tool_schema, dropped);
    if stand_in {
        toolbox = toolbox.without_strict(dropped);
    }
    let excluded = toolbox.is_forced() || (!adaptive && conversation.lacks_thoughts());
    let thinking = Thinking::of(request, target, excluded, dropped);
    note_unknown(request, dropped);

    let mut out = Out::new(out);
    out.begin_object();
    if target.quirks.has(Quirk::VertexBody) {
        out.field("anthropic_version", VERTEX_VERSION);
    } else {
        out.field("model", target.model);
    }
    out.key("max_tokens").number(thinking.max_tokens);
    if request.stream {
        out.key("stream").bool(true);
    }
    let blocks = conversation.turns.iter().flat_map(|turn| &turn.blocks);
    let hints = toolbox.tools.iter().filter(|tool| tool.cache.is_some()).count()
        + conversation.system.iter().filter(|part| part.cache.is_some()).count()
        + blocks.filter(|block| block.cache().is_some()).count();
    let mut breakpoints = Breakpoints::of(hints, dropped);
    toolbox.write(&request.tools, &mut breakpoints, &mut out);
    let mut writer = MessageWriter { tools: &request.tools, breakpoints, dropped };
    writer.system(&conversation.system, &mut out);
    out.key("messages").begin_array();
    for turn in &conversation.turns {
        writer.turn(turn, &mut out);
    }
    out.end_array();
    thinking.write(schema.filter(|_| !stand_in), &mut out);
    write_sampling(request, adaptive || thinking.is_on(), dropped, &mut out);
    write_rest(request, dropped, &mut out);
    out.end_object();
    Ok(())
}

/// The schema that the answer must fit.
fn schema<'r, 'a>(request: &'r ChatRequest<'a>, dropped: &mut Dropped) -> Option<&'r Raw<'a>> {
    match &request.format {
        None | Some(Format::Text) => None,
        Some(Format::Json) => {
            dropped.note(losses::FORMAT);
            None
        }
        Some(Format::Schema { schema, description, .. }) => {
            dropped.note_if(description.is_some(), losses::FORMAT_DESCRIPTION);
            Some(schema)
        }
    }
}

/// How the model is to think, and how much it may generate.
struct Thinking {
    mode: Mode,
    effort: Option<Effort>,
    show: Option<bool>,
    max_tokens: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Unsaid,
    Off,
    Adaptive,
    Budget(u64),
}

impl Thinking {
    /// `excluded` says that there is no thinking, whatever is asked.
    fn of(request: &ChatRequest<'_>, target: &Target<'_>, excluded: bool, dropped: &mut Dropped) -> Self {
        let max_tokens = request.max_tokens.unwrap_or(target.default_max_tokens);
        let mut own = Self { mode: Mode::Unsaid, effort: None, show: None, max_tokens };
        let adaptive = target.quirks.has(Quirk::AdaptiveThinking);
        let Some(asked) = request.reasoning else { return own };
        if asked.is_off() {
            // Models with budgets think only where one is given.
            own.mode = if adaptive { Mode::Off } else { Mode::Unsaid };
            return own;
        }
        if adaptive {
            own.effort = asked.effort.or(asked.budget.map(Effort::of_budget));
            own.show = asked.show;
            let wanted = own.effort.is_some() || asked.dynamic || asked.show == Some(true);
            own.mode = if wanted { Mode::Adaptive } else { Mode::Unsaid };
        } else {
            let budget = asked.budget.or(asked.effort.map(Effort::budget));
            let budget = budget.or(asked.dynamic.then(|| Effort::Medium.budget()));
            own.mode = budget.map_or(Mode::Unsaid, Mode::Budget);
            own.fit_budget(request.max_tokens.is_some(), dropped);
        }
        if excluded && own.is_on() {
            own.mode = Mode::Unsaid;
            dropped.note(losses::EFFORT);
            own.max_tokens = max_tokens;
        }
        own
    }

    fn fit_budget(&mut self, is_limit: bool, dropped: &mut Dropped) {
        let Mode::Budget(budget) = self.mode else { return };
        let budget = budget.max(MIN_BUDGET);
        self.mode = Mode::Budget(budget);
        if budget < self.max_tokens {
            return;
        }
        if !is_limit {
            self.max_tokens = self.max_tokens.saturating_add(budget);
            return;
        }
        let lowered = self.max_tokens - self.max_tokens.div_ceil(ANSWER_SHARE);
        self.mode = if lowered < MIN_BUDGET { Mode::Unsaid } else { Mode::Budget(lowered) };
        dropped.note_if(self.mode == Mode::Unsaid, losses::EFFORT);
    }

    fn is_on(&self) -> bool {
        matches!(self.mode, Mode::Adaptive | Mode::Budget(_))
    }

    /// Writes `thinking` and `output_config`; `schema` is that of the format.
    fn write(&self, schema: Option<&Raw<'_>>, out: &mut Out<'_>) {
        match self.mode {
            Mode::Unsaid => {}
            Mode::Off => {
                out.key("thinking").begin_object().field("type", "disabled").end_object();
            }
            Mode::Adaptive => {
                out.key("thinking").begin_object().field("type", "adaptive");
                if let Some(show) = self.show {
                    out.field("display", if show { "summarized" } else { "omitted" });
                }
                out.end_object();
            }
            Mode::Budget(budget) => {
                out.key("thinking").begin_object().field("type", "enabled");
                out.key("budget_tokens").number(budget).end_object();
            }
        }
        if self.effort.is_none() && schema.is_none() {
            return;
        }
        out.key("output_config").begin_object();
        if let Some(effort) = self.effort {
            out.field("effort", effort.max(Effort::Low).name());
        }
        if let Some(schema) = schema {
            out.key("format").begin_object().field("type", "json_schema");
            out.key("schema").raw(schema.as_bytes()).end_object();
        }
        out.end_object();
    }
}

/// Writes what steers the sampling, unless it is refused, as it is while the model thinks. Of the temperature and `top_p`
/// only the first is written, for several models refuse both together.
fn write_sampling(request: &ChatRequest<'_>, refused: bool, dropped: &mut Dropped, out: &mut Out<'_>) {
    let all = [("temperature", &request.temperature), ("top_p", &request.top_p), ("top_k", &request.top_k)];
    for (name, value) in all {
        let Some(value) = value else { continue };
        let is_double = name == "top_p" && request.temperature.is_some();
        if refused || is_double {
            dropped.note_if(!(is_double && is_one(value)), name);
        } else if name == "temperature" && value.as_f64().is_some_and(|value| value > 1.0) {
            // The scale ends at 1 here, at 2 elsewhere.
            dropped.note(name);
            out.key(name).number(1);
        } else {
            out.key(name).raw(value.as_bytes());
        }
    }
}

fn is_one(value: &Number<'_>) -> bool {
    value.as_f64().is_some_and(|value| value.to_bits() == 1.0_f64.to_bits())
}

fn write_rest(request: &ChatRequest<'_>, dropped: &mut Dropped, out: &mut Out<'_>) {
    let (said, blank): (Vec<_>, Vec<_>) = request.stop.iter().partition(|stop| !stop.is_blank());
    dropped.note_if(!blank.is_empty(), losses::STOP);
    if !said.is_empty() {
        out.key("stop_sequences").begin_array();
        for stop in said {
            out.text(stop);
        }
        out.end_array();
    }
    if let Some(user) = &request.user {
        out.key("metadata").begin_object().key("user_id").text(user).end_object();
    }
    match request.service_tier.as_ref().map(Text::decode).as_deref() {
        None => {}
        Some("auto") => {
            out.field("service_tier", "auto");
        }
        Some("default" | "standard_only") => {
            out.field("service_tier", "standard_only");
        }
        Some(_) => dropped.note(losses::SERVICE_TIER),
    }
}

/// Notes what the dialect does not have at all.
fn note_unknown(request: &ChatRequest<'_>, dropped: &mut Dropped) {
    dropped.note_if(request.frequency_penalty.is_some(), losses::FREQUENCY_PENALTY);
    dropped.note_if(request.presence_penalty.is_some(), losses::PRESENCE_PENALTY);
    dropped.note_if(request.seed.is_some(), losses::SEED);
    dropped.note_if(request.logprobs == Some(true), losses::LOGPROBS);
    dropped.note_if(request.top_logprobs.is_some_and(|count| count > 0), losses::TOP_LOGPROBS);
    dropped.note_if(request.logit_bias.is_some(), losses::LOGIT_BIAS);
    dropped.note_if(request.verbosity.is_some(), losses::VERBOSITY);
    dropped.note_if(request.cache_key.is_some(), losses::CACHE_KEY);
}
