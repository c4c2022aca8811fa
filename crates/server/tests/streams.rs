//! Streams whole, split and broken: what the provider did is what the client sees, and a cut is never a clean end.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice_types::{ErrorKind, flags};
use support::*;

/// The events of a stream as the client reads them: its data, joined.
fn data_of(answer: &Answer) -> Vec<String> {
    answer.text().split("\n\n").filter_map(|event| event.strip_prefix("data: ").map(str::to_owned)).collect()
}

fn first_tokens(count: usize) -> Vec<String> {
    std::iter::once(ROLE.to_string()).chain((0..count).map(|at| token(&format!("t{at} ")))).collect()
}

fn chunks(events: &[String]) -> Vec<u8> {
    [STREAM_HEAD.to_vec(), events.iter().flat_map(|event| chunk(event)).collect()].concat()
}

/// How a provider breaks a stream off.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Close,
    Reset,
    Stall,
    EndOfChunks,
    BadChunk,
    HalfAnEvent,
    HalfAnEventThenEndOfChunks,
}

/// An upstream that sends these events and then breaks off.
fn cutting(events: Vec<String>, cut: Cut) -> Upstream {
    let bytes = chunks(&events);
    Upstream::start(move |stream, _| {
        let _ = stream.write_all(&bytes);
        let half = chunk("data: {\"choices\":[{\"index\":0,\"delta\":{\"cont");
        match cut {
            Cut::Close => {}
            Cut::Reset => {
                // Not before what was sent has been read.
                thread::sleep(Duration::from_millis(50));
                reset(stream);
            }
            Cut::Stall => wait_for_end(stream),
            Cut::EndOfChunks => stream.write_all(b"0\r\n\r\n").unwrap(),
            Cut::BadChunk => {
                // In one piece with the events, it would come before anything was passed on.
                thread::sleep(Duration::from_millis(50));
                stream.write_all(b"zz\r\n").unwrap();
            }
            Cut::HalfAnEvent => stream.write_all(&half).unwrap(),
            Cut::HalfAnEventThenEndOfChunks => stream.write_all(&[&half[..], b"0\r\n\r\n"].concat()).unwrap(),
        }
        Keep::Close
    })
}

const CUTS: [Cut; 7] = [
    Cut::Close,
    Cut::Reset,
    Cut::Stall,
    Cut::EndOfChunks,
    Cut::BadChunk,
    Cut::HalfAnEvent,
    Cut::HalfAnEventThenEndOfChunks,
];

#[test]
fn a_stream_cut_in_the_middle_ends_in_an_error_and_without_an_end() {
    for_each(CUTS, |cut| {
        let events = first_tokens(40);
        let upstream = cutting(events.clone(), cut);
        let other = Upstream::answering(stream_of(&[ROLE, &token("other"), FINISH, DONE]));
        let changes = [("/providers/0/timeouts/between_chunks_ms", json!(300))];
        let gateway = Gateway::before_with(&[&upstream, &other], &changes);
        let began = Instant::now();
        let mut stream = gateway.connect();
        stream.write_all(&chat_request(STREAM)).unwrap();
        let answer = read_answer(&mut stream);
        assert!(began.elapsed() < Duration::from_millis(1300), "{cut:?}: {:?}", began.elapsed());
        assert_eq!((answer.status, answer.whole), (200, false), "{cut:?}: {}", answer.text());
        let (data, sent) = (data_of(&answer), events.concat());
        assert!(answer.text().starts_with(&sent), "{cut:?}: {}", answer.text());
        assert_eq!(data.len(), events.len() + 1, "{cut:?}: {}", answer.text());
        let error: Value = serde_json::from_str(data.last().unwrap()).unwrap();
        assert_eq!(error["error"]["code"], "upstream_truncated", "{cut:?}");
        assert!(!answer.text().contains("[DONE]"), "{cut:?}");
        assert_eq!(read_to_end(&mut stream), b"", "{cut:?}");
        // Never a second try once something was sent.
        assert_eq!((upstream.times_asked(), other.times_asked()), (1, 0), "{cut:?}");
        let record = gateway.record();
        assert_eq!(
            (record.get("status"), record.error()),
            (200, Some(ErrorKind::UpstreamTruncated)),
            "{cut:?}"
        );
        let wanted = u64::from(flags::STREAM | flags::TRUNCATED | flags::ESTIMATED);
        assert_eq!(record.get("flags"), wanted, "{cut:?}");
        assert!(record.get("output_tokens") > 30, "{cut:?}: {}", record.get("output_tokens"));
        let stats = gateway.is_at_rest();
        assert_eq!(stats.targets.iter().map(|target| target.attempts.truncated).sum::<u64>(), 1, "{cut:?}");
    });
}

#[test]
fn a_responses_stream_cut_in_the_middle_ends_in_an_event_of_its_own_kind() {
    let created = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0}\n\n";
    let delta = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"a\"}\n\n";
    let upstream = cutting(vec![created.into(), delta.into()], Cut::Close);
    let gateway = Gateway::before(&[&upstream]);
    let answer = gateway.raw(&post("/v1/responses", r#"{"model":"m","stream":true,"input":"hello"}"#));
    assert!(!answer.whole);
    let last = answer.text()[created.len() + delta.len()..].to_string();
    let data = last.strip_prefix("event: error\ndata: ").unwrap();
    let error: Value = serde_json::from_str(data).unwrap();
    assert_eq!(
        (error["type"].as_str(), error["sequence_number"].as_u64()),
        (Some("error"), Some(2)),
        "{last}"
    );
}

#[test]
fn a_cut_is_told_to_clients_of_http_1_0_too() {
    let upstream = cutting(first_tokens(3), Cut::Close);
    let gateway = Gateway::before(&[&upstream]);
    let request = String::from_utf8(chat_request(STREAM)).unwrap().replacen("HTTP/1.1", "HTTP/1.0", 1);
    let answer = gateway.raw(request.as_bytes());
    assert!(answer.text().contains("upstream_truncated"), "{}", answer.text());
}

/// Ways to end that are whole. What the client sees, with its framing.
#[test]
fn a_stream_that_has_finished_ends_promptly_however_the_provider_ends_it() {
    let finished = [first_tokens(2), vec![FINISH.to_string()]].concat();
    let with = |more: &[&str]| [finished.clone(), more.iter().map(ToString::to_string).collect()].concat();
    let until_close = |events: &[String]| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        [head.to_vec(), events.concat().into_bytes()].concat()
    };
    let whole = |events: &[String]| [chunks(events), b"0\r\n\r\n".to_vec()].concat();
    let cases = [
        ("all as it should be", whole(&with(&[DONE])), with(&[DONE])),
        ("no end marker", whole(&finished), finished.clone()),
        ("no end marker, until close", until_close(&finished), finished.clone()),
        ("no last chunk behind the end marker", chunks(&with(&[DONE])), with(&[DONE])),
        ("no last chunk, no end marker", chunks(&finished), finished.clone()),
        ("usage after the reason", whole(&with(&[USAGE, DONE])), with(&[DONE])),
        ("two events of usage", whole(&with(&[USAGE, USAGE, DONE])), with(&[DONE])),
        ("no blank line at the end", whole(&with(&["data: [DONE]\n"])), with(&["data: [DONE]\n"])),
        ("no line end at the end", until_close(&with(&["data: [DONE]"])), with(&["data: [DONE]"])),
        ("usage without a blank line", whole(&with(&[USAGE.trim_end()])), finished.clone()),
        (
            "no reason but the end marker",
            whole(&[first_tokens(2), vec![DONE.into()]].concat()),
            [first_tokens(2), vec![DONE.into()]].concat(),
        ),
        ("two reasons", whole(&with(&[FINISH, DONE])), with(&[FINISH, DONE])),
    ];
    for_each(cases, |(what, bytes, expected)| {
        let upstream = Upstream::closing_after(bytes);
        let gateway = Gateway::before(&[&upstream]);
        let began = Instant::now();
        let answer = gateway.chat(STREAM);
        assert!(began.elapsed() < Duration::from_millis(800), "{what}: {:?}", began.elapsed());
        assert_eq!((answer.text(), answer.whole), (expected.concat(), true), "{what}");
        let record = gateway.record();
        assert_eq!((record.get("status"), record.error()), (200, None), "{what}");
        gateway.is_at_rest();
    });
}

#[test]
fn a_provider_that_keeps_the_connection_open_behind_its_end_marker_delays_nothing_for_long() {
    let (upstream, _closed) =
        Upstream::hanging_after(chunks(&[first_tokens(2), vec![FINISH.into(), DONE.into()]].concat()));
    let changes = [("/providers/0/timeouts/between_chunks_ms", json!(60_000))];
    let gateway = Gateway::before_with(&[&upstream], &changes);
    let began = Instant::now();
    let answer = gateway.chat(STREAM);
    assert_eq!((answer.whole, answer.text().ends_with(DONE)), (true, true));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

/// Several choices finish one by one: a cut before the last has finished is a cut.
#[test]
fn a_cut_behind_the_first_of_two_choices_is_a_cut() {
    let upstream = cutting(vec![ROLE.into(), token("a"), FINISH.into()], Cut::Close);
    let gateway = Gateway::before(&[&upstream]);
    let answer = gateway.chat(r#"{"model":"m","stream":true,"n":2,"messages":[]}"#);
    assert_eq!((answer.whole, answer.text().contains("upstream_truncated")), (false, true));
    let whole = Upstream::answering(stream_of(&[ROLE, &token("a"), FINISH, FINISH, DONE]));
    let gateway = Gateway::before(&[&whole]);
    assert!(gateway.chat(r#"{"model":"m","stream":true,"n":2,"messages":[]}"#).whole);
}

/// What a provider may put between its events, passed on as it is and never taken for an end.
#[test]
fn odd_events_pass_byte_for_byte() {
    let cases: Vec<(&str, Vec<String>)> = vec![
        ("comments", vec![": ping\n\n".into(), ROLE.into(), ": OPENROUTER PROCESSING\n\n".into(), FINISH.into(), DONE.into()]),
        ("empty data", vec!["data:\n\n".into(), ROLE.into(), "data: \n\n".into(), FINISH.into(), DONE.into()]),
        ("other fields", vec![format!("event: message\nid: 1\nretry: 3000\n{ROLE}"), FINISH.into(), DONE.into()]),
        ("field after data", vec![format!("{}\nevent: message\n\n", ROLE.trim_end()), FINISH.into(), DONE.into()]),
        ("CRLF", vec![ROLE.replace('\n', "\r\n"), token("a").replace('\n', "\r\n"), FINISH.replace('\n', "\r\n"), DONE.replace('\n', "\r\n")]),
        ("CR", vec![ROLE.replace('\n', "\r"), token("a").replace('\n', "\r"), FINISH.replace('\n', "\r"), DONE.replace('\n', "\r")]),
        ("byte order mark", vec![format!("\u{feff}{ROLE}"), FINISH.into(), DONE.into()]),
        ("data in lines", vec![ROLE.into(), "data: {\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"a\"},\ndata: \"finish_reason\":null}]}\n\n".into(), FINISH.into(), DONE.into()]),
        ("no space", vec![ROLE.replace("data: ", "data:"), FINISH.replace("data: ", "data:"), DONE.replace("data: ", "data:")]),
        ("an end marker in content", vec![ROLE.into(), token("data: [DONE]\\n\\n"), token("[DONE]"), FINISH.into(), DONE.into()]),
        ("a reason in content", vec![ROLE.into(), token("\\\"finish_reason\\\":\\\"stop\\\""), FINISH.into(), DONE.into()]),
        ("role and content together", vec![ROLE.replace("\"content\":\"\"", "\"content\":\"a\""), FINISH.into(), DONE.into()]),
        ("usage null", vec![ROLE.replace("}]}", "}],\"usage\":null}"), FINISH.into(), DONE.into()]),
        ("usage on a chunk with choices", vec![ROLE.into(), FINISH.replace("}]}", "}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}"), DONE.into()]),
        ("malformed usage", vec![ROLE.into(), "data: {\"choices\":[],\"usage\":\"many\"}\n\n".into(), FINISH.into(), DONE.into()]),
        ("a malformed event", vec![ROLE.into(), "data: {\"choices\":[{\n\n".into(), token("a"), FINISH.into(), DONE.into()]),
        ("choices null", vec![ROLE.into(), "data: {\"choices\":null}\n\n".into(), FINISH.into(), DONE.into()]),
        ("tool calls", vec![ROLE.into(), "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\"}}]},\"finish_reason\":null}]}\n\n".into(), FINISH.replace("stop", "tool_calls"), DONE.into()]),
        ("any bytes of UTF-8", vec![ROLE.into(), token("é漢字😀\u{2028}"), FINISH.into(), DONE.into()]),
    ];
    for (what, events) in cases {
        let parts: Vec<&str> = events.iter().map(String::as_str).collect();
        let upstream = Upstream::answering(stream_of(&parts));
        let gateway = Gateway::before(&[&upstream]);
        let answer = gateway.chat(STREAM);
        assert_eq!((answer.text(), answer.whole), (events.concat(), true), "{what}");
        assert_eq!(gateway.record().error(), None, "{what}");
    }
}

#[test]
fn an_error_as_the_first_event_is_an_http_error_and_goes_to_the_next_target() {
    let error = r#"{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limit_exceeded"}}"#;
    let failing = || Upstream::answering(stream_of(&[": hello\n\n", &format!("data: {error}\n\n"), DONE]));
    let alone = failing();
    let gateway = Gateway::before(&[&alone]);
    let answer = gateway.chat(STREAM);
    assert_eq!((answer.status, answer.text().as_str(), answer.whole), (429, error, true));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(gateway.record().error(), Some(ErrorKind::UpstreamError));
    let (first, second) = (failing(), Upstream::answering(stream_of(&[ROLE, &token("b"), FINISH, DONE])));
    let gateway = Gateway::before(&[&first, &second]);
    let answer = gateway.chat(STREAM);
    assert_eq!((answer.status, answer.text()), (200, [ROLE, &token("b"), FINISH, DONE].concat()));
    let record = gateway.record();
    assert_eq!(["attempts", "provider_id", "target_id"].map(|name| record.get(name)), [2, 2, 2]);
}

#[test]
fn an_error_in_the_middle_is_passed_on_and_booked() {
    let error = "data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"code\":null}}\n\n";
    // Either way the event says that the answer is not whole: there is nothing that cutting the connection would add.
    for end in [&[error, DONE][..], &[error]] {
        let text = token("a");
        let events = [&[ROLE, &text], end].concat();
        let upstream = Upstream::answering(stream_of(&events));
        let gateway = Gateway::before(&[&upstream]);
        let answer = gateway.chat(STREAM);
        assert_eq!((answer.text(), answer.whole), (events.concat(), true));
        let record = gateway.record();
        assert_eq!((record.get("status"), record.error()), (200, Some(ErrorKind::UpstreamError)));
        gateway.is_at_rest();
    }
}

/// A 200 that is no answer goes to the next target, and is 502 if there is none.
#[test]
fn what_is_no_stream_is_not_passed_on_as_one() {
    let sse = |body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let html = "<html><body>Bad gateway</body></html>";
    let cases = [
        ("empty", sse("")),
        ("only comments", sse(": ping\n\n: ping\n\n")),
        ("html", sse(html)),
        ("html in events", sse("data: <html>\n\ndata: </html>\n\n")),
        ("only the end marker", sse(DONE)),
        (
            "html as html",
            format!("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 37\r\n\r\n{html}"),
        ),
        ("no content type", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".into()),
        ("no content", "HTTP/1.1 204 No Content\r\n\r\n".into()),
        (
            "a redirect",
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
                .into(),
        ),
        ("another protocol", "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n".into()),
        ("not HTTP", "SSH-2.0-OpenSSH_9.2p1\r\n".into()),
        (
            "two framings",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}".into(),
        ),
    ];
    for_each(cases, |(what, bytes)| {
        let broken = || Upstream::closing_after(bytes.clone());
        let (alone, first) = (broken(), broken());
        let gateway = Gateway::before(&[&alone]);
        let answer = gateway.chat(STREAM);
        assert_eq!(
            (answer.status, answer.error_code().as_str()),
            (502, "upstream_invalid_response"),
            "{what}"
        );
        assert_eq!(answer.header("x-should-retry"), Some("false"), "{what}");
        let record = gateway.record();
        assert_eq!(record.error(), Some(ErrorKind::UpstreamInvalid), "{what}");
        let second = Upstream::answering(stream_of(&[ROLE, &token("b"), FINISH, DONE]));
        let gateway = Gateway::before(&[&first, &second]);
        assert_eq!(gateway.chat(STREAM).text(), [ROLE, &token("b"), FINISH, DONE].concat(), "{what}");
        gateway.is_at_rest();
    });
}

#[test]
fn an_event_of_four_mebibytes_passes_and_one_of_64_is_refused() {
    let event = |mebibytes: usize| token(&"x".repeat(mebibytes << 20));
    let sized = |mebibytes: usize, at_first: bool| {
        let before = if at_first { vec![] } else { vec![ROLE.to_string()] };
        let bytes = chunks(&[before, vec![event(mebibytes), FINISH.into(), DONE.into()]].concat());
        Upstream::closing_after([bytes, b"0\r\n\r\n".to_vec()].concat())
    };
    let passing = sized(4, false);
    let gateway = Gateway::before(&[&passing]);
    let answer = gateway.chat(STREAM);
    assert_eq!((answer.whole, answer.body.len() > 4 << 20), (true, true));
    let refused = sized(64, false);
    let gateway = Gateway::before(&[&refused]);
    let answer = gateway.chat(STREAM);
    assert_eq!((answer.status, answer.whole), (200, false));
    assert!(answer.body.len() < 2000 && answer.text().contains("longer than this gateway passes on"));
    let refused = sized(64, true);
    let gateway = Gateway::before(&[&refused]);
    assert_eq!(gateway.chat(STREAM).status, 502);
}

#[test]
fn an_endless_stream_is_cut_by_the_clock() {
    let flood = chunk(&token(&"a".repeat(2000)));
    for_each([0, 20], |pause_ms| {
        let flood = flood.clone();
        let upstream = Upstream::start(move |stream, _| {
            let _ = stream.write_all(STREAM_HEAD);
            while stream.write_all(&flood).is_ok() {
                thread::sleep(Duration::from_millis(pause_ms));
            }
            Keep::Close
        });
        let gateway = Gateway::before_with(&[&upstream], &[("/providers/0/timeouts/total_ms", json!(700))]);
        let began = Instant::now();
        let answer = gateway.chat(STREAM);
        let took = began.elapsed();
        assert!(
            (Duration::from_millis(650)..Duration::from_millis(2000)).contains(&took),
            "{pause_ms}: {took:?}"
        );
        assert_eq!((answer.status, answer.whole), (200, false), "{pause_ms}");
        assert_eq!(gateway.record().error(), Some(ErrorKind::UpstreamTruncated));
    });
}
