//! A gateway before a scripted upstream, for tests: what is sent is bytes, what comes back is bytes.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sluice_server::DataPlane;
use sluice_types::{Snapshot, StartOptions};

pub const KEY: &str = "sk-slc-test-key";
pub const PROVIDER_KEY: &str = "sk-canary-provider-0123456789abcdef";

/// What an upstream does with a request it has read.
pub type Script = Box<dyn Fn(&mut TcpStream, &[u8]) -> Keep + Send + Sync>;

/// Whether the connection goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Open,
    Close,
}

/// An upstream that does what its script says, and hands on every request it reads.
pub struct Upstream {
    pub address: SocketAddr,
    pub requests: Receiver<Vec<u8>>,
}

impl Upstream {
    pub fn start(script: impl Fn(&mut TcpStream, &[u8]) -> Keep + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        let script: Arc<Script> = Arc::new(Box::new(script));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (sender, script) = (sender.clone(), Arc::clone(&script));
                thread::spawn(move || serve(stream, &script, &sender));
            }
        });
        Self { address, requests }
    }

    /// Answers everything with the same bytes.
    pub fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |stream, _| {
            stream.write_all(&bytes).unwrap();
            Keep::Open
        })
    }

    pub fn next_request(&self) -> Vec<u8> {
        self.requests.recv_timeout(Duration::from_secs(5)).expect("the upstream was asked")
    }

    pub fn was_asked(&self) -> bool {
        self.requests.recv_timeout(Duration::from_millis(100)).is_ok()
    }
}

fn serve(mut stream: TcpStream, script: &Script, sender: &Sender<Vec<u8>>) {
    while let Some(request) = read_message(&mut stream) {
        let _ = sender.send(request.clone());
        if script(&mut stream, &request) == Keep::Close {
            return;
        }
    }
}

/// Reads one message with a content length or none.
pub fn read_message(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |value| value.trim().parse::<usize>().unwrap());
    let from = bytes.len();
    bytes.resize(from + length, 0);
    stream.read_exact(&mut bytes[from..]).ok()?;
    Some(bytes)
}

/// A JSON answer with a content length.
pub fn json_answer(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// The head of an event stream in chunked coding.
pub const STREAM_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";

/// One chunk.
pub fn chunk(data: &str) -> Vec<u8> {
    format!("{:x}\r\n{data}\r\n", data.len()).into_bytes()
}

pub const COMPLETION: &str = r#"{"id":"c1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}}"#;

/// A snapshot with one provider and model per upstream: `m` leads to all of them in order, `m0`, `m1` … to each alone,
/// `alias` to the first under the name `real-name`.
pub fn snapshot(upstreams: &[SocketAddr]) -> Value {
    let providers: Vec<Value> = upstreams
        .iter()
        .enumerate()
        .map(|(at, address)| {
            json!({
                "id": at + 1, "name": format!("p{at}"), "dialect": "openai", "base_url": format!("http://{address}/v1"),
                "auth": {"kind": "bearer"}, "keys": [{"id": 100 + at, "secret": PROVIDER_KEY, "weight": 1}],
                "usage_in_stream": true,
                "timeouts": {"connect_ms": 1000, "first_byte_ms": 2000, "between_chunks_ms": 1000, "total_ms": 0},
                "idle_timeout_ms": 60000, "max_idle_per_worker": 64,
            })
        })
        .collect();
    let target =
        |at: usize, id: usize, tier: usize| json!({"id": id, "provider": at + 1, "weight": 1, "tier": tier});
    let all: Vec<Value> = (0..upstreams.len()).map(|at| target(at, at + 1, at)).collect();
    let mut models = vec![
        json!({"id": 1, "name": "m", "targets": all}),
        json!({"id": 2, "name": "alias", "aliases": ["other-alias"], "targets": [
            {"id": 50, "provider": 1, "weight": 1, "tier": 0, "upstream_model": "real-name"}]}),
        json!({"id": 3, "name": "pre/*", "targets": [
            {"id": 51, "provider": 1, "weight": 1, "tier": 0, "upstream_model": "*"}]}),
    ];
    models.extend(
        (0..upstreams.len())
            .map(|at| json!({"id": 10 + at, "name": format!("m{at}"), "targets": [target(at, 60 + at, 0)]})),
    );
    json!({
        "version": 1,
        "settings": {
            "max_request_body_bytes": 32 << 20, "max_response_body_bytes": 256 << 20, "max_event_bytes": 16 << 20,
            "header_timeout_ms": 1000, "body_timeout_ms": 1000, "idle_timeout_ms": 5000, "write_timeout_ms": 2000,
            "max_requests_per_connection": 10000, "max_auth_failures_per_minute": 0, "require_key": true,
        },
        "providers": providers,
        "models": models,
        "keys": [{"id": 7, "digests": [{"sha256": digest(KEY)}], "models": ["*"]}],
    })
}

pub fn digest(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A running gateway.
pub struct Gateway {
    pub plane: DataPlane,
    pub address: SocketAddr,
}

impl Gateway {
    pub fn start(snapshot: &Value) -> Self {
        Self::start_with(
            snapshot,
            json!({"listeners": [{"address": "127.0.0.1:0"}], "workers": 1, "max_connections": 10000}),
        )
    }

    pub fn start_with(snapshot: &Value, options: Value) -> Self {
        let options: StartOptions = serde_json::from_value(options).unwrap();
        let plane = DataPlane::start(&options, &parse(snapshot)).unwrap();
        let address = plane.addresses()[0];
        Self { plane, address }
    }

    pub fn before(upstreams: &[&Upstream]) -> Self {
        let addresses: Vec<SocketAddr> = upstreams.iter().map(|upstream| upstream.address).collect();
        Self::start(&snapshot(&addresses))
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Sends a chat request on a new connection and reads the answer to the end of its framing or the connection.
    pub fn chat(&self, body: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(&chat_request(body)).unwrap();
        read_answer(&mut stream)
    }

    /// Sends bytes and reads until the gateway closes or pauses.
    pub fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        read_answer(&mut stream)
    }

    /// The next usage record.
    pub fn record(&self) -> Record {
        for _ in 0..500 {
            let bytes = self.plane.drain_records(1);
            if !bytes.is_empty() {
                return Record(bytes);
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("no usage record");
    }
}

pub fn parse(snapshot: &Value) -> Snapshot {
    serde_json::from_value(snapshot.clone()).unwrap()
}

pub fn chat_request(body: &str) -> Vec<u8> {
    post("/v1/chat/completions", body)
}

pub fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {KEY}\r\n\r\n").into_bytes()
}

/// A usage record by field name.
pub struct Record(Vec<u8>);

impl Record {
    pub fn get(&self, name: &str) -> u64 {
        let field = sluice_types::FIELDS.iter().find(|field| field.name == name).unwrap();
        let width = match field.kind {
            sluice_types::FieldKind::U64 => 8,
            sluice_types::FieldKind::U32 => 4,
            sluice_types::FieldKind::U16 => 2,
            _ => 1,
        };
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(&self.0[field.offset..field.offset + width]);
        u64::from_le_bytes(bytes)
    }
}

/// An answer as it came.
#[derive(Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    /// Without its framing.
    pub body: Vec<u8>,
    /// The framing said the body is whole.
    pub whole: bool,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub fn error_code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_string()
    }
}

/// Reads one answer: head, then the body by its framing.
pub fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut answer = Answer::default();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    answer.head = String::from_utf8_lossy(&head).into_owned();
    answer.status = answer.head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    if answer.status == 100 {
        return read_answer(stream);
    }
    if answer.header("transfer-encoding") == Some("chunked") {
        read_chunks(stream, &mut answer);
    } else if let Some(length) = answer.header("content-length") {
        answer.body.resize(length.parse().unwrap(), 0);
        answer.whole = stream.read_exact(&mut answer.body).is_ok();
    } else {
        let _ = stream.read_to_end(&mut answer.body);
    }
    answer
}

fn read_chunks(stream: &mut TcpStream, answer: &mut Answer) {
    loop {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => line.push(byte[0]),
                _ => return,
            }
        }
        let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).unwrap();
        let mut data = vec![0; size + 2];
        if stream.read_exact(&mut data).is_err() {
            return;
        }
        if size == 0 {
            answer.whole = true;
            return;
        }
        answer.body.extend_from_slice(&data[..size]);
    }
}
