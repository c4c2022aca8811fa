//! What models take beyond what all of them have in common, and how they are told to think.

use crate::exchange::{ChatRequest, Dropped, Effort, Number, Reasoning, losses};
use crate::json::{Kind, Out, Value};
use crate::openai::RequestError;

/// Whose model it is, as far as that decides what may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Anthropic's. Also what cannot be told from the name of an inference profile: most profiles are for them.
    Claude,
    /// Amazon's Nova.
    Nova,
    /// OpenAI's open models.
    Openai,
    /// Any other.
    Other,
}

impl Family {
    pub(super) fn of(model: &str) -> Self {
        let has = |name: &str| model.contains(name);
        if has("claude") || has("anthropic") {
            Self::Claude
        } else if has("amazon.nova") {
            Self::Nova
        } else if has("openai") || has("gpt-oss") {
            Self::Openai
        } else if has("application-inference-profile/") {
            Self::Claude
        } else {
            Self::Other
        }
    }

    /// Whether cache points may be set.
    pub(super) fn caches(self) -> bool {
        matches!(self, Self::Claude | Self::Nova)
    }
}

/// Least budget Claude accepts.
const MIN_BUDGET: u64 = 1_024;

/// The share of a limit that is kept for the answer where a budget for thinking would take up all of it: a quarter.
const ANSWER_SHARE: u64 = 4;

/// Reads `additionalModelRequestFields`.
pub(super) fn read_model_fields<'d>(
    fields: Value<'d>,
    request: &mut ChatRequest<'d>,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    let reasoning = |request: &mut ChatRequest<'d>| request.reasoning.take().unwrap_or_default();
    for (name, value) in fields.members().filter(|(_, value)| value.kind() != Kind::Null) {
        match name.as_escaped() {
            b"thinking" | b"reasoning_config" | b"reasoningConfig" => {
                request.reasoning = Some(read_thinking(value, reasoning(request)));
            }
            b"top_k" | b"topK" => {
                let wrong =
                    || RequestError::about("additionalModelRequestFields.top_k", "Expected a number.");
                request.top_k = Some(value.number().ok_or_else(wrong)?);
            }
            b"inferenceConfig" if value.get("topK").is_some() => {
                request.top_k = value.get("topK").and_then(Value::number);
            }
            b"reasoning_effort" => read_effort(value, request, dropped),
            b"output_config" => match value.get("effort") {
                Some(effort) => read_effort(effort, request, dropped),
                None => dropped.note("additionalModelRequestFields.output_config"),
            },
            other => dropped.note(format!("additionalModelRequestFields.{}", String::from_utf8_lossy(other))),
        }
    }
    Ok(())
}

fn read_effort(effort: Value<'_>, request: &mut ChatRequest<'_>, dropped: &mut Dropped) {
    match effort.text().and_then(|name| Effort::named(&name)) {
        Some(effort) => request.reasoning.get_or_insert_with(Reasoning::default).effort = Some(effort),
        None => dropped.note(losses::EFFORT),
    }
}

fn read_thinking(thinking: Value<'_>, so_far: Reasoning) -> Reasoning {
    let kind = thinking.text_of("type").unwrap_or_default();
    let mut reasoning = so_far;
    if kind.is("disabled") {
        return Reasoning { effort: Some(Effort::None), budget: Some(0), ..reasoning };
    }
    reasoning.dynamic = kind.is("adaptive");
    reasoning.budget = thinking.get("budget_tokens").and_then(Value::u64).or(reasoning.budget);
    let effort = thinking.text_of("maxReasoningEffort").and_then(|name| Effort::named(&name));
    reasoning.effort = effort.or(reasoning.effort);
    match thinking.text_of("display") {
        Some(display) => reasoning.show = Some(!display.is("omitted")),
        // Shown unless it is said otherwise; without a budget that depends on the model.
        None if kind.is("enabled") => reasoning.show = Some(true),
        None => {}
    }
    reasoning
}

/// How a model is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    /// Nothing is said.
    Unsaid,
    /// Claude: not at all, where it would by itself.
    Off,
    /// Claude: up to so many tokens.
    Budget(u64),
    /// Claude: as it sees fit, and so hard.
    Adaptive(Option<Effort>, Option<bool>),
    /// OpenAI and Nova: so hard.
    Effort(Effort),
}

impl Thinking {
    /// What to tell a model. `forced` says that a tool must be called, which excludes Claude's thinking; `unproven` that a
    /// call of a tool is open whose thoughts are not at hand, and Claude with a budget accepts none without.
    pub(super) fn choose(
        request: &ChatRequest<'_>,
        family: Family,
        adaptive: bool,
        forced: bool,
        unproven: bool,
        dropped: &mut Dropped,
    ) -> Self {
        let Some(reasoning) = request.reasoning else { return Self::Unsaid };
        match family {
            Family::Claude if reasoning.is_off() => return if adaptive { Self::Off } else { Self::Unsaid },
            Family::Claude if forced => {}
            Family::Claude if adaptive => {
                let effort = reasoning.effort.or(reasoning.budget.map(Effort::of_budget));
                return Self::Adaptive(effort, reasoning.show);
            }
            Family::Claude if !unproven => {
                dropped.note_if(reasoning.show == Some(false), losses::SHOW_THINKING);
                let budget = reasoning.budget.or(reasoning.effort.map(Effort::budget));
                let budget = budget.unwrap_or(Effort::Medium.budget()).max(MIN_BUDGET);
                // It must leave room for an answer: where it would take all, a quarter of the limit is kept for that.
                let budget = match request.max_tokens {
                    Some(max) if budget >= max => max - max.div_ceil(ANSWER_SHARE),
                    _ => budget,
                };
                if budget >= MIN_BUDGET {
                    return Self::Budget(budget);
                }
            }
            Family::Openai | Family::Nova if reasoning.is_off() => {
                dropped.note_if(family == Family::Openai, losses::EFFORT);
                return Self::Unsaid;
            }
            Family::Openai | Family::Nova => {
                let effort = reasoning.effort.or(reasoning.budget.map(Effort::of_budget));
                return Self::Effort(effort.unwrap_or(Effort::Medium));
            }
            Family::Claude | Family::Other => {}
        }
        dropped.note_if(!reasoning.is_off(), losses::EFFORT);
        Self::Unsaid
    }

    /// Whether sampling is not to be steered besides.
    pub(super) fn excludes_sampling(self) -> bool {
        matches!(self, Self::Budget(_) | Self::Adaptive(..))
    }

    /// The effort that goes into `outputConfig`.
    pub(super) fn output_effort(self) -> Option<&'static str> {
        match self {
            Self::Adaptive(effort, _) => effort.map(|effort| match effort {
                Effort::None | Effort::Minimal | Effort::Low => "low",
                other => other.name(),
            }),
            _ => None,
        }
    }
}

/// Writes `additionalModelRequestFields`, if there is anything to write.
pub(super) fn write_model_fields(
    family: Family,
    thinking: Thinking,
    top_k: Option<&Number<'_>>,
    out: &mut Out<'_>,
) {
    if top_k.is_none() && matches!(thinking, Thinking::Unsaid) {
        return;
    }
    out.key("additionalModelRequestFields").begin_object();
    match thinking {
        Thinking::Unsaid => {}
        Thinking::Off => {
            out.key("thinking").begin_object().field("type", "disabled").end_object();
        }
        Thinking::Budget(budget) => {
            out.key("thinking").begin_object().field("type", "enabled");
            out.key("budget_tokens").number(budget).end_object();
        }
        Thinking::Adaptive(_, show) => {
            out.key("thinking").begin_object().field("type", "adaptive");
            if let Some(show) = show {
                out.field("display", if show { "summarized" } else { "omitted" });
            }
            out.end_object();
        }
        Thinking::Effort(effort) if family == Family::Nova => {
            out.key("reasoningConfig").begin_object().field("type", "enabled");
            out.field("maxReasoningEffort", three_steps(effort)).end_object();
        }
        Thinking::Effort(effort) => {
            out.field("reasoning_effort", three_steps(effort));
        }
    }
    if let Some(top_k) = top_k {
        match family {
            Family::Nova => {
                out.key("inferenceConfig").begin_object().key("topK").raw(top_k.as_bytes()).end_object();
            }
            _ => {
                out.key("top_k").raw(top_k.as_bytes());
            }
        }
    }
    out.end_object();
}

fn three_steps(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::Xhigh | Effort::Max => "high",
    }
}
