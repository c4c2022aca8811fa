//! The full lane: HTTP/2 by prior knowledge on the port of HTTP/1.1, its bounds, and the same rules as on the other lane.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::Write;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::Reason;
use serde_json::json;
use sluice_types::ErrorKind;
use support::h2_client::{self, chat, connect, request, send};
use support::h2_frames::*;
use support::*;

#[test]
fn both_protocols_are_spoken_on_one_port_by_the_same_rules() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    assert_eq!(gateway.chat(CHAT).status, 200);
    h2_client::run(async {
        let mut client = connect(gateway.address).await;
        let answer = chat(&mut client, CHAT).await;
        assert_eq!((answer.status, answer.body), (200, COMPLETION.into()));
        assert!(
            answer.headers.contains_key("x-sluice-request-id")
                && answer.headers.contains_key("server-timing")
        );
        let bare =
            |method: &str, path: &str| http::Request::builder().method(method).uri(format!("http://g{path}"));
        let cases = [
            (401, bare("POST", "/v1/chat/completions"), CHAT),
            (200, bare("GET", "/healthz"), ""),
            (200, request("GET", "/v1/models"), ""),
            (200, request("GET", "/v1/models/m"), ""),
            (404, request("GET", "/v1/none"), ""),
            (405, request("GET", "/v1/chat/completions"), ""),
            (400, request("POST", "/v1/chat/completions").header("content-type", "text/plain"), CHAT),
            (400, request("POST", "/v1/chat/completions"), "{"),
            (400, request("POST", "/v1/chat/completions").header("x-api-key", "other"), CHAT),
            (404, request("POST", "/v1/chat/completions"), r#"{"model":"x","messages":[]}"#),
            (415, request("POST", "/v1/chat/completions").header("content-encoding", "x"), CHAT),
            (400, request("GET", "/v1//models"), ""),
            (400, request("GET", "/v1/%2e%2e/models"), ""),
            (400, request("GET", "/v1/models").header("host", "other"), ""),
            (431, request("GET", "/v1/models").header("x-long", "a".repeat(17 << 10)), ""),
            (200, request("GET", "/v1/models").header("host", "gateway"), ""),
            (508, request("POST", "/v1/chat/completions").header("x-sluice-via", "a,b,c,d,e,f,g,h"), CHAT),
        ];
        for (status, head, body) in cases {
            let what = format!("{:?} {:?}", head.method_ref(), head.uri_ref());
            assert_eq!(send(&mut client, head, body.as_bytes()).await.unwrap().status, status, "{what}");
        }
        let answer = send(&mut client, bare("HEAD", "/healthz"), b"").await.unwrap();
        assert_eq!((answer.status, answer.body.len(), answer.broken), (200, 0, None));
    });
    let seen = String::from_utf8({
        upstream.next_request();
        upstream.next_request()
    })
    .unwrap();
    assert!(seen.starts_with("POST /v1/chat/completions HTTP/1.1\r\n") && seen.ends_with(CHAT), "{seen}");
    gateway.is_at_rest();
}

#[test]
fn streams_are_relayed_event_by_event_and_broken_off_by_a_reset() {
    let events = [ROLE, &token("a"), FINISH, USAGE, DONE];
    let whole = Upstream::answering(stream_of(&events));
    let cut = Upstream::closing_after([STREAM_HEAD, &chunk(ROLE), &chunk(&token("a"))].concat());
    let gateway = Gateway::before(&[&whole, &cut]);
    h2_client::run(async {
        let mut client = connect(gateway.address).await;
        let answer = chat(&mut client, &STREAM.replace("\"m\"", "\"m0\"")).await;
        assert_eq!((answer.status, answer.broken), (200, None));
        assert_eq!(String::from_utf8(answer.body).unwrap(), events.concat().replace(USAGE, ""));
        let answer = chat(&mut client, &STREAM.replace("\"m\"", "\"m1\"")).await;
        let text = String::from_utf8(answer.body).unwrap();
        assert!(
            text.starts_with(&[ROLE, &token("a")].concat()) && text.contains("upstream_truncated"),
            "{text}"
        );
        assert!(answer.broken.is_some(), "a cut must not end as a whole answer does");
    });
    assert_eq!(gateway.record().tokens(), (5, 2));
    assert_eq!(gateway.record().error(), Some(ErrorKind::UpstreamTruncated));
    gateway.is_at_rest();
}

#[test]
fn bodies_are_bounded_on_this_lane_too() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let changes =
        [("/settings/max_request_body_bytes", json!(1000)), ("/settings/body_timeout_ms", json!(300))];
    let gateway = Gateway::before_with(&[&upstream], &changes);
    let big = format!(r#"{{"model":"m","messages":["{}"]}}"#, "a".repeat(100_000));
    h2_client::run(async {
        let mut client = connect(gateway.address).await;
        assert_eq!(chat(&mut client, &big).await.status, 413);
        let head = request("POST", "/v1/chat/completions").header("content-length", "100000");
        let (response, _unfinished) = client.send_request(head.body(()).unwrap(), false).unwrap();
        assert_eq!(response.await.unwrap().status(), 413);
        let head = request("POST", "/v1/chat/completions");
        let (response, mut slow) = client.send_request(head.body(()).unwrap(), false).unwrap();
        slow.send_data(Bytes::from_static(b"{"), false).unwrap();
        assert_eq!(response.await.unwrap().status(), 408);
        assert_eq!(chat(&mut client, CHAT).await.status, 200);
    });
    assert_eq!(upstream.times_asked(), 1);
    gateway.is_at_rest();
}

#[test]
fn a_stream_the_client_resets_lets_its_provider_go() {
    let (upstream, closed) = Upstream::hanging_after([STREAM_HEAD, &chunk(ROLE)].concat());
    let (silent, closed_silent) = Upstream::hanging_after("");
    let gateway = Gateway::before(&[&upstream, &silent]);
    h2_client::run(async {
        let mut client = connect(gateway.address).await;
        for model in ["m0", "m1"] {
            let head = request("POST", "/v1/chat/completions");
            let (response, mut body) = client.send_request(head.body(()).unwrap(), false).unwrap();
            body.send_data(Bytes::from(STREAM.replace("\"m\"", &format!("\"{model}\""))), true).unwrap();
            if model == "m0" {
                assert!(response.await.unwrap().into_body().data().await.is_some());
            } else {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            body.send_reset(Reason::CANCEL);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    });
    for closed in [closed, closed_silent] {
        closed.recv_timeout(Duration::from_secs(1)).expect("the provider was let go");
    }
    let records = [gateway.record(), gateway.record()];
    assert_eq!(records.map(|record| record.error()), [Some(ErrorKind::ClientGone); 2]);
    gateway.is_at_rest();
}

/// A client that grants no window is cut off in time, with all that was kept for it.
#[test]
fn an_answer_nobody_takes_is_reset_in_time() {
    let long = format!(r#"{{"a":"{}"}}"#, "a".repeat(200_000));
    let ticking = Upstream::start(|stream, _| {
        stream.write_all(STREAM_HEAD).unwrap();
        while stream.write_all(&chunk(ROLE)).is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
        Keep::Close
    });
    let cases = [
        ("a long document", Upstream::answering(json_answer("200 OK", &long)), 3),
        ("a short document", Upstream::answering(json_answer("200 OK", COMPLETION)), 3),
        ("a stream", ticking, 3),
    ];
    for_each(cases, |(what, upstream, wanted)| {
        let changes = [
            ("/settings/write_timeout_ms", json!(300)),
            ("/providers/0/timeouts/between_chunks_ms", json!(60_000)),
        ];
        let gateway = Gateway::before_with(&[&upstream], &changes);
        let mut stream = gateway.connect();
        // SETTINGS_INITIAL_WINDOW_SIZE 0.
        stream.write_all(&greeting(&[(4, 0)])).unwrap();
        let block = fields(&[
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "g"),
            (":path", "/v1/chat/completions"),
            ("x-api-key", KEY),
        ]);
        stream.write_all(&frame(HEADERS, END_HEADERS, 1, &block)).unwrap();
        let began = Instant::now();
        stream.write_all(&frame(DATA, END_STREAM, 1, STREAM.as_bytes())).unwrap();
        let reset = read_until(&mut stream, |kind, _, _| kind == RST_STREAM).expect(what);
        assert_eq!((reset.0, reset.2), (wanted, 1), "{what}");
        let took = began.elapsed();
        assert!((Duration::from_millis(250)..Duration::from_secs(2)).contains(&took), "{what}: {took:?}");
        assert_eq!(gateway.record().error(), Some(ErrorKind::ClientGone), "{what}");
        gateway.is_at_rest();
    });
}

#[test]
fn a_hundred_streams_at_once_and_one_more_is_refused() {
    let (upstream, _closed) = Upstream::hanging_after("");
    let gateway = Gateway::before(&[&upstream]);
    let mut stream = gateway.connect();
    stream.write_all(&greeting(&[])).unwrap();
    let (_, _, _, settings) =
        read_until(&mut stream, |kind, _, payload| kind == SETTINGS && !payload.is_empty()).unwrap();
    let told = settings.chunks(6).find(|setting| setting[..2] == [0, 3]).map(|setting| setting[2..].to_vec());
    assert_eq!(told, Some(100_u32.to_be_bytes().to_vec()));
    let block = fields(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "g"),
        (":path", "/v1/chat/completions"),
        ("x-api-key", KEY),
    ]);
    for at in 0..101 {
        stream.write_all(&frame(HEADERS, END_HEADERS, 2 * at + 1, &block)).unwrap();
    }
    let (_, _, id, reason) = read_until(&mut stream, |kind, _, _| kind == RST_STREAM).unwrap();
    assert_eq!((id, &reason[..]), (201, &7_u32.to_be_bytes()[..]));
    eventually("a hundred are served", || gateway.plane.active_requests() == 100);
    drop(stream);
    gateway.is_at_rest();
}

/// Ways to wear a server down: each must end in a GOAWAY or a close, soon, with the process well.
#[test]
fn floods_end_the_connection_and_nothing_else() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    let block = get_fields("/healthz");
    let rapid_reset = |at: u32| {
        let id = 2 * at + 1;
        [frame(HEADERS, END_HEADERS | END_STREAM, id, &block), frame(RST_STREAM, 0, id, &8_u32.to_be_bytes())]
            .concat()
    };
    let endless_head = |at: u32| match at {
        0 => frame(HEADERS, END_STREAM, 1, &block),
        _ => {
            frame(CONTINUATION, 0, 1, &fields(&[("x-flood", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]).repeat(300))
        }
    };
    let malformed_request = |at: u32| {
        let bad = fields(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), ("connection", "close")]);
        frame(HEADERS, END_HEADERS | END_STREAM, 2 * at + 1, &bad)
    };
    type Flood<'f> = (&'static str, Box<dyn Fn(u32) -> Vec<u8> + Sync + 'f>);
    let floods: [Flood<'_>; 3] = [
        ("rapid reset", Box::new(rapid_reset)),
        ("continuation", Box::new(endless_head)),
        ("malformed requests", Box::new(malformed_request)),
    ];
    for (what, flood) in floods {
        let mut stream = gateway.connect();
        stream.write_all(&greeting(&[])).unwrap();
        let mut reading = stream.try_clone().unwrap();
        let told = std::thread::spawn(move || {
            read_until(&mut reading, |kind, _, _| kind == GOAWAY).map(|(_, _, _, payload)| payload[7])
        });
        let began = Instant::now();
        let sent = (0..50_000).take_while(|at| stream.write_all(&flood(*at)).is_ok()).count();
        assert!(sent < 50_000, "{what}: all of it was taken");
        assert!(began.elapsed() < Duration::from_secs(5), "{what}: {:?}", began.elapsed());
        // The word may have been lost to the reset that follows it.
        assert!([None, Some(1), Some(11)].contains(&told.join().unwrap()), "{what}");
        assert_eq!(gateway.chat(CHAT).status, 200, "{what}");
    }
    gateway.is_at_rest();
}

/// Cheap frames that need no answer or a short one: they are taken at a bounded cost, and the client that never reads
/// our answers is not kept in memory.
#[test]
fn floods_of_control_frames_are_bounded() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before(&[&upstream]);
    let floods = [
        ("settings", frame(SETTINGS, 0, 0, &[])),
        ("ping", frame(PING, 0, 0, &[0; 8])),
        ("priority", frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 16])),
        ("empty data", frame(DATA, 0, 1, &[])),
    ];
    for_each(floods, |(what, flood)| {
        let mut stream = gateway.connect();
        stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        stream.write_all(&greeting(&[])).unwrap();
        if what == "empty data" {
            let block = fields(&[
                (":method", "POST"),
                (":scheme", "http"),
                (":authority", "g"),
                (":path", "/v1/chat/completions"),
                ("x-api-key", KEY),
            ]);
            stream.write_all(&frame(HEADERS, END_HEADERS, 1, &block)).unwrap();
        }
        let block = flood.repeat(1000);
        let began = Instant::now();
        // Either all is taken at once, or the connection ends, or our unread answers stop it.
        for _ in 0..100 {
            if stream.write_all(&block).is_err() {
                break;
            }
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{what}: {:?}", began.elapsed());
    });
    let began = Instant::now();
    assert_eq!(gateway.chat(CHAT).status, 200);
    assert!(began.elapsed() < Duration::from_secs(1));
    gateway.is_at_rest();
}

/// Tiny indexed fields that unpack to a header list over its bound: refused by what they unpack to.
#[test]
fn a_header_list_over_its_bound_is_refused_by_what_it_unpacks_to() {
    let gateway = Gateway::before(&[]);
    let mut stream = gateway.connect();
    stream.write_all(&greeting(&[])).unwrap();
    // One long field into the dynamic table (literal with incremental indexing), then one byte each for many copies.
    let long = "a".repeat(120);
    let insert = [&[0x40, 6][..], b"x-bomb", &[120], long.as_bytes()].concat();
    let block = [get_fields("/healthz"), insert, vec![0xbe; 4000]].concat();
    stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)).unwrap();
    let (kind, _, _, payload) =
        read_until(&mut stream, |kind, _, _| [HEADERS, RST_STREAM, GOAWAY].contains(&kind)).unwrap();
    if kind == HEADERS {
        // 431 is in no static table, so it is spelled out.
        assert!(payload.windows(3).any(|digits| digits == b"431"), "{payload:?}");
    }
    assert_eq!(gateway.raw(b"GET /healthz HTTP/1.1\r\nhost: g\r\n\r\n").status, 200);
}

/// Requests that break HTTP/2 are reset, and the connection lives on or ends; none is answered as if it were sound.
#[test]
fn malformed_requests_are_reset() {
    let gateway = Gateway::before(&[]);
    let base = [(":method", "GET"), (":scheme", "http"), (":path", "/healthz"), (":authority", "g")];
    let with_field = |name: &'static str, value: &'static str| {
        let mut list = base.to_vec();
        list.push((name, value));
        fields(&list)
    };
    let cases = [
        ("upper case", with_field("X-Upper", "a")),
        ("connection", with_field("connection", "close")),
        ("transfer-encoding", with_field("transfer-encoding", "chunked")),
        ("keep-alive", with_field("keep-alive", "1")),
        ("te", with_field("te", "gzip")),
        ("pseudo behind fields", with_field(":path", "/v1/models")),
        ("unknown pseudo", fields(&[&base[..], &[(":x", "a")]].concat())),
        ("no path", fields(&[base[0], base[1], base[3]])),
        ("no method", fields(&base[1..])),
        ("line end in a value", with_field("x-a", "a\r\nx-b: c")),
        ("content length without a body", with_field("content-length", "5")),
    ];
    for (what, block) in cases {
        let mut stream = gateway.connect();
        stream.write_all(&greeting(&[])).unwrap();
        stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)).unwrap();
        let end = read_until(&mut stream, |kind, _, _| [HEADERS, RST_STREAM, GOAWAY].contains(&kind));
        let is_refused = match &end {
            Some((HEADERS, _, _, payload)) => payload[0] == 0x8c,
            _ => true,
        };
        assert!(is_refused, "{what}: {end:?}");
    }
    assert_eq!(gateway.raw(b"GET /healthz HTTP/1.1\r\nhost: g\r\n\r\n").status, 200);
}

#[test]
fn an_idle_connection_is_closed_and_one_with_a_stream_is_not() {
    let upstream = Upstream::start(|stream, _| {
        std::thread::sleep(Duration::from_millis(900));
        stream.write_all(&json_answer("200 OK", COMPLETION)).unwrap();
        Keep::Open
    });
    let gateway = Gateway::before_with(&[&upstream], &[("/settings/idle_timeout_ms", json!(300))]);
    let mut stream = gateway.connect();
    stream.write_all(&greeting(&[])).unwrap();
    let began = Instant::now();
    read_until(&mut stream, |kind, _, _| kind == GOAWAY).expect("a GOAWAY");
    assert!(
        (Duration::from_millis(250)..Duration::from_millis(900)).contains(&began.elapsed()),
        "{:?}",
        began.elapsed()
    );
    // A client that does not say goodbye is not waited for beyond what a stalled one is.
    read_to_end(&mut stream);
    h2_client::run(async {
        let mut client = connect(gateway.address).await;
        assert_eq!(chat(&mut client, CHAT).await.status, 200);
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert!(client.ready().await.is_err(), "an idle connection was left open");
    });
    eventually("none is left", || gateway.plane.stats().workers[0].connections == 0);
}

#[test]
fn a_connection_serves_so_many_requests_and_no_more() {
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = Gateway::before_with(&[&upstream], &[("/settings/max_requests_per_connection", json!(3))]);
    h2_client::run(async {
        let mut client = connect(gateway.address).await;
        for _ in 0..3 {
            assert_eq!(chat(&mut client, CHAT).await.status, 200);
        }
        // The word may still be under way; what is sent before it comes is served.
        let mut more = 0;
        while let Ok(mut ready) = client.clone().ready().await {
            let head = request("GET", "/v1/models");
            if send(&mut ready, head, b"").await.is_err() {
                break;
            }
            more += 1;
            assert!(more < 5, "the connection was left open");
        }
    });
}

#[test]
fn draining_ends_idle_connections_and_lets_streams_finish() {
    let upstream = Upstream::start(|stream, _| {
        std::thread::sleep(Duration::from_millis(400));
        stream.write_all(&json_answer("200 OK", COMPLETION)).unwrap();
        Keep::Open
    });
    let gateway = Gateway::before(&[&upstream]);
    h2_client::run(async {
        let mut idle = connect(gateway.address).await;
        let mut busy = connect(gateway.address).await;
        assert_eq!(send(&mut idle, request("GET", "/v1/models"), b"").await.unwrap().status, 200);
        let running = tokio::spawn(async move { chat(&mut busy, CHAT).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        gateway.plane.drain();
        assert_eq!(running.await.unwrap().status, 200);
        assert!(send(&mut idle, request("GET", "/v1/models"), b"").await.is_err());
    });
    eventually("none is left", || gateway.plane.stats().workers[0].connections == 0);
}
