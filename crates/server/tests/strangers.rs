//! Whoever has no key of this gateway: what they send is not understood, and costs no memory.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "only tests call this; what they measure is shown"
)]

mod support;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;
use socket2::{Domain, Socket, Type};
use support::*;

/// A listing, since it needs a key and nothing else. `lines` are headers, each with its line end.
fn listing(query: &str, lines: &str) -> Vec<u8> {
    format!("GET /v1beta/models{query} HTTP/1.1\r\nhost: g\r\n{lines}\r\n").into_bytes()
}

/// An answer without what differs from request to request: its id and the time it took.
fn bare(answer: &Answer) -> String {
    let own = ["x-sluice-request-id", "x-request-id", "server-timing"];
    let head = answer.head.lines().filter(|line| !own.iter().any(|name| line.starts_with(name)));
    format!("{}\n{}", head.collect::<Vec<_>>().join("\n"), answer.text())
}

/// check 52: no signed or unsigned token of another party opens anything. Nothing here reads one, so there is no algorithm to
/// confuse, no key to fetch and no clock to forgive: a token is a key that does not exist.
#[test]
fn check_52_a_json_web_token_is_a_key_that_does_not_exist() {
    const CLAIMS: &str = "eyJzdWIiOiJvd25lciIsImF1ZCI6InNsdWljZSIsImV4cCI6NDEwMjQ0NDgwMH0";
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"; // {"alg":"none"}
    let shared = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"; // {"alg":"HS256"}
    // {"alg":"RS256","kid":"../../dev/null","jku":"http://127.0.0.1/keys"}
    let fetched = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6Ii4uLy4uL2Rldi9udWxsIiwiamt1IjoiaHR0cDovLzEyNy4wLjAuMS9rZXlzIn0";
    let gateway =
        Gateway::start(&with(snapshot(&[]), &[("/settings/max_auth_failures_per_minute", json!(0))]));
    let expected = bare(&gateway.raw(&listing("", "")));
    assert!(expected.contains("401 Unauthorized"), "{expected}");
    let signature = "c2lnbmF0dXJlLW9mLW5vYm9keQ";
    let tokens = [
        format!("{none}.{CLAIMS}."),
        format!("{none}.{CLAIMS}"),
        format!("{none}.{CLAIMS}.{signature}"),
        format!("{shared}.{CLAIMS}.{signature}"),
        format!("{fetched}.{CLAIMS}.{signature}"),
        // One whose parts are a good key.
        format!("{none}.{KEY}."),
        format!("{KEY}.{CLAIMS}."),
    ];
    for token in &tokens {
        for header in ["authorization: Bearer ", "x-api-key: ", "api-key: ", "x-goog-api-key: "] {
            let answer = gateway.raw(&listing("", &format!("{header}{token}\r\n")));
            assert_eq!(bare(&answer), expected, "{header}{token}");
        }
        assert_eq!(bare(&gateway.raw(&listing(&format!("?key={token}"), ""))), expected, "{token}");
    }
    assert_eq!(gateway.raw(&listing("", &format!("x-api-key: {KEY}\r\n"))).status, 200);
}

/// check 48: keys that nobody has cost no memory, however many are tried, from however many addresses.
#[test]
fn check_48_random_keys_leave_no_memory_behind() {
    const ADDRESSES: u32 = 400;
    const GUESSES: u32 = 50;
    if served_as_child() {
        return;
    }
    let plan = with(snapshot(&[]), &[("/settings/max_auth_failures_per_minute", json!(1_000))]);
    let gateway = GatewayProcess::start("check_48_random_keys_leave_no_memory_behind", &plan, None);
    let from = |nth: u32| {
        let mut stream = connect_from(Ipv4Addr::from_bits(0x7f01_0000 + nth), gateway.address);
        for guess in 0..GUESSES {
            let lines = format!("x-api-key: sk-slc-{nth:032x}{guess:032x}\r\n");
            stream.write_all(&listing("", &lines)).unwrap();
            assert_eq!(read_answer(&mut stream).status, 401);
        }
    };
    (0..ADDRESSES / 8).for_each(from); // the pools of buffers fill up first
    let before = gateway.resident_kib();
    (0..ADDRESSES).for_each(from);
    let grown = gateway.resident_kib().saturating_sub(before);
    println!("{} random keys from {ADDRESSES} addresses: {grown} KiB", ADDRESSES * GUESSES);
    // A hundred bytes per key would be 2 MiB.
    assert!(grown < 512, "{grown} KiB");
}

fn connect_from(source: Ipv4Addr, gateway: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&gateway.into()).unwrap();
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}
