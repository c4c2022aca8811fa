use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};

use crate::body::chat_body;
use crate::options::{Body, LoadOptions};

/// One URL and the bytes to send there.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    /// The whole request, head and body.
    pub(crate) request: Vec<u8>,
    pub(crate) stream: bool,
    pub(crate) expect_status: u16,
    pub(crate) timeout_ns: u64,
}

impl Plan {
    pub(crate) fn new(
        options: &LoadOptions,
        url: &str,
        headers: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let (host, path) = split_url(url)?;
        Ok(Self {
            address: resolve(host)?,
            request: request(host, path, headers, options)?,
            stream: options.stream,
            expect_status: options.expect_status,
            timeout_ns: options.timeout_ms * 1_000_000,
        })
    }
}

fn split_url(url: &str) -> Result<(&str, &str), String> {
    let rest =
        url.strip_prefix("http://").ok_or_else(|| format!("{url}: only http:// URLs can be loaded"))?;
    let slash = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(slash);
    Ok((host, if path.is_empty() { "/" } else { path }))
}

fn resolve(host: &str) -> Result<SocketAddr, String> {
    let with_port = if has_port(host) { host.to_owned() } else { format!("{host}:80") };
    let mut addresses = with_port.to_socket_addrs().map_err(|error| format!("{host}: {error}"))?;
    addresses.next().ok_or_else(|| format!("{host}: no address"))
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn request(
    host: &str,
    path: &str,
    headers: &BTreeMap<String, String>,
    options: &LoadOptions,
) -> Result<Vec<u8>, String> {
    let body = match &options.body {
        Body::Empty => Vec::new(),
        Body::Chat { bytes, model } => chat_body(*bytes, model, options.stream),
        Body::Text { text } => text.clone().into_bytes(),
    };
    let method = if matches!(options.body, Body::Empty) { "GET" } else { "POST" };
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
    for (name, value) in headers {
        if name.is_empty()
            || [name, value].iter().any(|text| text.contains(['\r', '\n']))
            || name.contains(':')
        {
            return Err(format!("the header {name:?} is not one line"));
        }
        head += &format!("{name}: {value}\r\n");
    }
    if method == "POST" {
        head += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    }
    head += "\r\n";
    Ok([head.into_bytes(), body].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split() {
        for (url, expected) in [
            ("http://a:1/b?c", Ok(("a:1", "/b?c"))),
            ("http://a", Ok(("a", "/"))),
            ("https://a/", Err(())),
            ("a:1", Err(())),
        ] {
            assert_eq!(split_url(url).map_err(drop), expected, "{url}");
        }
        assert_eq!(resolve("127.0.0.1").unwrap().port(), 80);
        assert_eq!(resolve("[::1]:9").unwrap().port(), 9);
    }

    #[test]
    fn requests_carry_their_headers_and_no_others() {
        let json = r#"{"url": "http://h/", "mode": {"kind": "closed", "connections": 1},
            "body": {"kind": "text", "text": "{}"}}"#;
        let options: LoadOptions = serde_json::from_str(json).unwrap();
        let headers = BTreeMap::from([("authorization".to_owned(), "Bearer k".to_owned())]);
        let request = request("h:1", "/p", &headers, &options).unwrap();
        let expected = "POST /p HTTP/1.1\r\nhost: h:1\r\nauthorization: Bearer k\r\n\
            content-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(String::from_utf8(request).unwrap(), expected);
        for (name, value) in [("a\r\nb", "c"), ("a", "b\nc"), ("", "x"), ("a:b", "c")] {
            let headers = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            assert!(super::request("h", "/", &headers, &options).is_err(), "{name:?}: {value:?}");
        }
    }
}
