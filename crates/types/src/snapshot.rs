//! The snapshot: all that the data plane knows of configuration and governance, whole and versioned.
//!
//! TypeScript compiles one from the config, the catalogue and the store, and hands it over as JSON. It is plain data
//! with every reference resolved; compiling it into look-up tables is the pipeline's work.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CallPath, Meter, Price, Secret};

/// What a data plane needs before it can listen. Changing any of it takes a restart.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartOptions {
    /// Sockets to listen on; at least one.
    pub listeners: Vec<Listener>,
    /// Worker threads; 0 takes one per core this process may use.
    pub workers: u32,
    /// Client connections held at once over all workers; further ones wait in the kernel's queue.
    pub max_connections: u32,
}

/// One data listener.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// `address:port`; port 0 lets the kernel choose.
    pub address: String,
    /// Present for a TLS listener (HTTP/1.1 and HTTP/2 by ALPN).
    #[serde(default)]
    pub tls: Option<TlsFiles>,
}

/// A certificate chain and its key, as PEM text.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// PEM certificate chain, leaf first.
    pub certificate_pem: String,
    /// PEM private key.
    pub private_key_pem: Secret,
}

/// One configuration version.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Rises with every change; reported per worker.
    pub version: u64,
    /// Bounds and switches of the data plane.
    pub settings: Settings,
    /// Upstream accounts.
    pub providers: Vec<Provider>,
    /// Names that clients may ask for.
    pub models: Vec<Model>,
    /// Virtual keys.
    pub keys: Vec<VirtualKey>,
    /// Id of the version of its prices, for records; 0 where it has none.
    #[serde(default)]
    pub prices: u32,
    /// Budgets and rate limits; the others name them by id.
    #[serde(default)]
    pub meters: Vec<Meter>,
}

/// Bounds and switches of the data plane. Sizes are bytes, times milliseconds.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Longest request body, after decoding.
    pub max_request_body_bytes: u64,
    /// Longest response body that is not a stream.
    pub max_response_body_bytes: u64,
    /// Longest single event of a stream.
    pub max_event_bytes: u32,
    /// From the first byte of a head to its last.
    pub header_timeout_ms: u32,
    /// From the end of the head to the end of the body.
    pub body_timeout_ms: u32,
    /// A connection without a request is closed after this.
    pub idle_timeout_ms: u32,
    /// A client that accepts no bytes for this long is cut off.
    pub write_timeout_ms: u32,
    /// Requests served on one connection before it is closed.
    pub max_requests_per_connection: u32,
    /// Failed authentications per minute and address before answers become 429; 0 turns the bound off.
    pub max_auth_failures_per_minute: u32,
    /// Refuse every request with 401 unless it carries a valid virtual key. Off only for private set-ups.
    pub require_key: bool,
    /// What to do about parts of a request that the provider's dialect cannot express.
    #[serde(default)]
    pub translate_unsupported: Unsupported,
    /// What to do about requests for models that have no price.
    #[serde(default)]
    pub unpriced: Unpriced,
}

/// What to do about requests for models that have no price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unpriced {
    /// Refuse those that a budget of money applies to: it could not hold.
    #[default]
    RefuseUnderBudget,
    /// Refuse them all.
    Refuse,
    /// Let them pass, as if they cost nothing.
    Allow,
}

/// What to do about parts of a request that the provider's dialect cannot express.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unsupported {
    /// Leave them out and name them in the `x-sluice-dropped` header of the answer.
    #[default]
    Drop,
    /// Refuse the request with 400.
    Reject,
}

/// The wire format a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI: chat completions, completions, embeddings, responses, models.
    Openai,
    /// OpenAI, but chats are held over the Responses API only.
    OpenaiResponses,
    /// Azure OpenAI on its deployment paths with `api-version`.
    Azure,
    /// Anthropic's messages.
    Anthropic,
    /// Gemini on Google AI Studio.
    Gemini,
    /// Gemini on Vertex AI.
    Vertex,
    /// Amazon Bedrock's converse.
    Bedrock,
    /// Cohere, version 2.
    Cohere,
    /// Ollama's own API.
    Ollama,
}

/// What is special about a provider, or about one model of it. The names of the data plane's `Quirk`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quirk {
    /// OpenAI: knows `max_tokens` only, not `max_completion_tokens`.
    OldMaxTokens,
    /// OpenAI: refuses `stream_options`.
    NoStreamOptions,
    /// OpenAI: the seed is called `random_seed`.
    RandomSeed,
    /// OpenAI: a required tool is asked for with `any`.
    AnyTool,
    /// OpenAI: refuses `parallel_tool_calls`.
    NoParallelToolCalls,
    /// Anthropic, Bedrock: the model thinks adaptively and takes an effort, not a budget; temperature is refused.
    AdaptiveThinking,
    /// Anthropic: has no `output_config.format`.
    NoOutputFormat,
    /// Gemini: takes a thinking level in place of a budget.
    ThinkingLevel,
    /// Gemini: refuses ids of function calls.
    NoCallIds,
    /// OpenAI: texts of messages must be strings, not lists of parts.
    StringContent,
    /// OpenAI: ids of tool calls must be nine letters or digits.
    ShortCallIds,
    /// OpenAI: has no Responses API; such requests are translated to chat completions.
    NoResponses,
    /// OpenAI: takes back, in messages of the assistant, the thinking it gave (`reasoning_content`, as `DeepSeek` demands;
    /// `extra_content` of tool calls, as Gemini does). OpenAI itself refuses members it does not know.
    TakesReasoning,
    /// OpenAI: takes `prompt_cache_breakpoint` on parts. Models and providers before it refuse members they do not know.
    CacheBreakpoints,
    /// Anthropic: names the API's version in the body, and the model in the path only, as Vertex AI has it.
    VertexBody,
}

/// How a provider wants its key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Auth {
    /// `Authorization: Bearer KEY`
    Bearer,
    /// The key alone in the named header.
    Header {
        /// Header name, lower case.
        name: String,
    },
    /// The key as a parameter of the query.
    Query {
        /// Name of the parameter.
        name: String,
    },
    /// Every request signed with AWS Signature Version 4. A key's secret is a JSON object with `access_key_id`,
    /// `secret_access_key` and, for temporary ones, `session_token`.
    #[serde(rename = "aws_sig_v4")]
    AwsSigV4 {
        /// Region, as `us-east-1`.
        region: String,
        /// Service, as `bedrock`.
        service: String,
    },
    /// No credential.
    None,
}

/// A fixed header sent with every request to a provider.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Name, lower case.
    pub name: String,
    /// Value; may hold a credential.
    pub value: Secret,
}

/// Time limits towards one provider, in milliseconds; 0 turns a limit off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderTimeouts {
    /// TCP and TLS until the connection is usable.
    pub connect_ms: u32,
    /// From the request sent to the first byte of the response head.
    pub first_byte_ms: u32,
    /// Between two reads of a response body that is streamed.
    pub between_chunks_ms: u32,
    /// Whole exchange, all attempts of it; the limit of the target in use applies.
    pub total_ms: u32,
}

/// One upstream account.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Stable id, for records and metrics; never 0.
    pub id: u32,
    /// Name in the config.
    pub name: String,
    /// Wire format.
    pub dialect: Dialect,
    /// `http://` or `https://`, host, optional port, optional path prefix. The API's own path (`/chat/completions`)
    /// is appended, so OpenAI's is `https://api.openai.com/v1`.
    pub base_url: String,
    /// How the key is sent.
    pub auth: Auth,
    /// Keys, chosen by weight; may be empty only where `auth` is `none`.
    pub keys: Vec<ProviderKey>,
    /// Sent with every request.
    #[serde(default)]
    pub headers: Vec<Header>,
    /// Whether `stream_options.include_usage` may be asked of it.
    pub usage_in_stream: bool,
    /// What is special about it.
    #[serde(default)]
    pub quirks: Vec<Quirk>,
    /// Calls whose paths differ from those of its dialect.
    #[serde(default)]
    pub paths: Vec<CallPath>,
    /// What bodies of chats name as the model where the path has it; absent for its name, there too.
    #[serde(default)]
    pub model_in_body: Option<String>,
    /// Azure's `api-version`.
    #[serde(default)]
    pub api_version: Option<String>,
    /// Most tokens to ask for where its dialect demands a limit, the client gave none, and the target knows none.
    #[serde(default)]
    pub default_max_tokens: Option<u32>,
    /// PEM certificates trusted for this provider besides the public ones.
    #[serde(default)]
    pub extra_ca_pem: Option<String>,
    /// Time limits.
    pub timeouts: ProviderTimeouts,
    /// An idle upstream connection is closed after this many milliseconds.
    pub idle_timeout_ms: u32,
    /// Idle upstream connections kept per worker.
    pub max_idle_per_worker: u32,
    /// Ids of the meters that hold for requests sent to it.
    #[serde(default)]
    pub meters: Vec<u32>,
}

/// One credential of a provider.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderKey {
    /// Stable id; never 0.
    pub id: u32,
    /// Plain value.
    pub secret: Secret,
    /// Share of the traffic, relative to its siblings; 0 takes it out of use.
    pub weight: u32,
    /// Ids of the meters that hold for requests sent with it.
    #[serde(default)]
    pub meters: Vec<u32>,
}

/// A name that clients may ask for, and where it leads.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Stable id, for records and metrics; never 0.
    pub id: u32,
    /// Exact name, or a pattern with one `*` (`gpt-*`, `*`). An exact name wins over a pattern, a longer pattern over
    /// a shorter one.
    pub name: String,
    /// Further exact names.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// What is known of it, for lists of models.
    #[serde(default)]
    pub info: Option<ModelInfo>,
    /// Where it leads. Targets of one tier share the traffic by weight; the next tier serves when every target of the
    /// one before it has failed. Ascending.
    pub targets: Vec<Target>,
    /// Ids of the meters that hold for requests for it.
    #[serde(default)]
    pub meters: Vec<u32>,
}

/// What is known of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelInfo {
    /// Tokens of prompt and answer together.
    #[serde(default)]
    pub context_window: Option<u32>,
    /// Most tokens of an answer.
    #[serde(default)]
    pub max_output_tokens: Option<u32>,
    /// Who made it.
    #[serde(default)]
    pub owned_by: Option<String>,
    /// It makes embeddings, and nothing else.
    #[serde(default)]
    pub embeds: bool,
}

/// One way to serve a model.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Stable id, for records and metrics; never 0.
    pub id: u32,
    /// [`Provider::id`]
    pub provider: u32,
    /// Name at the provider; absent to send the client's own.
    #[serde(default)]
    pub upstream_model: Option<String>,
    /// Share of the traffic within its tier; 0 takes it out of use.
    pub weight: u32,
    /// Order of preference; 0 first.
    pub tier: u32,
    /// What is special about the model there, besides what is about its provider.
    #[serde(default)]
    pub quirks: Vec<Quirk>,
    /// Most tokens the model can generate.
    #[serde(default)]
    pub max_output_tokens: Option<u32>,
    /// What it costs there; absent where nobody says.
    #[serde(default)]
    pub price: Option<Price>,
}

/// Which names a key may use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct AllowList(
    /// Exact names and patterns with one `*`; empty allows nothing, `["*"]` everything.
    pub Vec<String>,
);

impl AllowList {
    /// Allows every name.
    #[must_use]
    pub fn everything() -> Self {
        Self(vec!["*".into()])
    }
}

/// Limits of one key; absent is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyLimits {
    /// Requests per minute.
    #[serde(default)]
    pub requests_per_minute: Option<u64>,
    /// Tokens (input and output) per minute.
    #[serde(default)]
    pub tokens_per_minute: Option<u64>,
    /// Requests at once.
    #[serde(default)]
    pub concurrency: Option<u32>,
}

/// A credential that clients present.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VirtualKey {
    /// Stable id, for records, counters and metrics; never 0.
    pub id: u32,
    /// SHA-256 digests of the accepted secrets, 64 hexadecimal digits each (two during a rotation with overlap), with
    /// the time each stops being accepted (milliseconds since 1970; absent for never).
    pub digests: Vec<KeyDigest>,
    /// Name, as the key's holder is told.
    #[serde(default)]
    pub name: String,
    /// Names it may use.
    pub models: AllowList,
    /// Names of the providers it may reach.
    #[serde(default = "AllowList::everything")]
    pub providers: AllowList,
    /// Labels of the routes it may call ([`crate::Route::label`]).
    #[serde(default = "AllowList::everything")]
    pub routes: AllowList,
    /// Networks its clients may connect from, as `10.0.0.0/8` or `2001:db8::/32`; empty for any.
    #[serde(default)]
    pub networks: Vec<String>,
    /// Limits.
    #[serde(default)]
    pub limits: KeyLimits,
    /// Ids of the meters that hold for it: its own, and those of its user, team, customer and tags.
    #[serde(default)]
    pub meters: Vec<u32>,
}

/// One accepted secret of a virtual key.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyDigest {
    /// 64 hexadecimal digits.
    pub sha256: String,
    /// Milliseconds since 1970; absent for never.
    #[serde(default)]
    pub expires_at_ms: Option<u64>,
}
