//! Plans that change under traffic, and a gateway that is told to end.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "only tests call this; what is measured is shown"
)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::*;

fn two_workers(plan: &Value) -> Gateway {
    let options = json!({"listeners": [{"address": "127.0.0.1:0"}], "workers": 2, "max_connections": 1000});
    Gateway::start_with(plan, options)
}

/// The whole of `m` answered with this word.
fn saying(word: &'static str) -> Upstream {
    Upstream::answering(json_answer("200 OK", &format!(r#"{{"word":"{word}"}}"#)))
}

#[test]
fn no_request_fails_while_plans_are_replaced() {
    const CLIENTS: usize = 8;
    let (one, two) = (saying("one"), saying("two"));
    let plan = |version: u64| {
        let first = if version.is_multiple_of(2) { one.address } else { two.address };
        with(snapshot(&[first, one.address]), &[("/version", json!(version))])
    };
    let gateway = two_workers(&plan(0));
    let (stop, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let words = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut stream = gateway.connect();
                while !stop.load(Ordering::Relaxed) {
                    stream.write_all(&chat_request(CHAT)).unwrap();
                    let answer = read_answer(&mut stream);
                    assert_eq!((answer.status, answer.whole), (200, true), "{}", answer.text());
                    words[usize::from(answer.text().contains("two"))].fetch_add(1, Ordering::Relaxed);
                    served.fetch_add(1, Ordering::Relaxed);
                    // A thousand requests a second, over all clients.
                    thread::sleep(Duration::from_millis(8));
                }
            });
        }
        for version in 1..=60 {
            gateway.plane.apply(&parse(&plan(version))).unwrap();
            thread::sleep(Duration::from_millis(25));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let rate = served.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    println!("{} requests at {rate:.0} a second over 60 reloads", served.load(Ordering::Relaxed));
    assert!(served.load(Ordering::Relaxed) > 200);
    assert!(words.iter().all(|word| word.load(Ordering::Relaxed) > 20), "{words:?}");
    let stats = gateway.is_at_rest();
    assert!(stats.snapshot_version == 60 && stats.workers.iter().all(|worker| worker.snapshot_version == 60));
    assert_eq!(gateway.records().len(), served.load(Ordering::Relaxed));
}

/// A stream keeps the plan it began with: its provider, its limits, its key.
#[test]
fn a_stream_under_way_finishes_on_the_plan_it_began_with() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let upstream = Upstream::start(move |stream, _| {
        stream.write_all(&[STREAM_HEAD, &chunk(ROLE)].concat()).unwrap();
        wait.lock().unwrap().recv().unwrap();
        stream
            .write_all(
                &[chunk(&token("late")), chunk(FINISH), chunk(USAGE), chunk(DONE), b"0\r\n\r\n".to_vec()]
                    .concat(),
            )
            .unwrap();
        Keep::Open
    });
    let gateway = Gateway::start(&snapshot(&[upstream.address]));
    let mut stream = gateway.connect();
    stream.write_all(&chat_request(STREAM)).unwrap();
    stream.read_exact(&mut [0; 50]).unwrap();
    // Neither its provider, nor its model, nor its key is left.
    let bare = with(snapshot(&[]), &[("/keys", json!([])), ("/version", json!(2))]);
    gateway.plane.apply(&parse(&bare)).unwrap();
    eventually("the new plan is in use", || gateway.chat(CHAT).status == 401);
    go.send(()).unwrap();
    let mut rest = Vec::new();
    while !rest.ends_with(b"0\r\n\r\n") {
        let mut piece = [0; 1000];
        let count = stream.read(&mut piece).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&rest));
        rest.extend_from_slice(&piece[..count]);
    }
    assert!(String::from_utf8_lossy(&rest).contains("late"));
    let record = gateway.record();
    assert_eq!((record.tokens(), record.get("key_id"), record.get("target_id")), ((5, 2), 7, 1));
    // The next request on the same connection meets the new plan.
    stream.write_all(&chat_request(CHAT)).unwrap();
    assert_eq!(read_answer(&mut stream).status, 401);
    gateway.is_at_rest();
}

#[test]
fn a_plan_that_cannot_serve_changes_nothing() {
    let upstream = saying("one");
    let good = snapshot(&[upstream.address]);
    let gateway = Gateway::start(&good);
    let cases = [
        ("/models/0/targets/0/provider", json!(99), "models[0].targets[0].provider", "unknown_provider"),
        ("/models/0/targets/0/id", json!(0), "models[0].targets[0].id", "id_zero"),
        ("/models/0/name", json!("a*b*c"), "models[0].name", "bad_pattern"),
        ("/models/1/aliases", json!(["m"]), "models[1]", "duplicate_name"),
        ("/providers/0/base_url", json!("ftp://a"), "providers[0].base_url", "bad_url"),
        ("/providers/0/keys", json!([]), "providers[0].keys", "no_key"),
        ("/providers/0/keys/0/secret", json!("two\r\nlines"), "providers[0].keys[0].secret", "bad_secret"),
        (
            "/providers/0/headers",
            json!([{"name": "host", "value": "x"}]),
            "providers[0].headers[0]",
            "bad_header",
        ),
        ("/keys/0/digests/0/sha256", json!("xyz"), "keys[0].digests[0].sha256", "bad_digest"),
    ];
    for (pointer, value, path, code) in cases {
        let bad = with(good.clone(), &[(pointer, value), ("/version", json!(9))]);
        let error = gateway.plane.apply(&parse(&bad)).unwrap_err();
        assert_eq!((error.path.as_str(), error.code), (path, code), "{error}");
        assert!(!error.to_string().contains("two\r\nlines"));
        assert_eq!((gateway.chat(CHAT).status, gateway.plane.stats().snapshot_version), (200, 1));
    }
    let bad_ca = with(
        good,
        &[
            ("/providers/0/extra_ca_pem", json!("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----")),
            ("/providers/0/base_url", json!("https://localhost/v1")),
        ],
    );
    assert!(gateway.plane.apply(&parse(&bad_ca)).is_err());
    assert_eq!(gateway.chat(CHAT).status, 200);
}

/// An idle client must not keep a provider's connections alive that no plan leads to any more.
#[test]
fn connections_to_a_provider_that_is_gone_are_closed_though_clients_stay() {
    let (sender, closed) = std::sync::mpsc::channel();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let sender = sender.clone();
            thread::spawn(move || {
                while read_message(&mut stream).is_some() {
                    stream.write_all(&json_answer("200 OK", COMPLETION)).unwrap();
                }
                let _ = sender.send(());
            });
        }
    });
    let gateway = Gateway::start(&snapshot(&[address]));
    let mut client = gateway.connect();
    client.write_all(&chat_request(CHAT)).unwrap();
    assert_eq!(read_answer(&mut client).status, 200);
    assert_eq!(gateway.is_at_rest().pools[0].idle, 1);
    gateway.plane.apply(&parse(&with(snapshot(&[]), &[("/version", json!(2))]))).unwrap();
    closed.recv_timeout(Duration::from_secs(2)).expect("the connection was closed");
    eventually("the gauge says so", || gateway.plane.stats().pools.iter().all(|pool| pool.idle == 0));
    client.write_all(&get("/v1/models")).unwrap();
    assert_eq!(read_answer(&mut client).status, 200);
}

#[test]
fn idle_connections_to_a_provider_are_closed_in_time_and_bounded_in_number() {
    let upstream = Upstream::start(|stream, _| {
        thread::sleep(Duration::from_millis(100));
        stream.write_all(&json_answer("200 OK", COMPLETION)).unwrap();
        Keep::Open
    });
    let changes =
        [("/providers/0/max_idle_per_worker", json!(3)), ("/providers/0/idle_timeout_ms", json!(500))];
    let gateway = Gateway::before_with(&[&upstream], &changes);
    for_each(0..8, |_| assert_eq!(gateway.chat(CHAT).status, 200));
    let pool = gateway.is_at_rest().pools.remove(0);
    assert_eq!((pool.connects_total, pool.idle), (8, 3));
    eventually("they are closed", || gateway.plane.stats().pools[0].idle == 0);
    assert_eq!(gateway.chat(CHAT).status, 200);
}

fn is_refused(address: std::net::SocketAddr) -> bool {
    TcpStream::connect(address).is_err()
}

#[test]
fn draining_refuses_new_connections_and_finishes_what_is_under_way() {
    let upstream = Upstream::start(|stream, request| {
        let is_stream = String::from_utf8_lossy(request).contains("\"stream\":true");
        if is_stream {
            stream.write_all(&[STREAM_HEAD, &chunk(ROLE)].concat()).unwrap();
            thread::sleep(Duration::from_millis(600));
            stream.write_all(&[chunk(FINISH), chunk(DONE), b"0\r\n\r\n".to_vec()].concat()).unwrap();
        } else {
            thread::sleep(Duration::from_millis(600));
            stream.write_all(&json_answer("200 OK", COMPLETION)).unwrap();
        }
        Keep::Open
    });
    let gateway = two_workers(&snapshot(&[upstream.address]));
    let mut idle = gateway.connect();
    idle.write_all(&get("/v1/models")).unwrap();
    assert_eq!(read_answer(&mut idle).status, 200);
    let mut fresh = gateway.connect();
    let mut busy: Vec<TcpStream> = [CHAT, STREAM]
        .into_iter()
        .map(|body| {
            let mut stream = gateway.connect();
            stream.write_all(&chat_request(body)).unwrap();
            upstream.next_request();
            stream
        })
        .collect();
    // First the balancer is told, while everything is served as before.
    gateway.plane.set_unready();
    assert!(!gateway.plane.stats().ready);
    assert_eq!(gateway.raw(b"GET /readyz HTTP/1.1\r\nhost: g\r\n\r\n").status, 503);
    assert_eq!(gateway.raw(&get("/v1/models")).status, 200);
    gateway.plane.drain();
    eventually("the listener is closed", || is_refused(gateway.address));
    for stream in [&mut idle, &mut fresh] {
        assert!(is_closed(stream, Duration::from_secs(1)), "an idle connection was left open");
    }
    assert_eq!(gateway.plane.active_requests(), 2);
    for stream in &mut busy {
        let answer = read_answer(stream);
        assert_eq!((answer.status, answer.whole), (200, true));
        assert!(is_closed(stream, Duration::from_secs(2)), "a connection was left open behind its answer");
    }
    gateway.is_at_rest();
    assert_eq!(gateway.records().iter().filter(|record| record.get("route") == 1).count(), 2);
    // A request that comes in on a connection which was busy at that moment is the last of its connection.
}

#[test]
fn an_answer_that_begins_while_draining_says_that_it_is_the_last() {
    let upstream = Upstream::start(|stream, _| {
        thread::sleep(Duration::from_millis(300));
        stream.write_all(&json_answer("200 OK", COMPLETION)).unwrap();
        Keep::Open
    });
    let gateway = Gateway::before(&[&upstream]);
    let mut stream = gateway.connect();
    stream.write_all(&chat_request(CHAT)).unwrap();
    upstream.next_request();
    gateway.plane.drain();
    let answer = read_answer(&mut stream);
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
}

#[test]
fn stopping_cuts_what_is_under_way_and_books_it() {
    let (upstream, closed) =
        Upstream::hanging_after([STREAM_HEAD, &chunk(ROLE), &chunk(&token("a"))].concat());
    let gateway = two_workers(&snapshot(&[upstream.address]));
    let mut streams: Vec<TcpStream> = (0..10)
        .map(|_| {
            let mut stream = gateway.connect();
            stream.write_all(&chat_request(STREAM)).unwrap();
            stream.read_exact(&mut [0; 50]).unwrap();
            stream
        })
        .collect();
    let began = Instant::now();
    gateway.plane.stop();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    for stream in &mut streams {
        let rest = read_to_end(stream);
        assert!(!String::from_utf8_lossy(&rest).contains("[DONE]") && !rest.ends_with(b"0\r\n\r\n"));
        closed.recv_timeout(Duration::from_secs(1)).expect("the provider was let go");
    }
    // What was spent is still to be had.
    let records = gateway.records();
    assert_eq!(records.len(), 10);
    assert!(records.iter().all(|record| record.tokens().1 > 0 && record.error().is_some()));
    assert!(is_refused(gateway.address));
    gateway.plane.stop();
    assert!(gateway.plane.apply(&parse(&snapshot(&[]))).is_ok());
}

#[test]
fn a_gateway_that_cannot_listen_says_where() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let cases = [
        (json!([]), "listeners", "no_listener"),
        (json!([{"address": "localhost"}]), "listeners[0].address", "bad_address"),
        (
            json!([{"address": "127.0.0.1:0"}, {"address": taken.local_addr().unwrap().to_string()}]),
            "listeners[1].address",
            "cannot_listen",
        ),
    ];
    for (listeners, path, code) in cases {
        let options = json!({"listeners": listeners, "workers": 1, "max_connections": 10});
        let options: sluice_types::StartOptions = serde_json::from_value(options).unwrap();
        let error = sluice_server::DataPlane::start(&options, &parse(&snapshot(&[]))).unwrap_err();
        assert_eq!((error.path.as_str(), error.code), (path, code), "{error}");
    }
}
