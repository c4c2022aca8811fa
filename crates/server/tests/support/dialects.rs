//! Clients and providers of every dialect, with the cases of the dialects' own tests as their words.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};
use sluice_dialects::event_stream;
use sluice_dialects::exchange::{ApiError, Event, Finish, PartKind};
use sluice_dialects::json::Doc;
use sluice_dialects::sse;
use sluice_dialects::wire::{Frame, Wire};
use sluice_types::Usage;

use super::{Answer, Gateway, Upstream, post_with, snapshot, with};

/// One dialect, as a client asks in it and a provider answers in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Api {
    /// As a provider's dialect is configured.
    pub name: &'static str,
    /// Where its cases are.
    pub cases: &'static str,
    pub wire: Wire,
    /// What the base URL of its providers ends with.
    base: &'static str,
}

const fn api(name: &'static str, cases: &'static str, wire: Wire, base: &'static str) -> Api {
    Api { name, cases, wire, base }
}

pub const OPENAI: Api = api("openai", "openai_chat", Wire::OpenaiChat, "/v1");
pub const RESPONSES: Api = api("openai_responses", "openai_responses", Wire::OpenaiResponses, "/v1");
pub const ANTHROPIC: Api = api("anthropic", "anthropic", Wire::Anthropic, "/v1");
pub const GEMINI: Api = api("gemini", "gemini", Wire::Gemini, "/v1beta");
pub const VERTEX: Api = api("vertex", "gemini", Wire::Gemini, "/v1/projects/p/locations/l");
pub const BEDROCK: Api = api("bedrock", "bedrock", Wire::Bedrock, "");
pub const COHERE: Api = api("cohere", "cohere", Wire::Cohere, "");
pub const OLLAMA: Api = api("ollama", "ollama", Wire::Ollama, "");

/// Those that are no OpenAI's.
pub const OTHERS: [Api; 4] = [ANTHROPIC, GEMINI, BEDROCK, COHERE];

/// Those in which clients ask.
pub const CLIENTS: [Api; 6] = [OPENAI, RESPONSES, ANTHROPIC, GEMINI, BEDROCK, COHERE];

/// Those in which providers answer.
pub const PROVIDERS: [Api; 7] = [OPENAI, RESPONSES, ANTHROPIC, GEMINI, BEDROCK, COHERE, OLLAMA];

impl Api {
    /// A file of a case; panics where there is none.
    pub fn file(&self, case: &str, file: &str) -> String {
        let cases = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../dialects/tests/cases");
        let path = cases.join(self.cases).join(case).join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// What its clients ask, as a whole HTTP request.
    pub fn request(&self, model: &str, stream: bool) -> Vec<u8> {
        self.request_with(model, stream, "", &json!({}))
    }

    /// The same with further lines in the head and members in the body.
    pub fn request_with(&self, model: &str, stream: bool, lines: &str, more: &Value) -> Vec<u8> {
        let body = with_members(self.body(model, stream), more);
        post_with(&self.path(model, stream), lines, &body.to_string())
    }

    /// Where its clients ask.
    pub fn path(&self, model: &str, stream: bool) -> String {
        match (self.name, stream) {
            ("openai", _) => "/v1/chat/completions".into(),
            ("openai_responses", _) => "/v1/responses".into(),
            ("anthropic", _) => "/v1/messages".into(),
            ("gemini", false) => format!("/v1beta/models/{model}:generateContent"),
            ("gemini", true) => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            ("vertex", false) => {
                format!("/v1/projects/p/locations/l/publishers/google/models/{model}:generateContent")
            }
            ("vertex", true) => format!(
                "/v1/projects/p/locations/l/publishers/google/models/{model}:streamGenerateContent?alt=sse"
            ),
            ("bedrock", false) => format!("/model/{model}/converse"),
            ("bedrock", true) => format!("/model/{model}/converse-stream"),
            ("cohere", _) => "/v2/chat".into(),
            (name, _) => panic!("{name} has no clients"),
        }
    }

    /// What its clients ask, as a body.
    pub fn body(&self, model: &str, stream: bool) -> Value {
        let body = match self.name {
            "openai" => json!({"messages": [{"role": "user", "content": "hello"}]}),
            "openai_responses" => json!({"input": "hello"}),
            "anthropic" => json!({"max_tokens": 64, "messages": [{"role": "user", "content": "hello"}]}),
            "gemini" | "vertex" => {
                return json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]});
            }
            "bedrock" => return json!({"messages": [{"role": "user", "content": [{"text": "hello"}]}]}),
            _ => json!({"messages": [{"role": "user", "content": "hello"}]}),
        };
        let body = with_members(body, &json!({"model": model}));
        if stream { with_members(body, &json!({"stream": true})) } else { body }
    }

    /// What a provider says in a case, as a document.
    pub fn document(&self, case: &str) -> Vec<u8> {
        self.file(case, "answer.json").into_bytes()
    }

    /// What a provider says in a case, as a stream.
    pub fn stream(&self, case: &str) -> Vec<u8> {
        match self.wire {
            Wire::Bedrock => self.frames(case).concat(),
            Wire::Ollama => self.file(case, "stream.jsonl").into_bytes(),
            _ => self.file(case, "stream.sse").into_bytes(),
        }
    }

    /// The frames of the stream of a case.
    pub fn frames(&self, case: &str) -> Vec<Vec<u8>> {
        match self.wire {
            Wire::Bedrock => self.file(case, "stream.jsonl").lines().map(bedrock_message).collect(),
            Wire::Ollama => {
                let lines = self.file(case, "stream.jsonl");
                lines.lines().map(|line| format!("{line}\n").into_bytes()).collect()
            }
            _ => {
                let bytes = self.file(case, "stream.sse").into_bytes();
                sse::events(&bytes).map(|event| bytes[event.start..event.end].to_vec()).collect()
            }
        }
    }

    /// The media type of its streams.
    pub fn stream_media(&self) -> &'static str {
        match self.wire {
            Wire::Bedrock => "application/vnd.amazon.eventstream",
            Wire::Ollama => "application/x-ndjson",
            _ => "text/event-stream",
        }
    }

    /// A provider's answer to a request for a document.
    pub fn answer(&self, case: &str) -> Vec<u8> {
        http_answer("200 OK", "application/json", &self.document(case))
    }

    /// A provider's answer to a request for a stream.
    pub fn streamed(&self, case: &str) -> Vec<u8> {
        self.streamed_as(&self.frames(case))
    }

    /// A stream of these frames, each a chunk.
    pub fn streamed_as(&self, frames: &[Vec<u8>]) -> Vec<u8> {
        let chunks: Vec<u8> = frames.iter().flat_map(|frame| chunk_of(frame)).collect();
        [self.stream_head(), chunks, b"0\r\n\r\n".to_vec()].concat()
    }

    /// The head of a stream in chunks.
    pub fn stream_head(&self) -> Vec<u8> {
        let media = self.stream_media();
        format!("HTTP/1.1 200 OK\r\ncontent-type: {media}\r\ntransfer-encoding: chunked\r\n\r\n").into_bytes()
    }

    /// A provider of the dialect, for a snapshot.
    fn provider(&self, mut like: Value, address: SocketAddr) -> Value {
        like["dialect"] = json!(self.name);
        like["base_url"] = json!(format!("http://{address}{}", self.base));
        like["auth"] = match self.name {
            "anthropic" => json!({"kind": "header", "name": "x-api-key"}),
            "gemini" => json!({"kind": "header", "name": "x-goog-api-key"}),
            _ => json!({"kind": "bearer"}),
        };
        like
    }

    /// What the answer says, read as its clients read it.
    pub fn read(&self, answer: &Answer) -> Said {
        let media = answer.header("content-type").unwrap_or_default();
        let is_stream = media.starts_with(self.stream_media());
        if is_stream { self.read_stream(&answer.body) } else { self.read_document(&answer.body) }
    }

    fn read_document(&self, body: &[u8]) -> Said {
        let doc = Doc::parse(body).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(body)));
        let answer = self.wire.read_answer(&doc);
        let answer = answer.unwrap_or_else(|why| panic!("{why:?}: {}", String::from_utf8_lossy(body)));
        let mut said = Said { usage: answer.usage, ended: true, ..Said::default() };
        for part in answer.choices.iter().flat_map(|choice| &choice.parts) {
            match &part.kind {
                PartKind::Text(text) => said.text.push_str(&text.decode()),
                PartKind::ToolCall(call) => {
                    said.tools.push((call.name.decode().into(), call.arguments.to_text().decode().into()));
                }
                _ => {}
            }
        }
        said.finish = answer.choices.first().map(|choice| choice.finish);
        said
    }

    /// Reads a stream in its own framing.
    pub fn read_stream(&self, body: &[u8]) -> Said {
        let mut said = Said::default();
        let mut decoder = self.wire.decoder();
        let mut frame = |frame: Frame<'_>| {
            let read = decoder.frame(frame, &mut |event| said.take(&event));
            assert_eq!(read, Ok(()), "{}: {}", self.name, String::from_utf8_lossy(frame.data));
        };
        if self.wire == Wire::Bedrock {
            assert_eq!(event_stream::whole_messages(body), Ok(body.len()), "whole messages");
            event_stream::messages(body).for_each(|message| frame(message.frame()));
        } else if self.wire == Wire::Ollama {
            let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            lines.for_each(|data| frame(Frame { name: None, data }));
        } else {
            for event in sse::events(body) {
                let mut data = Vec::new();
                event.join_data(&mut data);
                if !data.is_empty() {
                    frame(Frame { name: event.name, data: &data });
                }
            }
        }
        decoder.end(&mut |event| said.take(&event));
        said
    }
}

/// What an answer says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    pub text: String,
    /// Names and arguments.
    pub tools: Vec<(String, String)>,
    pub finish: Option<Finish>,
    pub usage: Option<Usage>,
    pub error: Option<ApiError>,
    pub ended: bool,
}

impl Said {
    /// Names and arguments of the tools called; none at all are an empty object.
    pub fn calls(&self) -> Vec<(&str, Value)> {
        let value = |text: &str| match text.trim() {
            "" => json!({}),
            text => serde_json::from_str(text).unwrap(),
        };
        self.tools.iter().map(|(name, arguments)| (name.as_str(), value(arguments))).collect()
    }

    fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::Text { text, .. } => self.text.push_str(&text.decode()),
            Event::ToolStart { name, .. } => self.tools.push((name.decode().into(), String::new())),
            Event::ToolArguments { tool, fragment, .. } => {
                self.tools[*tool as usize].1.push_str(&fragment.decode());
            }
            Event::Finish { finish, .. } => self.finish = Some(*finish),
            Event::Usage(usage) => self.usage.get_or_insert_default().merge_max(*usage),
            Event::Error(error) => self.error = Some(error.clone()),
            Event::End => self.ended = true,
            _ => {}
        }
    }
}

pub fn with_members(mut body: Value, more: &Value) -> Value {
    let members = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(members);
    body
}

/// A line of a case as the message it stands for.
fn bedrock_message(line: &str) -> Vec<u8> {
    let line: Value = serde_json::from_str(line).unwrap();
    let mut out = Vec::new();
    let data = line["data"].to_string();
    let name = line["event"].as_str().unwrap();
    let payload = |out: &mut Vec<u8>| out.extend(data.bytes());
    if name.ends_with("Exception") {
        event_stream::write_exception(&mut out, name, payload);
    } else {
        event_stream::write_event(&mut out, name, payload);
    }
    out
}

/// One chunk of any bytes.
pub fn chunk_of(data: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

/// An answer with a content length.
pub fn http_answer(status: &str, media: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// A gateway before providers of these dialects; `m` leads to all of them in order.
pub fn gateway_of(providers: &[(Api, &Upstream)]) -> Gateway {
    gateway_with(providers, &[])
}

/// The same with changes to the snapshot as in [`with`].
pub fn gateway_with(providers: &[(Api, &Upstream)], changes: &[(&str, Value)]) -> Gateway {
    Gateway::start(&with(snapshot_of(providers), changes))
}

/// The snapshot of such a gateway.
pub fn snapshot_of(providers: &[(Api, &Upstream)]) -> Value {
    let at: Vec<(Api, SocketAddr)> =
        providers.iter().map(|(api, upstream)| (*api, upstream.address)).collect();
    snapshot_at(&at)
}

/// The same before providers at these addresses.
pub fn snapshot_at(providers: &[(Api, SocketAddr)]) -> Value {
    let addresses: Vec<SocketAddr> = providers.iter().map(|(_, address)| *address).collect();
    let mut snapshot = snapshot(&addresses);
    for (at, (api, address)) in providers.iter().enumerate() {
        snapshot["providers"][at] = api.provider(snapshot["providers"][at].clone(), *address);
    }
    snapshot
}

/// A request as an upstream has seen it.
#[derive(Debug)]
pub struct Seen {
    /// Method and target.
    pub line: String,
    /// In lower case.
    pub head: String,
    pub body: Vec<u8>,
}

/// The next request an upstream has seen.
pub fn seen(upstream: &Upstream) -> Seen {
    let bytes = upstream.next_request();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_string();
    Seen { line, head: head.to_ascii_lowercase(), body: bytes[end..].to_vec() }
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}
