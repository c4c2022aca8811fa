//! What is sent to a target: the client's own body with what we own spliced in, or a translation of it.

use sluice_dialects::anthropic::{self, VERTEX_MEMBER};
use sluice_dialects::custom_tools::CustomTools;
use sluice_dialects::embeddings::{EmbedWire, Encodings};
use sluice_dialects::json::{quote_into, quote_onto};
use sluice_dialects::openai::{MAX_MODEL_BYTES, Pieces};
use sluice_dialects::rerank::RerankWire;
use sluice_dialects::tool_names::ToolNames;
use sluice_dialects::wire::{AnswerContext, Quirk, Wire};
use sluice_http1::RequestHead;
use sluice_pipeline::{
    BodyModel, CredentialPlan, Head, Lane, ProviderPlan, TargetPlan, Upstream, UpstreamName, lane,
    percent_encode_into, wire_of,
};
use sluice_types::{Dialect, ErrorKind, Route};

use crate::answer::{hex, push_decimal};
use crate::call_view::{View, asked_model};
use crate::exchange::{Call, Exchange, Request};
use crate::open_call::OpenCall;
use crate::refusal::Refusal;
use crate::worker::wall_clock_ms;
use crate::{translate, translate_other};

/// The version of Anthropic's API that is spoken where the client names none. The one of 2026 refuses temperature, which
/// translated requests may carry.
const ANTHROPIC_VERSION: &[u8] = b"anthropic-version: 2023-06-01\r\n";

/// How a request goes to a target.
pub(crate) struct Outbound {
    pub(crate) call: Upstream,
    /// Present where the provider speaks another dialect; the body is then in [`crate::exchange::Rare`].
    pub(crate) translation: Option<Box<Translation>>,
}

/// Between which dialects the exchange is translated.
#[derive(Clone, Debug)]
pub(crate) struct Translation {
    /// What is translated.
    pub(crate) kind: Translated,
    /// The client's dialect.
    pub(crate) to: Wire,
    /// The client wants a stream.
    pub(crate) stream: bool,
    /// Tools that are others at the provider.
    pub(crate) tools: ChangedTools,
    /// What a writer of answers needs.
    pub(crate) context: AnswerContext,
}

/// What the provider's answer is to be changed back in.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChangedTools {
    /// Tools whose names are others there.
    pub(crate) names: ToolNames,
    /// Custom tools, which are functions there.
    pub(crate) custom: CustomTools,
}

/// What is translated, and what the provider speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Translated {
    /// A chat.
    Chat(Wire),
    /// A stream of Gemini's that passes untouched but for its framing: the client wants a JSON array.
    GeminiArray,
    /// Embeddings.
    Embed {
        /// The provider's format.
        from: EmbedWire,
        /// The client's.
        to: EmbedWire,
        /// In which forms the client wants its vectors.
        encodings: Encodings,
    },
    /// Rerank.
    Rerank {
        /// The provider's format.
        from: RerankWire,
        /// The client's.
        to: RerankWire,
    },
}

/// Decides how the request goes to the target, and translates it where it must be.
pub(crate) fn prepare<A>(
    x: &mut Exchange<'_, '_, A>,
    call: Call<'_>,
    target: &TargetPlan,
    provider: &ProviderPlan,
) -> Result<Outbound, Refusal> {
    // What an earlier target could not be asked for, or answered, is not this one's.
    x.rare.dropped.clear();
    x.rare.error_type = "";
    x.rare.retry_after_s = None;
    let mut outbound = by_lane(x, call, target, provider)?;
    let has = |call| provider.credentials.first().is_some_and(|credential| credential.head(call).is_some());
    if call.view.stream()
        && let Some(streamed) = outbound.call.streamed().filter(|call| has(*call))
    {
        outbound.call = streamed;
    }
    if has(outbound.call) { Ok(outbound) } else { Err(not_offered(provider)) }
}

fn not_offered(provider: &ProviderPlan) -> Refusal {
    let message = format!("The provider `{}` does not offer this API.", provider.name);
    Refusal::new(ErrorKind::NotOffered, message)
}

fn by_lane<A>(
    x: &mut Exchange<'_, '_, A>,
    call: Call<'_>,
    target: &TargetPlan,
    provider: &ProviderPlan,
) -> Result<Outbound, Refusal> {
    let quirks = provider.quirks.and(target.quirks);
    match lane(x.route, provider.dialect, quirks) {
        Lane::Same(upstream) if wants_array(x, call) => {
            Ok(Outbound { call: upstream, translation: Some(translation(x, call, Translated::GeminiArray)) })
        }
        Lane::Same(upstream) => {
            if names_version(provider, upstream) {
                anthropic::refuse_own_version(x.request.body()).map_err(translate::invalid)?;
            }
            Ok(Outbound { call: upstream, translation: None })
        }
        Lane::Chat { to } => {
            let (upstream, tools) = translate::chat(x, call, target, provider, to)?;
            let mut translation = translation(x, call, Translated::Chat(to));
            translation.tools = tools;
            Ok(Outbound { call: upstream, translation: Some(translation) })
        }
        Lane::Embed => {
            let (upstream, kind) = translate_other::embed(x, call, target, provider)?;
            Ok(Outbound { call: upstream, translation: Some(translation(x, call, kind)) })
        }
        Lane::Rerank => {
            let kind = translate_other::rerank(x, call, target, provider)?;
            Ok(Outbound { call: Upstream::Rerank, translation: Some(translation(x, call, kind)) })
        }
        Lane::Estimate | Lane::Unsupported => Err(not_offered(provider)),
    }
}

/// Whether the client expects Gemini's stream as one JSON array: it has not asked for events.
fn wants_array<A>(x: &Exchange<'_, '_, A>, call: Call<'_>) -> bool {
    x.route == Route::StreamGenerateContent
        && call.view.stream()
        && !asks_for_events(x.head, &x.request.bytes)
}

fn asks_for_events(head: &RequestHead, bytes: &[u8]) -> bool {
    head.query(bytes).is_some_and(|query| query.split('&').any(|parameter| parameter == "alt=sse"))
}

fn translation<A>(x: &Exchange<'_, '_, A>, call: Call<'_>, kind: Translated) -> Box<Translation> {
    let mut scratch = [0; MAX_MODEL_BYTES];
    let model = asked_model(call.view, &x.rare.path_model, x.request.body(), &mut scratch).to_owned();
    let context = AnswerContext {
        id: String::from_utf8_lossy(&hex(x.settlement.request_id())).into_owned(),
        model,
        created: wall_clock_ms() / 1_000,
        include_usage: call.view.include_usage(),
        json_array: wants_array(x, call),
    };
    let (to, stream, tools) = (wire_of(x.route), call.view.stream(), ChangedTools::default());
    Box::new(Translation { kind, to, stream, tools, context })
}

/// The model's name at the target, plain.
pub(crate) fn upstream_model<'m, A>(
    x: &'m Exchange<'_, '_, A>,
    call: Call<'_>,
    target: &'m TargetPlan,
    scratch: &'m mut [u8; MAX_MODEL_BYTES],
) -> &'m str {
    name_at(call, target, &x.rare.path_model, x.request.body(), scratch)
}

fn name_at<'m>(
    call: Call<'_>,
    target: &'m TargetPlan,
    path_model: &'m str,
    body: &'m [u8],
    scratch: &'m mut [u8; MAX_MODEL_BYTES],
) -> &'m str {
    if let Some(name) = &target.fixed_name {
        return name;
    }
    let asked = asked_model(call.view, path_model, body, scratch);
    if target.upstream_name == UpstreamName::Star { call.model.star_of(asked) } else { asked }
}

/// Whether a body of this call names the version of Anthropic's API in place of the model.
fn names_version(provider: &ProviderPlan, call: Upstream) -> bool {
    provider.body_model == BodyModel::Version
        && matches!(call, Upstream::Messages | Upstream::MessagesStream | Upstream::CountTokens)
}

/// Puts the model's name at the target into [`Exchange::name`], in the form in which it is sent: escaped for a path, or as a
/// JSON string where a wildcard's star or the client's path names it; both, a line each, where both are to name it.
pub(crate) fn write_name<A>(
    x: &mut Exchange<'_, '_, A>,
    call: Call<'_>,
    target: &TargetPlan,
    provider: &ProviderPlan,
    head: &Head,
) {
    let mut scratch = [0; MAX_MODEL_BYTES];
    let is_star = target.upstream_name == UpstreamName::Star;
    let in_path = !x.rare.path_model.is_empty();
    let beside_version = provider.body_model == BodyModel::Version;
    if !head.names_model() && !is_star && !in_path && !beside_version {
        return;
    }
    let name = name_at(call, target, &x.rare.path_model, x.request.body(), &mut scratch);
    if head.names_model() {
        percent_encode_into(x.name, name);
        if provider.body_model == BodyModel::Named {
            x.name.push('\n');
            quote_onto(x.name, name);
        }
        return;
    }
    if beside_version {
        x.name.clear();
        x.name.push_str(VERTEX_MEMBER);
        x.name.push_str(",\"model\":");
        quote_onto(x.name, name);
        return;
    }
    quote_into(x.name, name);
    if in_path && !call.view.names_model() {
        // As Azure's clients leave it out of their bodies.
        x.name.insert_str(0, "\"model\":");
        x.name.push(',');
    }
}

/// What [`write_name`] wrote, as it goes into the path and into the body.
pub(crate) fn names<'n>(written: &'n str, provider: &ProviderPlan) -> (&'n str, &'n str) {
    let both = matches!(provider.body_model, BodyModel::Named).then(|| written.split_once('\n'));
    both.flatten().unwrap_or((written, written))
}

/// The body to send. `name` is what [`write_name`] wrote; `in_path` says that the client's path names the model.
pub(crate) fn body<'b>(
    request: &'b Request,
    translated: &'b [u8],
    name: &'b str,
    in_path: bool,
    call: Call<'_>,
    to: &Egress<'b>,
) -> Pieces<'b> {
    if to.outbound.is_translated() {
        return Pieces::whole(translated);
    }
    if let View::Native(view) = call.view
        && names_version(to.provider, to.outbound.call)
    {
        let members = if to.head.names_model() { VERTEX_MEMBER } else { name };
        return anthropic::in_place_of_model(request.body(), view.model, members);
    }
    let model = match &to.target.upstream_name {
        _ if to.head.names_model() => match &to.provider.body_model {
            // What such a path names is no model, or the body is a form.
            _ if to.open.is_some() => None,
            BodyModel::AsSent | BodyModel::Version => None,
            BodyModel::Named => Some(name),
            BodyModel::Fixed(quoted) => Some(&**quoted),
        },
        _ if in_path || matches!(call.view, View::Form(_)) => Some(name),
        UpstreamName::AsSent => None,
        UpstreamName::Fixed(quoted) => Some(&**quoted),
        UpstreamName::Star => Some(name),
    };
    let asks_usage = to.provider.usage_in_stream && !to.provider.quirks.has(Quirk::NoStreamOptions);
    call.view.splices(request.body(), model, asks_usage)
}

/// Where a request goes, in all detail.
#[derive(Clone, Copy)]
pub(crate) struct Egress<'e> {
    pub(crate) target: &'e TargetPlan,
    pub(crate) provider: &'e ProviderPlan,
    pub(crate) credential: &'e CredentialPlan,
    pub(crate) head: &'e Head,
    pub(crate) outbound: &'e Outbound,
    /// Present where the request is not JSON by POST.
    pub(crate) open: Option<OpenCall<'e>>,
}

/// Renders the head of the request into `out`: the credential's template, a signature where it is to have one, the length,
/// and what is passed on from the client.
pub(crate) fn render_head(
    out: &mut Vec<u8>,
    name: &str,
    body: &Pieces<'_>,
    client: &RequestHead,
    client_bytes: &[u8],
    instance: &str,
    to: &Egress<'_>,
) {
    out.clear();
    let query = match &to.open {
        None => forwarded_query(to.outbound, to.provider, client.query(client_bytes)),
        Some(open) => {
            open.push_method(out);
            open.query
        }
    };
    to.head.render(out, name, query);
    if let Some(signer) = to.credential.signer() {
        signer.sign(out, body.as_slices(), wall_clock_ms() / 1_000);
    }
    match &to.open {
        None => {
            out.extend_from_slice(b"content-length: ");
            push_decimal(out, body.len_bytes() as u64, 1);
            out.extend_from_slice(b"\r\n");
        }
        Some(open) => open.push_body_headers(out, body),
    }
    out.extend_from_slice(b"x-sluice-via: ");
    out.extend_from_slice(instance.as_bytes());
    out.extend_from_slice(b"\r\n");
    let dialect = to.outbound.translation.is_none().then_some(to.provider.dialect);
    let mut names_version = to.provider.names_version;
    for field in client.fields().iter(client_bytes) {
        if is_forwarded(field.name, dialect) {
            if field.name.eq_ignore_ascii_case(b"anthropic-version") {
                if names_version {
                    // One version, and the operator's before the client's.
                    continue;
                }
                names_version = true;
            }
            out.extend_from_slice(field.name);
            out.extend_from_slice(b": ");
            out.extend_from_slice(field.value);
            out.extend_from_slice(b"\r\n");
        }
    }
    if to.provider.dialect == Dialect::Anthropic && !names_version {
        out.extend_from_slice(ANTHROPIC_VERSION);
    }
    out.extend_from_slice(b"\r\n");
}

impl Outbound {
    /// Whether the body is a translation.
    fn is_translated(&self) -> bool {
        self.translation
            .as_ref()
            .is_some_and(|translation| !matches!(translation.kind, Translated::GeminiArray))
    }
}

/// What of the client's query the provider gets: Anthropic's `beta=true`, which its SDKs send.
fn forwarded_query(outbound: &Outbound, provider: &ProviderPlan, query: Option<&str>) -> &'static str {
    let is_anthropic = matches!(outbound.call, Upstream::Messages | Upstream::CountTokens)
        && provider.body_model != BodyModel::Version;
    if is_anthropic && outbound.translation.is_none() && query == Some("beta=true") {
        "beta=true"
    } else {
        ""
    }
}

/// Whether a provider may see a header of the client. Everything else, credentials above all, stays here. `dialect` is the
/// provider's where it is also the client's: some headers mean something within one dialect only.
fn is_forwarded(name: &[u8], dialect: Option<Dialect>) -> bool {
    let is = |text: &str| name.eq_ignore_ascii_case(text.as_bytes());
    // By length first: nearly every header is settled with one look.
    match name.len() {
        10 => is("user-agent") || is("tracestate"),
        11 => is("traceparent") || is_openai(dialect) && is("openai-beta"),
        12 => is("x-sluice-via"),
        14 => dialect == Some(Dialect::Anthropic) && is("anthropic-beta"),
        15 => is("idempotency-key"),
        17 => dialect == Some(Dialect::Anthropic) && is("anthropic-version"),
        19 => is("x-client-request-id"),
        _ => false,
    }
}

fn is_openai(dialect: Option<Dialect>) -> bool {
    matches!(dialect, Some(Dialect::Openai | Dialect::OpenaiResponses | Dialect::Azure))
}
