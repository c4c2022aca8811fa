//! What is sent to a provider: where, with which credential, under which name.

use std::fmt;
use std::sync::Arc;

use sluice_dialects::json::json_escaped;
use sluice_dialects::wire::Quirks;
use sluice_limits::Cooldown;
use sluice_types::{Auth, Dialect, Provider, ProviderTimeouts, Target};

use crate::base_url::BaseUrl;
use crate::heads::{Head, Heads};
use crate::lanes::Upstream;
use crate::meters::{MeterFacts, MeterSet, MeterTable};
use crate::paths::{self, BodyModel};
use crate::plan::PlanError;
use crate::price::PricePlan;
use crate::registry::{Registry, TargetState};
use crate::signer::Signer;

/// Whether the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain TCP.
    Http,
    /// TLS, name and chain verified.
    Https,
}

/// A provider as the request path sees it.
#[derive(Debug)]
pub struct ProviderPlan {
    /// `Provider::id`
    pub id: u32,
    /// Name in the config.
    pub name: Box<str>,
    /// Wire format.
    pub dialect: Dialect,
    /// What is special about it.
    pub quirks: Quirks,
    /// Most tokens to ask for where its dialect demands a limit and nothing else gives one.
    pub default_max_tokens: u32,
    /// Plain or TLS.
    pub scheme: Scheme,
    /// Host to resolve, and the name TLS verifies.
    pub host: Box<str>,
    /// TCP port.
    pub port: u16,
    /// Credentials, at least one (an empty one where the provider wants none).
    pub credentials: Vec<CredentialPlan>,
    /// Their weights, in the same order.
    pub credential_weights: Vec<u32>,
    /// Several credentials share its requests, so that one of them can be left alone.
    pub rotates: bool,
    /// Whether usage may be asked for in streams.
    pub usage_in_stream: bool,
    /// Whether its fixed headers name the version of Anthropic's API.
    pub names_version: bool,
    /// What bodies name as the model where the path names it.
    pub body_model: BodyModel,
    /// The same for translated bodies, plain; `None` for the name in the path.
    pub model_in_body: Option<Box<str>>,
    /// PEM certificates trusted besides the public ones.
    pub extra_ca_pem: Option<Box<str>>,
    /// Time limits.
    pub timeouts: ProviderTimeouts,
    /// Idle upstream connections are closed after this, milliseconds.
    pub idle_timeout_ms: u32,
    /// Idle upstream connections kept per worker.
    pub max_idle_per_worker: u32,
    /// What holds for requests sent to it.
    pub meters: MeterSet,
}

/// A credential with the request heads it opens, rendered once: everything up to the headers that differ per request.
pub struct CredentialPlan {
    /// `ProviderKey::id`, 0 where the provider wants none.
    pub id: u32,
    /// The plain key, to mask it where a provider echoes it; empty where there is none.
    secret: Box<str>,
    heads: Heads,
    signer: Option<Signer>,
    /// What holds for requests sent with it.
    pub meters: MeterSet,
    /// Its breaker, which is asked where the provider has others.
    pub cooldown: Arc<Cooldown>,
}

impl fmt::Debug for CredentialPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialPlan").field("id", &self.id).finish_non_exhaustive()
    }
}

impl CredentialPlan {
    /// Request line and fixed headers for a call; `None` where the provider does not offer it.
    #[must_use]
    pub fn head(&self, call: Upstream) -> Option<&Head> {
        self.heads.of(call)
    }

    /// What signs each request, where the provider wants that.
    #[must_use]
    pub fn signer(&self) -> Option<&Signer> {
        self.signer.as_ref()
    }

    /// The plain key, for masking only.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }
}

/// The name a target is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum UpstreamName {
    /// What the client sent.
    AsSent,
    /// What the wildcard's star stood for.
    Star,
    /// A fixed name, as a quoted JSON string.
    Fixed(Box<str>),
}

/// One way to serve a model.
#[derive(Debug)]
pub struct TargetPlan {
    /// `Target::id`
    pub id: u32,
    /// `Model::id` of the model it serves.
    pub model_id: u32,
    /// Index into [`crate::Plan::providers`].
    pub provider: u32,
    /// Name at the provider.
    pub upstream_name: UpstreamName,
    /// Name at the provider where it is a fixed one, plain.
    pub fixed_name: Option<Box<str>>,
    /// What is special about the model there.
    pub quirks: Quirks,
    /// Most tokens the model can generate.
    pub max_output_tokens: Option<u32>,
    /// What it costs; absent where nobody says.
    pub price: Option<PricePlan>,
    /// Share of its tier.
    pub weight: u32,
    /// What is to be known of the meters of its provider and the credentials there.
    pub facts: MeterFacts,
    /// Its breaker.
    pub state: Arc<TargetState>,
}

impl TargetPlan {
    pub(crate) fn compile(
        target: &Target,
        model_id: u32,
        (index, provider): (u32, &ProviderPlan),
        state: Arc<TargetState>,
    ) -> Self {
        let upstream_name = match target.upstream_model.as_deref() {
            None => UpstreamName::AsSent,
            Some("*") => UpstreamName::Star,
            Some(name) => UpstreamName::Fixed(json_escaped(name).into()),
        };
        let fixed_name = target.upstream_model.as_deref().filter(|name| *name != "*").map(Into::into);
        Self {
            id: target.id,
            model_id,
            provider: index,
            upstream_name,
            fixed_name,
            quirks: Quirks::of(&target.quirks),
            max_output_tokens: target.max_output_tokens,
            price: None,
            weight: target.weight,
            facts: provider.facts(),
            state,
        }
    }
}

impl TargetPlan {
    /// A provider itself, for calls that name no model.
    pub(crate) fn nameless((index, provider): (u32, &ProviderPlan), state: Arc<TargetState>) -> Self {
        Self {
            id: 0,
            model_id: 0,
            provider: index,
            upstream_name: UpstreamName::AsSent,
            fixed_name: None,
            quirks: Quirks::NONE,
            max_output_tokens: None,
            price: None,
            weight: 1,
            facts: provider.facts(),
            state,
        }
    }
}

/// What is asked for where a dialect demands a limit, the client gave none and nothing is known of the model: what the
/// smallest model still sold can generate.
const DEFAULT_MAX_TOKENS: u32 = 4_096;

impl ProviderPlan {
    pub(crate) fn compile(
        provider: &Provider,
        at: usize,
        registry: &Registry,
        meters: &MeterTable,
    ) -> Result<Self, PlanError> {
        let path = format!("providers[{at}]");
        if provider.id == 0 {
            return Err(PlanError::new(&format!("{path}.id"), "id_zero", "ids start at 1"));
        }
        let url = BaseUrl::parse(&provider.base_url)
            .map_err(|why| PlanError::new(&format!("{path}.base_url"), "bad_url", why))?;
        paths::check(provider, &path)?;
        let mut credentials = compile_credentials(provider, &url, &path, meters)?;
        let credential_weights: Vec<u32> = match provider.auth {
            Auth::None => vec![1],
            _ => provider.keys.iter().map(|key| key.weight).collect(),
        };
        let rotates = credential_weights.iter().filter(|weight| **weight > 0).count() > 1;
        if rotates {
            for credential in &mut credentials {
                credential.cooldown = registry.credential(credential.id);
            }
        }
        Ok(Self {
            id: provider.id,
            name: provider.name.as_str().into(),
            dialect: provider.dialect,
            quirks: Quirks::of(&provider.quirks),
            default_max_tokens: provider.default_max_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
            scheme: url.scheme,
            host: url.host.into(),
            port: url.port,
            credentials,
            credential_weights,
            rotates,
            usage_in_stream: provider.usage_in_stream,
            names_version: provider.headers.iter().any(|header| header.name == "anthropic-version"),
            body_model: BodyModel::of(provider),
            model_in_body: provider.model_in_body.as_deref().map(Into::into),
            extra_ca_pem: provider.extra_ca_pem.as_deref().map(Into::into),
            timeouts: provider.timeouts,
            idle_timeout_ms: provider.idle_timeout_ms,
            max_idle_per_worker: provider.max_idle_per_worker,
            meters: meters.set_of(&provider.meters, &path)?,
        })
    }

    /// What is to be known of its meters and those of its credentials.
    fn facts(&self) -> MeterFacts {
        let of_credentials = self.credentials.iter().map(|credential| credential.meters.facts());
        of_credentials.fold(self.meters.facts(), MeterFacts::and)
    }
}

fn compile_credentials(
    provider: &Provider,
    url: &BaseUrl,
    path: &str,
    meters: &MeterTable,
) -> Result<Vec<CredentialPlan>, PlanError> {
    let fixed = fixed_headers(provider, path)?;
    let heads = |headers: &str, query: &str| Heads::render(provider, url, headers, query);
    if provider.auth == Auth::None {
        let heads = heads(&fixed, "");
        let meters = MeterSet::default();
        let cooldown = Arc::default();
        return Ok(vec![CredentialPlan { id: 0, secret: "".into(), heads, signer: None, meters, cooldown }]);
    }
    if provider.keys.iter().all(|key| key.weight == 0) {
        return Err(PlanError::new(
            &format!("{path}.keys"),
            "no_key",
            "expected at least one key with a weight",
        ));
    }
    let compile = |(nth, key): (usize, &sluice_types::ProviderKey)| {
        let secret = key.secret.expose();
        let meters = meters.set_of(&key.meters, &format!("{path}.keys[{nth}]"))?;
        let path = format!("{path}.keys[{nth}].secret");
        if !is_header_value(secret) || secret.is_empty() {
            return Err(PlanError::new(&path, "bad_secret", "a key must be printable and on one line"));
        }
        let credential = match &provider.auth {
            Auth::Header { name } => heads(&format!("{fixed}{name}: {secret}\r\n"), ""),
            Auth::Query { name } => {
                heads(&fixed, &format!("{name}={}", crate::heads::percent_encoded(secret)))
            }
            Auth::AwsSigV4 { region, service } => {
                let signer = Signer::new(secret, region, service, &url.authority)
                    .map_err(|why| PlanError::new(&path, "bad_secret", why))?;
                let (id, secret, heads) = (key.id, signer.secret().into(), heads(&fixed, ""));
                let (signer, cooldown) = (Some(signer), Arc::default());
                return Ok(CredentialPlan { id, secret, heads, signer, meters, cooldown });
            }
            _ => heads(&format!("{fixed}authorization: Bearer {secret}\r\n"), ""),
        };
        let (id, secret, cooldown) = (key.id, secret.into(), Arc::default());
        Ok(CredentialPlan { id, secret, heads: credential, signer: None, meters, cooldown })
    };
    provider.keys.iter().enumerate().map(compile).collect()
}

fn fixed_headers(provider: &Provider, path: &str) -> Result<String, PlanError> {
    let name_path = format!("{path}.auth.name");
    match &provider.auth {
        Auth::Header { name } if !is_header_name(name) => {
            return Err(PlanError::new(&name_path, "bad_header", "expected a header name"));
        }
        Auth::Query { name } if !is_parameter_name(name) => {
            return Err(PlanError::new(&name_path, "bad_parameter", "expected letters, digits, - and _"));
        }
        _ => {}
    }
    let mut out = String::new();
    for (nth, header) in provider.headers.iter().enumerate() {
        let (name, value) = (&header.name, header.value.expose());
        if !is_header_name(name) || !is_header_value(value) || OWNED_HEADERS.contains(&name.as_str()) {
            let path = format!("{path}.headers[{nth}]");
            return Err(PlanError::new(
                &path,
                "bad_header",
                "expected a header this gateway does not set itself",
            ));
        }
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    Ok(out)
}

/// Headers whose value the gateway alone decides; a second one would let two readers of a request disagree.
const OWNED_HEADERS: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "content-encoding",
    "content-type",
    "accept-encoding",
    "upgrade",
    "x-sluice-via",
];

fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

/// Of a query; unlike a header's it may have capitals, which matter.
fn is_parameter_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn is_header_value(value: &str) -> bool {
    value.bytes().all(|b| (0x20..0x7f).contains(&b))
}
