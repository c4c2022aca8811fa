//! Budgets and rate limits as the data plane takes them: one [`Meter`] each, whoever it belongs to.
//!
//! TypeScript resolves who is whose: a key names all meters that hold for it, its own and those of its user, team, customer
//! and tags; models, providers and provider keys name theirs. All that apply to a request must have room for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One counter and its limit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Meter {
    /// Stable id; never 0. A counter belongs to its id and survives changes of everything else but `window` and `measure`.
    pub id: u32,
    /// What clients are told was hit, as `budget "monthly" of team "search"`.
    pub name: String,
    /// What is counted.
    pub measure: Measure,
    /// The limit: requests, tokens (weighted ones), or micro-USD (at most 9,000,000 USD).
    pub limit: u64,
    /// Over which time.
    pub window: Window,
    /// How hard the limit is.
    #[serde(default)]
    pub mode: MeterMode,
    /// How a refusal looks.
    #[serde(default)]
    pub refusal: RefusalStyle,
    /// What the window that is open had used up before this data plane began to count; read when the counter is made, and
    /// by no later snapshot.
    #[serde(default)]
    pub used: Option<MeterUse>,
}

/// What a meter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Measure {
    /// Requests that were let in.
    Requests,
    /// Tokens, each kind by a weight.
    Tokens {
        /// Weight of a token by kind.
        weights: TokenWeights,
    },
    /// Money.
    Cost,
    /// Requests at once; the window is not looked at.
    Concurrency,
}

/// Thousandths that a token counts, by what it is. Every token of a request is of exactly one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the kinds are those of `Rates`")]
pub struct TokenWeights {
    pub input: u32,
    pub cached_input: u32,
    pub cache_write: u32,
    pub cache_write_1h: u32,
    pub audio_input: u32,
    pub image_input: u32,
    pub output: u32,
    pub reasoning: u32,
    pub audio_output: u32,
    pub image_output: u32,
}

/// The time a limit is over. Times are milliseconds, since 1970 where they are moments.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Window {
    /// A bucket that refills evenly (generic cell rate algorithm): requests and tokens only.
    Rate {
        /// Time in which an empty bucket is full again.
        period_ms: u64,
    },
    /// Windows of one length, one after the other.
    Fixed {
        /// Length.
        period_ms: u64,
        /// Beginning of any one of them.
        anchor_ms: u64,
    },
    /// The time up to now, in sixteen steps.
    Sliding {
        /// Length.
        period_ms: u64,
    },
    /// Hours, days, weeks (from Monday), months, quarters or years of a time zone.
    Calendar {
        /// Unit.
        unit: CalendarUnit,
        /// IANA name, as `Europe/Berlin`.
        time_zone: String,
    },
    /// All time.
    Ever,
}

/// Unit of a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CalendarUnit {
    /// 60 minutes, from the full hour of the time zone's clock.
    Hour,
    /// From midnight, or the first moment there is where a change of clocks skips it.
    Day,
    /// From Monday.
    Week,
    /// From the first.
    Month,
    /// From the first of January, April, July or October.
    Quarter,
    /// From the first of January.
    Year,
}

/// How hard a limit is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MeterMode {
    /// Reserves the most a request can use: never exceeded. A request whose most is not known is refused.
    Strict,
    /// Reserves what a request is estimated to use: exceeded by at most the error of the estimates of what is running.
    #[default]
    Normal,
    /// Counts and reports; refuses nothing.
    Soft,
}

/// How a refusal looks to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusalStyle {
    /// 429.
    #[default]
    TooManyRequests,
    /// 402.
    PaymentRequired,
    /// 400 with the type `budget_exceeded`, as `LiteLLM` answers.
    BudgetExceeded,
}

/// What was used up of a window.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeterUse {
    /// Any moment of the window it was used in.
    pub at_ms: u64,
    /// In the unit of the counter (requests, thousandths of weighted tokens, pico-USD), as a decimal text: it can be larger
    /// than what JSON numbers hold exactly.
    pub amount: String,
}

/// A meter as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeterLevel {
    /// [`Meter::id`]
    pub id: u32,
    /// Beginning of the window, milliseconds since 1970; absent where there is none (rate, concurrency, ever).
    pub window_start_ms: Option<u64>,
    /// When it is empty again, likewise.
    pub window_end_ms: Option<u64>,
    /// Used and reserved, in the unit of the counter, as a decimal text.
    pub used: String,
    /// Of that, reserved by requests that are running.
    pub reserved: String,
    /// Requests it refused since the data plane started.
    pub refused: u64,
}
