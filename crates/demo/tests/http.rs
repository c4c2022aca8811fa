//! The provider as an HTTP server: connections, pace, injected errors, TLS, start and stop.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use support::{exchange, get, parse, post, raw, start};

const CHAT: &str = "/v1/chat/completions";
const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;

#[test]
fn one_connection_serves_many_requests_pipelined_ones_too() {
    let provider = start("{}");
    let one = "GET /v1/models/demo HTTP/1.1\r\nhost: x\r\n\r\n";
    let last = "GET /v1/models/demo HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let bytes = raw(&provider, [one, one, last].concat().as_bytes());
    assert_eq!(String::from_utf8(bytes).unwrap().matches("HTTP/1.1 200 OK").count(), 3);
    assert_eq!((provider.counts().connections, provider.counts().requests), (1, 3));
}

#[test]
fn bodies_may_be_chunked_split_and_announced() {
    let provider = start("{}");
    let (first, second) = BODY.split_at(20);
    let chunked = format!("14\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", second.len());
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
    let request = format!("{head}transfer-encoding: chunked\r\n\r\n{chunked}");
    assert_eq!(exchange(&provider, request.as_bytes()).status, 200);

    let mut stream = TcpStream::connect(provider.address()).unwrap();
    let announced = format!("{head}expect: 100-continue\r\ncontent-length: {}\r\n\r\n", BODY.len());
    stream.write_all(announced.as_bytes()).unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    for byte in BODY.as_bytes() {
        stream.write_all(&[*byte]).unwrap();
    }
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(parse(&rest).status, 200);
}

#[test]
fn what_is_not_http_is_refused_and_closed() {
    let provider = start("{}");
    for (request, status) in [
        ("junk\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n", 413),
        ("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
    ] {
        let response = exchange(&provider, request.as_bytes());
        assert_eq!(
            (response.status, response.json()["error"]["code"].as_str()),
            (status, Some("bad_http_request"))
        );
    }
}

#[test]
fn answers_carry_the_headers_of_a_real_provider() {
    let provider = start("{}");
    for body in [BODY.to_owned(), BODY.replacen('{', r#"{"stream":true,"#, 1)] {
        let head = post(&provider, CHAT, &body).head;
        for name in ["x-request-id: req_demo", "x-ratelimit-remaining-tokens: ", "openai-processing-ms: "] {
            assert!(head.contains(name), "{name} in {head}");
        }
    }
}

#[test]
fn a_head_request_is_answered_without_a_body() {
    let provider = start("{}");
    let bytes = raw(&provider, b"HEAD /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(bytes.starts_with(b"HTTP/1.1 405") && bytes.ends_with(b"\r\n\r\n"));
}

#[test]
fn delay_and_gaps_are_kept() {
    let provider = start(r#"{"delay_ms":30,"chunks":5,"chunk_gap_ms":10}"#);
    let begin = Instant::now();
    assert_eq!(get(&provider, "/v1/models").status, 200);
    assert!(begin.elapsed() >= Duration::from_millis(30));
    let begin = Instant::now();
    let (_, done) = post(&provider, CHAT, &BODY.replacen('{', r#"{"stream":true,"#, 1)).events();
    assert!(done && begin.elapsed() >= Duration::from_millis(30 + 4 * 10));
}

#[test]
fn stamps_tell_when_a_chunk_was_sent() {
    let provider = start(r#"{"stamp_chunks":true,"chunks":3,"chunk_gap_ms":5}"#);
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let before = now();
    let (chunks, _) = post(&provider, CHAT, &BODY.replacen('{', r#"{"stream":true,"#, 1)).events();
    let stamps: Vec<u128> = chunks
        .iter()
        .filter_map(|chunk| chunk["obfuscation"].as_str()?.strip_prefix('T')?.parse().ok())
        .collect();
    assert_eq!(stamps.len(), 3);
    assert!(before <= stamps[0] && stamps.is_sorted() && stamps[2] <= now());
    assert!(stamps[2] - stamps[0] >= 9_000_000, "two gaps of 5 ms, timers within a millisecond");
}

#[test]
fn the_share_of_errors_is_that_asked_for_and_repeats_with_the_seed() {
    let statuses = |json: &str| {
        let provider = start(json);
        (0..200).map(|_| get(&provider, "/v1/models").status).collect::<Vec<_>>()
    };
    let some = statuses(r#"{"error_rate":0.5,"seed":3}"#);
    let failed = some.iter().filter(|status| **status == 500).count();
    assert!((70..130).contains(&failed), "{failed} of 200");
    assert_eq!(some, statuses(r#"{"error_rate":0.5,"seed":3}"#));
    assert_ne!(some, statuses(r#"{"error_rate":0.5,"seed":4}"#));
    assert!(statuses(r#"{"error_rate":1.0}"#).iter().all(|status| *status == 500));
    let error = get(&start(r#"{"error_rate":1.0}"#), "/v1/models").json();
    assert_eq!(error["error"]["type"], "server_error");
}

#[test]
fn a_self_signed_provider_is_reached_by_trusting_its_certificate() {
    let provider = start(r#"{"tls":"self_signed"}"#);
    let certificate = CertificateDer::from_pem_slice(provider.certificate_pem().unwrap().as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let crypto = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(crypto).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    for name in ["127.0.0.1", "localhost"] {
        let name = ServerName::try_from(name).unwrap();
        let connection = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut stream = StreamOwned::new(connection, TcpStream::connect(provider.address()).unwrap());
        stream.write_all(b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert_eq!(parse(&bytes).status, 200);
    }
    assert_eq!(start("{}").certificate_pem(), None);
}

#[test]
fn stopping_ends_answers_under_way_and_frees_the_port() {
    let provider = start(r#"{"delay_ms":60000}"#);
    let address = provider.address();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    while provider.counts().requests == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let begin = Instant::now();
    provider.stop();
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap_or(0), 0);
    start(&format!(r#"{{"address":"{address}"}}"#));
}

#[test]
fn what_cannot_start_says_why() {
    let provider = start("{}");
    let taken = format!(r#"{{"address":"{}"}}"#, provider.address());
    for (json, part) in [
        (taken.as_str(), "in use"),
        (r#"{"address":"nowhere"}"#, "address nowhere"),
        (r#"{"threads":0}"#, "threads is 0"),
        (r#"{"tls":{"files":{"certificate_pem":"x","private_key_pem":"y"}}}"#, ""),
    ] {
        let error = sluice_demo::start(serde_json::from_str(json).unwrap()).unwrap_err().to_string();
        assert!(error.contains(part), "{json}: {error}");
    }
}

#[test]
fn a_client_that_leaves_is_counted() {
    let provider = start(r#"{"chunks":1000,"chunk_gap_ms":1}"#);
    let body = BODY.replacen('{', r#"{"stream":true,"#, 1);
    let mut stream = TcpStream::connect(provider.address()).unwrap();
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes()).unwrap();
    stream.read_exact(&mut [0; 15]).unwrap();
    drop(stream);
    let begin = Instant::now();
    while provider.counts().aborts == 0 {
        assert!(begin.elapsed() < Duration::from_secs(5), "the abort was not seen");
        std::thread::sleep(Duration::from_millis(1));
    }
}
