//! Rendered answers: whole HTTP/1.1 responses as bytes, with the places where a stream pauses.

use memchr::memmem;
use serde::Serialize;

/// What stands before the digits of a stamp; see `DemoOptions::stamp_chunks`.
const STAMP_MARK: &[u8] = b"\"obfuscation\":\"T";
/// Digits of a stamp: enough for the nanoseconds of five centuries.
pub(crate) const STAMP_DIGITS: usize = 20;
/// The field with a stamp still to be filled in.
pub(crate) const STAMP_PLACE: &str = "T00000000000000000000";

/// Headers such as a real provider sends, so that what relays them has real work to do.
const PROVIDER_HEADERS: &str = "openai-organization: demo\r\nopenai-processing-ms: 1\r\nopenai-version: 2020-10-01\r\n\
    x-ratelimit-limit-requests: 10000\r\nx-ratelimit-remaining-requests: 9999\r\nx-ratelimit-reset-requests: 6ms\r\n\
    x-ratelimit-limit-tokens: 2000000\r\nx-ratelimit-remaining-tokens: 1999900\r\nx-ratelimit-reset-tokens: 3ms\r\n";

/// One response, ready to be written.
#[derive(Debug)]
pub(crate) struct Reply {
    bytes: Vec<u8>,
    frames: Vec<Frame>,
}

/// What is written at one time: the bytes up to `end`, with the digits of a stamp at `stamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) end: usize,
    pub(crate) stamp: Option<usize>,
}

impl Reply {
    /// A JSON answer.
    pub(crate) fn json(status: u16, request_id: &str, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("answers are made of strings and numbers only");
        let mut bytes = head(status, request_id, "application/json");
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(&body);
        let frames = vec![Frame { end: bytes.len(), stamp: None }];
        Self { bytes, frames }
    }

    /// An answer to be filled with events.
    pub(crate) fn stream(request_id: &str) -> StreamReply {
        let mut bytes = head(200, request_id, "text/event-stream; charset=utf-8");
        bytes.extend_from_slice(b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n");
        StreamReply { bytes, frames: Vec::new(), pending: Vec::new() }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The part before the body, for a client that asked for no more.
    pub(crate) fn head(&self) -> &[u8] {
        let end = memmem::find(&self.bytes, b"\r\n\r\n").map_or(self.bytes.len(), |at| at + 4);
        &self.bytes[..end]
    }

    pub(crate) fn frames(&self) -> &[Frame] {
        &self.frames
    }
}

/// A stream under construction: events gather until [`StreamReply::flush`] makes them one chunk and one write.
pub(crate) struct StreamReply {
    bytes: Vec<u8>,
    frames: Vec<Frame>,
    pending: Vec<u8>,
}

impl StreamReply {
    /// An event without a name.
    pub(crate) fn event(&mut self, data: &impl Serialize) {
        self.pending.extend_from_slice(b"data: ");
        serde_json::to_writer(&mut self.pending, data).expect("events are made of strings and numbers only");
        self.pending.extend_from_slice(b"\n\n");
    }

    /// An event with a name.
    pub(crate) fn named_event(&mut self, name: &str, data: &impl Serialize) {
        self.pending.extend_from_slice(format!("event: {name}\n").as_bytes());
        self.event(data);
    }

    /// What ends a stream of OpenAI's chat and completions.
    pub(crate) fn done(&mut self) {
        self.pending.extend_from_slice(b"data: [DONE]\n\n");
    }

    /// Ends a frame.
    pub(crate) fn flush(&mut self) {
        let size = format!("{:x}\r\n", self.pending.len());
        let start = self.bytes.len() + size.len();
        let mark = memmem::find(&self.pending, STAMP_MARK);
        self.bytes.extend_from_slice(size.as_bytes());
        self.bytes.append(&mut self.pending);
        self.bytes.extend_from_slice(b"\r\n");
        let stamp = mark.map(|at| start + at + STAMP_MARK.len());
        self.frames.push(Frame { end: self.bytes.len(), stamp });
    }

    /// Ends the stream; the last frame carries the end of the coding too.
    pub(crate) fn finish(mut self) -> Reply {
        if !self.pending.is_empty() {
            self.flush();
        }
        self.bytes.extend_from_slice(b"0\r\n\r\n");
        if let Some(last) = self.frames.last_mut() {
            last.end = self.bytes.len();
        }
        Reply { bytes: self.bytes, frames: self.frames }
    }
}

fn head(status: u16, request_id: &str, content_type: &str) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        500 => "Internal Server Error",
        _ => "",
    };
    format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: {content_type}\r\nx-request-id: {request_id}\r\n{PROVIDER_HEADERS}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn frames_cover_the_stream_and_know_their_stamps() {
        let mut stream = Reply::stream("req-1");
        stream.event(&json!({ "obfuscation": STAMP_PLACE }));
        stream.flush();
        stream.named_event("x.y", &json!({"a": 1}));
        stream.done();
        let reply = stream.finish();
        let [first, last] = reply.frames() else { panic!("two frames") };
        let stamp = first.stamp.unwrap();
        assert_eq!(&reply.bytes()[stamp..stamp + STAMP_DIGITS], [b'0'; STAMP_DIGITS]);
        assert_eq!(reply.bytes()[stamp + STAMP_DIGITS], b'"');
        assert_eq!((last.end, last.stamp), (reply.bytes().len(), None));
        let tail = std::str::from_utf8(&reply.bytes()[first.end..]).unwrap();
        assert_eq!(tail, "28\r\nevent: x.y\ndata: {\"a\":1}\n\ndata: [DONE]\n\n\r\n0\r\n\r\n");
    }
}
