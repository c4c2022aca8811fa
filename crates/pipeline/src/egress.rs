//! What is sent to a provider: where, with which credential, under which name.

use std::fmt;
use std::sync::Arc;

use sluice_dialects::json::json_escaped;
use sluice_types::{Auth, Provider, ProviderTimeouts, Route, Target};

use crate::plan::PlanError;
use crate::registry::TargetState;

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
    /// Whether usage may be asked for in streams.
    pub usage_in_stream: bool,
    /// PEM certificates trusted besides the public ones.
    pub extra_ca_pem: Option<Box<str>>,
    /// Time limits.
    pub timeouts: ProviderTimeouts,
    /// Idle upstream connections are closed after this, milliseconds.
    pub idle_timeout_ms: u32,
    /// Idle upstream connections kept per worker.
    pub max_idle_per_worker: u32,
}

/// A credential with the request heads it opens, rendered once: everything up to the headers that differ per request.
pub struct CredentialPlan {
    /// `ProviderKey::id`, 0 where the provider wants none.
    pub id: u32,
    /// The plain key, to mask it where a provider echoes it; empty where there is none.
    secret: Box<str>,
    heads: Vec<(Route, Box<[u8]>)>,
}

impl fmt::Debug for CredentialPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialPlan").field("id", &self.id).finish_non_exhaustive()
    }
}

impl CredentialPlan {
    /// Request line and fixed headers for a route, each line ended, the head still open.
    #[must_use]
    pub fn head(&self, route: Route) -> &[u8] {
        self.heads.iter().find(|(of, _)| *of == route).map_or(&[], |(_, head)| head)
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
    /// Share of its tier.
    pub weight: u32,
    /// Its breaker.
    pub state: Arc<TargetState>,
}

impl TargetPlan {
    pub(crate) fn compile(target: &Target, model_id: u32, provider: u32, state: Arc<TargetState>) -> Self {
        let upstream_name = match target.upstream_model.as_deref() {
            None => UpstreamName::AsSent,
            Some("*") => UpstreamName::Star,
            Some(name) => UpstreamName::Fixed(json_escaped(name).into()),
        };
        Self { id: target.id, model_id, provider, upstream_name, weight: target.weight, state }
    }
}

/// Routes a provider of OpenAI's dialect serves, with the path under its base URL.
const OPENAI_PATHS: [(Route, &str); 4] = [
    (Route::Chat, "/chat/completions"),
    (Route::Completions, "/completions"),
    (Route::Embeddings, "/embeddings"),
    (Route::Responses, "/responses"),
];

impl ProviderPlan {
    pub(crate) fn compile(provider: &Provider, at: usize) -> Result<Self, PlanError> {
        let path = format!("providers[{at}]");
        if provider.id == 0 {
            return Err(PlanError::new(&format!("{path}.id"), "id_zero", "ids start at 1"));
        }
        let url = BaseUrl::parse(&provider.base_url)
            .map_err(|why| PlanError::new(&format!("{path}.base_url"), "bad_url", why))?;
        let credentials = compile_credentials(provider, &url, &path)?;
        let credential_weights = match provider.auth {
            Auth::None => vec![1],
            _ => provider.keys.iter().map(|key| key.weight).collect(),
        };
        Ok(Self {
            id: provider.id,
            name: provider.name.as_str().into(),
            scheme: url.scheme,
            host: url.host.into(),
            port: url.port,
            credentials,
            credential_weights,
            usage_in_stream: provider.usage_in_stream,
            extra_ca_pem: provider.extra_ca_pem.as_deref().map(Into::into),
            timeouts: provider.timeouts,
            idle_timeout_ms: provider.idle_timeout_ms,
            max_idle_per_worker: provider.max_idle_per_worker,
        })
    }
}

fn compile_credentials(
    provider: &Provider,
    url: &BaseUrl,
    path: &str,
) -> Result<Vec<CredentialPlan>, PlanError> {
    let fixed = fixed_headers(provider, path)?;
    if provider.auth == Auth::None {
        return Ok(vec![CredentialPlan { id: 0, secret: "".into(), heads: heads(url, &fixed) }]);
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
        if !is_header_value(secret) || secret.is_empty() {
            let path = format!("{path}.keys[{nth}].secret");
            return Err(PlanError::new(&path, "bad_secret", "a key must be printable and on one line"));
        }
        let credential = match &provider.auth {
            Auth::Header { name } => format!("{name}: {secret}\r\n"),
            _ => format!("authorization: Bearer {secret}\r\n"),
        };
        let heads = heads(url, &format!("{fixed}{credential}"));
        Ok(CredentialPlan { id: key.id, secret: secret.into(), heads })
    };
    provider.keys.iter().enumerate().map(compile).collect()
}

fn fixed_headers(provider: &Provider, path: &str) -> Result<String, PlanError> {
    if let Auth::Header { name } = &provider.auth
        && !is_header_name(name)
    {
        return Err(PlanError::new(&format!("{path}.auth.name"), "bad_header", "expected a header name"));
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

fn heads(url: &BaseUrl, headers: &str) -> Vec<(Route, Box<[u8]>)> {
    // `identity`, since usage is read from the answer; a provider that compresses all the same is passed through.
    let render = |path: &str| {
        let (prefix, authority) = (&url.prefix, &url.authority);
        format!(
            "POST {prefix}{path} HTTP/1.1\r\nhost: {authority}\r\ncontent-type: application/json\r\n\
             accept: */*\r\naccept-encoding: identity\r\n{headers}"
        )
    };
    OPENAI_PATHS.iter().map(|(route, path)| (*route, render(path).into_bytes().into())).collect()
}

fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

fn is_header_value(value: &str) -> bool {
    value.bytes().all(|b| (0x20..0x7f).contains(&b))
}

/// The parts of a base URL.
struct BaseUrl {
    scheme: Scheme,
    host: String,
    port: u16,
    authority: String,
    prefix: String,
}

impl BaseUrl {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = if let Some(rest) = text.strip_prefix("https://") {
            (Scheme::Https, rest)
        } else if let Some(rest) = text.strip_prefix("http://") {
            (Scheme::Http, rest)
        } else {
            return Err("expected a URL that begins with http:// or https://");
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if !path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'\\')) {
            return Err("expected a path without query, fragment or white space");
        }
        let (host, port) = split_authority(authority, scheme)?;
        Ok(Self {
            scheme,
            host,
            port,
            authority: authority.into(),
            prefix: path.trim_end_matches('/').into(),
        })
    }
}

fn split_authority(authority: &str, scheme: Scheme) -> Result<(String, u16), &'static str> {
    let default = if scheme == Scheme::Https { 443 } else { 80 };
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let is_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':');
    if host.is_empty() || !host.bytes().all(is_host) {
        return Err("expected a host name or address, without credentials");
    }
    let port = port.map_or(Ok(default), str::parse).map_err(|_| "expected a port from 1 to 65535")?;
    if port == 0 {
        return Err("expected a port from 1 to 65535");
    }
    Ok((host.into(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls() {
        let good = [
            ("https://api.openai.com/v1", "api.openai.com", 443, "/v1"),
            ("http://127.0.0.1:9000", "127.0.0.1", 9000, ""),
            ("http://[::1]:80/a/b/", "::1", 80, "/a/b"),
        ];
        for (text, host, port, prefix) in good {
            let url = BaseUrl::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!((url.host.as_str(), url.port, url.prefix.as_str()), (host, port, prefix));
        }
        let bad = [
            "ftp://x",
            "https://",
            "http://u:p@h/",
            "http://h:0",
            "http://h:x",
            "http://h/a?b",
            "http://h/a b",
        ];
        for text in bad {
            assert!(BaseUrl::parse(text).is_err(), "{text}");
        }
    }
}
