//! What the fuzz targets do. Also replayed over the stored corpus by an ordinary test, and fed by property tests.
#![allow(dead_code, reason = "each test binary and fuzz target uses a part")]

use std::ops::Range;

use serde_json::Value;
use serde_json::value::RawValue;
use sluice_dialects::bedrock;
use sluice_dialects::event_stream;
use sluice_dialects::json::{self, StringError};
use sluice_dialects::multipart::{self, Boundary};
use sluice_dialects::openai::body::{BodyFacts, BodyTap, MAX_USAGE_BYTES};
use sluice_dialects::openai::stream::{EventClass, StreamTap};
use sluice_dialects::openai::{Endpoint, inspect, usage_at_end};
use sluice_dialects::sse::{EventBoundary, events, unfinished};
use sluice_dialects::wire::{AnswerContext, Decode as _, Encode as _, Tap as _};
use sluice_types::Usage;

const WANTED: [&str; 5] = ["model", "stream", "stream_options", "max_tokens", "n"];

const ENDPOINTS: [Endpoint; 4] =
    [Endpoint::Chat, Endpoint::Completions, Endpoint::Embeddings, Endpoint::Responses];

/// The scanner and `serde_json` accept the same documents (but for the written policy) and find the same values.
pub(crate) fn scan_object(data: &[u8]) {
    let expected = reference_scan(data);
    match (json::scan_object(data, &WANTED), &expected) {
        (Ok(members), Some(values)) => {
            for (span, expected) in members.values.iter().zip(values) {
                let found = span.map(|span| span.start as usize..span.end as usize);
                assert_eq!(&found, expected);
                if let Some(range) = found {
                    read_value(&data[range]);
                }
            }
        }
        (Err(error), None) => assert!(error.offset <= data.len(), "{error}"),
        (found, expected) => panic!("scanner {found:?}, reference {expected:?}"),
    }
    ENDPOINTS.iter().for_each(|endpoint| splice(*endpoint, data));
}

/// The spans of the wanted members, or `None` where the document is to be refused.
fn reference_scan(data: &[u8]) -> Option<[Option<Range<usize>>; 5]> {
    let members = members_in_order(data)?;
    if reference_depth(data) > json::MAX_DEPTH {
        return None;
    }
    let mut found = [const { None }; 5];
    for (raw_name, value) in members {
        let name: String = serde_json::from_str(raw_name.get()).ok()?;
        let folded: String = name.chars().map(reference_fold).collect();
        let Some(index) = WANTED.iter().position(|wanted| *wanted == folded) else { continue };
        let plain = raw_name.get() == format!("\"{folded}\"");
        let start = value.get().as_ptr() as usize - data.as_ptr() as usize;
        if !plain || found[index].replace(start..start + value.get().len()).is_some() {
            return None;
        }
    }
    Some(found)
}

/// Every member of an object with its name as written; a map would hide members that are there twice.
fn members_in_order(data: &[u8]) -> Option<Vec<(&RawValue, &RawValue)>> {
    struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);
    struct Visitor;
    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = Members<'de>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(Members(members))
        }
    }
    impl<'de> serde::Deserialize<'de> for Members<'de> {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(Visitor)
        }
    }
    serde_json::from_slice::<Members<'_>>(data).ok().map(|members| members.0)
}

/// Deepest nesting of a document known to be valid.
fn reference_depth(data: &[u8]) -> u32 {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_u32, 0, false, false);
    for byte in data {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The ASCII letter that the upper or lower case of a character is.
fn reference_fold(character: char) -> char {
    let (upper, lower) = (character.to_uppercase(), character.to_lowercase());
    let mapped = upper.chain(lower).find(char::is_ascii_alphabetic);
    let folds = character.is_ascii() || "\u{17f}\u{212a}\u{131}\u{130}".contains(character);
    mapped.filter(|_| folds).unwrap_or(character).to_ascii_lowercase()
}

/// The readers of single values agree with `serde_json` on what they read.
fn read_value(value: &[u8]) {
    let mut scratch = vec![0; value.len()];
    let text = json::unescape(value, &mut scratch);
    match serde_json::from_slice::<Value>(value) {
        Ok(Value::String(expected)) => assert_eq!(text, Ok(expected.as_str())),
        Ok(Value::Bool(expected)) => assert_eq!(json::as_bool(value), Some(expected)),
        Ok(Value::Number(number)) => {
            if let Some(expected) = number.as_u64() {
                assert_eq!(json::as_u64(value), Some(expected));
            } else if number.as_i64().is_some() {
                assert_eq!(json::as_u64(value), None);
            }
        }
        Ok(_) => assert_eq!((json::as_bool(value), json::as_u64(value)), (None, None)),
        // A lone surrogate, or a number beyond the range of a double.
        Err(_) => assert!(value[0] != b'"' || text == Err(StringError::NotText)),
    }
}

/// A body that is accepted stays valid when spliced, says what was spliced in, and is otherwise what it was.
fn splice(endpoint: Endpoint, body: &[u8]) {
    const MODEL: &str = "gpt-\"x\"/é";
    let Ok(view) = inspect(endpoint, body) else { return };
    assert_eq!(view.splices(body, None, false).as_slices().concat(), body);
    let quoted = json::json_escaped(MODEL);
    let pieces = view.splices(body, Some(&quoted), true);
    let sent = pieces.as_slices().concat();
    assert_eq!(sent.len(), pieces.len_bytes());
    assert!(pieces.as_slices().iter().all(|piece| !piece.is_empty()));
    let again = inspect(endpoint, &sent).expect("a spliced body is as good as the original");
    assert_eq!(again.model(&sent, &mut [0; 256]), MODEL);
    assert_eq!(again.include_usage, view.include_usage || (view.stream && endpoint.usage_is_optional()));
    assert_eq!(
        (again.stream, again.max_output_tokens, again.n),
        (view.stream, view.max_output_tokens, view.n)
    );
    let restored = again.splices(&sent, Some(view_model(&view, body).as_str()), false).as_slices().concat();
    assert_eq!(without_options(&restored), without_options(body));
}

fn view_model(view: &sluice_dialects::openai::RequestView, body: &[u8]) -> String {
    json::json_escaped(view.model(body, &mut [0; 256]))
}

/// The members but for the option that splicing may have set.
fn without_options(body: &[u8]) -> Option<Vec<(String, String)>> {
    let members = members_in_order(body)?;
    let members = members.into_iter().map(|(name, value)| {
        let name: String = serde_json::from_str(name.get()).unwrap_or_default();
        let value = match name.as_str() {
            "model" => serde_json::from_str::<String>(value.get()).unwrap_or_default(),
            _ => value.get().to_owned(),
        };
        (name, value)
    });
    Some(members.filter(|(name, _)| name != "stream_options").collect())
}

/// However a stream is cut into reads, the same events, classes and facts come out, and the events are those of a plain
/// reading of the standard. The first byte chooses the endpoint and the cuts.
pub(crate) fn sse_tap(data: &[u8]) {
    let Some((choice, stream)) = data.split_first() else { return };
    let endpoint = ENDPOINTS[usize::from(choice % 4)];
    let whole = follow(endpoint, stream, &mut |_| usize::MAX);
    assert_eq!(whole.events, reference_events(stream));
    let stride = usize::from(choice / 4 % 16) + 1;
    assert_eq!(follow(endpoint, stream, &mut |_| stride), whole);
    // Cuts that fall in all places relative to line ends.
    assert_eq!(follow(endpoint, stream, &mut |at| 1 + (at * 7 + usize::from(*choice)) % 5), whole);
}

/// An event's name and data.
type NamedData = (Option<Vec<u8>>, Option<Vec<u8>>);

/// All that is learnt from a stream.
#[derive(Debug, PartialEq)]
pub(crate) struct Followed {
    pub(crate) events: Vec<NamedData>,
    pub(crate) classes: Vec<EventClass>,
    pub(crate) usage: Option<Usage>,
    pub(crate) finished: bool,
    pub(crate) saw_output: bool,
    pub(crate) output_bytes: u64,
    pub(crate) next_sequence_number: u64,
    pub(crate) rest: Vec<u8>,
}

/// Reads a stream in pieces, of the length `piece` says at each offset.
pub(crate) fn follow(endpoint: Endpoint, stream: &[u8], piece: &mut dyn FnMut(usize) -> usize) -> Followed {
    let mut tap = StreamTap::new(endpoint);
    let mut boundary = EventBoundary::new();
    let (mut buffer, mut forwarded) = (Vec::new(), Vec::new());
    let (mut found, mut classes) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < stream.len() {
        let end = at.saturating_add(piece(at).max(1)).min(stream.len());
        buffer.extend_from_slice(&stream[at..end]);
        at = end;
        let whole = boundary.whole_events(&buffer);
        assert_eq!(boundary.whole_events(&buffer), whole, "asking twice changes nothing");
        let mut next = 0;
        for event in events(&buffer[..whole]) {
            assert_eq!((event.start, event.bytes), (next, &buffer[event.start..event.end]));
            next = event.end;
            let class = tap.event(&event);
            if !event.is_comment_only() {
                let mut data = Vec::new();
                event.join_data(&mut data);
                let data = event.data_lines().next().map(|_| data);
                found.push((event.name.map(<[u8]>::to_vec), data));
                classes.push(class);
            }
        }
        assert_eq!(next, whole, "whole events are all events");
        forwarded.extend(buffer.drain(..whole));
        boundary.consumed(whole);
    }
    forwarded.extend_from_slice(&buffer);
    assert_eq!(forwarded, stream);
    assert_eq!(unfinished(&buffer).bytes, buffer);
    Followed {
        events: found,
        classes,
        usage: tap.usage(),
        finished: tap.finished(),
        saw_output: tap.saw_output(),
        output_bytes: tap.output_bytes(),
        next_sequence_number: tap.next_sequence_number(),
        rest: buffer,
    }
}

/// The events of a stream by the letter of the standard, line after line, except that events without data count.
fn reference_events(stream: &[u8]) -> Vec<NamedData> {
    let (mut found, mut fields, mut name, mut data) = (Vec::new(), 0, None, None::<Vec<u8>>);
    for line in reference_lines(stream) {
        if line.is_empty() {
            if fields > 0 {
                found.push((name.take(), data.take()));
            }
            fields = 0;
            continue;
        }
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        fields += usize::from(colon > 0);
        match &line[..colon] {
            b"event" => name = Some(value.to_vec()),
            b"data" => data = Some(data.map_or(value.to_vec(), |data| [&data, &b"\n"[..], value].concat())),
            _ => {}
        }
    }
    found
}

/// The lines that have an end.
fn reference_lines(stream: &[u8]) -> Vec<&[u8]> {
    let (mut lines, mut start, mut at) = (Vec::new(), 0, 0);
    while at < stream.len() {
        let end_len = match &stream[at..] {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => 0,
        };
        if end_len > 0 {
            lines.push(&stream[start..at]);
            start = at + end_len;
        }
        at += end_len.max(1);
    }
    lines
}

/// However an answer is cut into reads, the same facts come out, and for valid JSON they are those of `serde_json`. The
/// first byte chooses the cuts.
pub(crate) fn body_tap(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let whole = tap_body([body]);
    assert_eq!(tap_body(body.chunks(usize::from(*choice) + 1)), whole);
    assert_eq!(tap_body(body.chunks(1)), whole);
    let Some(members) = members_in_order(body) else { return };
    assert!(whole.is_json_object && whole.complete);
    let named = |wanted: &str| {
        let plain = format!("\"{wanted}\"");
        members.iter().filter(move |(name, _)| name.get() == plain).map(|(_, value)| value.get())
    };
    assert_eq!(whole.has_error, named("error").any(|value| value != "null"));
    // The shorter way to usage says the same, or nothing; it needs no room, and so has no bound.
    if let Some(usage) = usage_at_end(body) {
        let unlike = named("usage").count() > 1 || named("usage").any(|value| value.len() > MAX_USAGE_BYTES);
        assert!(unlike || whole.usage == Some(usage));
    }
    if let Some(usage) = whole.usage {
        assert!(named("usage").any(|value| value.starts_with('{')));
        let counts = [usage.input, usage.output];
        let texts: Vec<&str> = named("usage").collect();
        for count in counts.into_iter().filter(|count| (1..u32::MAX).contains(count)) {
            let number = count.to_string();
            let plain = texts.iter().any(|text| text.contains(&number));
            assert!(
                plain || texts.iter().any(|text| text.contains(['e', 'E', '.'])),
                "{count} is from nowhere"
            );
        }
    }
}

/// The facts of an answer in pieces.
pub(crate) fn tap_body<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> BodyFacts {
    let mut tap = BodyTap::new();
    pieces.into_iter().for_each(|piece| tap.feed(piece));
    tap.finish()
}

/// However an event stream is cut into reads, the same messages come out, or the same refusal; and what is written is read
/// as it was. The first byte chooses the cuts.
pub(crate) fn event_stream(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    cut_messages(data, usize::from(*choice) % 40 + 1);
    let mut stream = Vec::new();
    let payloads: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    for payload in &payloads {
        event_stream::write_event(&mut stream, "contentBlockDelta", |out| out.extend_from_slice(payload));
    }
    cut_messages(&stream, usize::from(*choice) + 1);
    let read: Vec<&[u8]> = event_stream::messages(&stream).map(|message| message.payload).collect();
    assert_eq!(read, payloads);
    let (mut tap, mut decoder) = (bedrock::StreamTap::default(), bedrock::Decoder::default());
    let mut encoder = bedrock::Encoder::new(AnswerContext::default());
    let mut written = Vec::new();
    for message in event_stream::messages(&stream) {
        tap.frame(message.frame());
        // What is no JSON is refused, which is as good.
        let _ = decoder.frame(message.frame(), &mut |event| encoder.event(&event, &mut written));
    }
    assert_eq!(event_stream::whole_messages(&written), Ok(written.len()));
}

fn cut_messages(stream: &[u8], stride: usize) {
    let whole = event_stream::whole_messages(stream);
    let (mut buffer, mut pieces, mut failed) = (Vec::new(), 0, None);
    for piece in stream.chunks(stride) {
        buffer.extend_from_slice(piece);
        match event_stream::whole_messages(&buffer) {
            Ok(bytes) => {
                let lengths = event_stream::messages(&buffer[..bytes]).map(|message| message.range.len());
                assert_eq!(lengths.sum::<usize>(), bytes, "whole messages are all messages");
                pieces += bytes;
                buffer.drain(..bytes);
            }
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    match (whole, failed) {
        (Ok(bytes), None) => assert_eq!(bytes, pieces),
        (Err(_), Some(_)) => {}
        (whole, failed) => panic!("whole {whole:?}, in pieces {failed:?}"),
    }
}

/// The walk over a form and a plain splitting of it at its boundary find the same values, and whatever is found is a field
/// that any reader would find: it stands alone between two delimiters.
pub(crate) fn scan_form(data: &[u8]) {
    // The first line is the content type.
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (content_type, body) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let Some(boundary) = Boundary::of(content_type) else { return };
    let delimiter = [b"--", boundary.as_bytes()].concat();
    let found = match multipart::scan_form(body, boundary, &["model", "stream"]) {
        Ok(found) => found,
        Err(error) => {
            assert!(error.offset <= body.len(), "{error}");
            return;
        }
    };
    let parts = split(body, &delimiter);
    assert!(parts.len() >= 2 && parts[0].is_empty(), "nothing stands before the first delimiter");
    assert!(parts.last().is_some_and(|last| [&b"--"[..], b"--\r\n"].contains(last)), "the last one closes");
    for (name, span) in ["model", "stream"].iter().zip(found) {
        let fields = parts[1..].iter().filter_map(|part| reference_field(part, name));
        let value = span.map(|span| span.of(body));
        assert_eq!(fields.collect::<Vec<_>>(), value.into_iter().collect::<Vec<_>>(), "{name}");
    }
}

fn split<'a>(body: &'a [u8], delimiter: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at + delimiter.len() <= body.len() {
        if body[at..].starts_with(delimiter) {
            parts.push(&body[from..at]);
            at += delimiter.len();
            from = at;
        } else {
            at += 1;
        }
    }
    parts.push(&body[from..]);
    parts
}

/// The content of a part whose head has the name, quoted or not.
fn reference_field<'a>(part: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let at = part.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&part[..at]).to_ascii_lowercase();
    let line = head.split("\r\n").find_map(|line| line.strip_prefix("content-disposition:"))?;
    let mut quoted = false;
    let parameters = line.split(|sign| {
        quoted ^= sign == '"';
        sign == ';' && !quoted
    });
    let spellings = [format!("name={name}"), format!("name=\"{name}\"")];
    let is_field = parameters.map(str::trim).any(|parameter| spellings.iter().any(|it| it == parameter));
    is_field.then(|| part[at + 4..].strip_suffix(b"\r\n").unwrap_or_default())
}
