//! Reading a provider's base URL.

use crate::egress::Scheme;

/// The parts of a base URL.
pub(crate) struct BaseUrl {
    pub(crate) scheme: Scheme,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) authority: String,
    pub(crate) prefix: String,
}

impl BaseUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
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
