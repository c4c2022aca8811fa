//! A client small enough to be trusted: one request per connection, read to the end.

#![allow(dead_code, clippy::unwrap_used, reason = "every test file uses its part of this, and only tests do")]

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;
use sluice_demo::{DemoOptions, DemoProvider};
use sluice_http1::ChunkedDecoder;

/// A response, its coding removed.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The data of all events, the last of which is taken off when it is `[DONE]`.
    pub(crate) fn events(&self) -> (Vec<Value>, bool) {
        let mut data: Vec<&str> = self.body.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        let done = data.last() == Some(&"[DONE]");
        if done {
            data.pop();
        }
        (data.into_iter().map(|json| serde_json::from_str(json).unwrap()).collect(), done)
    }
}

pub(crate) fn start(json: &str) -> DemoProvider {
    let options: DemoOptions = serde_json::from_str(json).unwrap();
    sluice_demo::start(options).unwrap()
}

pub(crate) fn post(provider: &DemoProvider, path: &str, body: &str) -> Response {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    exchange(provider, request.as_bytes())
}

pub(crate) fn get(provider: &DemoProvider, path: &str) -> Response {
    exchange(provider, format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
}

pub(crate) fn exchange(provider: &DemoProvider, request: &[u8]) -> Response {
    parse(&raw(provider, request))
}

/// All bytes that come back until the provider closes the connection.
pub(crate) fn raw(provider: &DemoProvider, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(provider.address()).unwrap();
    stream.write_all(request).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

pub(crate) fn parse(bytes: &[u8]) -> Response {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = if head.contains("transfer-encoding: chunked") { dechunk(body) } else { body.to_owned() };
    Response { status, head: head.to_owned(), body }
}

fn dechunk(body: &str) -> String {
    let mut bytes = body.as_bytes().to_vec();
    let decoded = ChunkedDecoder::new().decode(&mut bytes).unwrap();
    assert!(decoded.done && decoded.consumed == body.len(), "the coding ends with the response");
    bytes.truncate(decoded.produced);
    String::from_utf8(bytes).unwrap()
}
