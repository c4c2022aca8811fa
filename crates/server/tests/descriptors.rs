//! Connections by the thousand, and a process that may open no further file.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use support::*;

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: g\r\n\r\n";

#[test]
fn ten_thousand_connections_leave_nothing_behind() {
    if served_as_child() {
        return;
    }
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let plan = snapshot(&[upstream.address]);
    let gateway = GatewayProcess::start("ten_thousand_connections_leave_nothing_behind", &plan, None);
    let warm_up = || {
        assert_eq!(gateway.raw(HEALTH).status, 200);
        assert_eq!(gateway.raw(&chat_request(CHAT)).status, 200);
    };
    warm_up();
    thread::sleep(Duration::from_millis(50));
    let (descriptors, threads) = (gateway.descriptors(), gateway.threads());
    for_each(0..4, |_| {
        for at in 0..2_500 {
            let mut stream = gateway.connect();
            match at % 5 {
                0 => {}
                1 => stream.write_all(&HEALTH[..10]).unwrap(),
                2 => reset(&stream),
                3 => {
                    stream.write_all(&chat_request(CHAT)).unwrap();
                    reset(&stream);
                }
                _ => {
                    stream.write_all(HEALTH).unwrap();
                    assert_eq!(read_answer(&mut stream).status, 200);
                    // No TIME_WAIT, of which a machine has only so many.
                    reset(&stream);
                }
            }
        }
    });
    // Connections to the provider that had not been used to their end are closed, and those that had are kept.
    eventually("every descriptor is given back", || gateway.descriptors() <= descriptors + 64);
    warm_up();
    assert_eq!(gateway.threads(), threads);
}

#[test]
fn a_gateway_that_may_open_no_further_file_lives_on() {
    if served_as_child() {
        return;
    }
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let plan = snapshot(&[upstream.address]);
    let mut gateway =
        GatewayProcess::start("a_gateway_that_may_open_no_further_file_lives_on", &plan, Some(64));
    let mut served = gateway.connect();
    served.write_all(HEALTH).unwrap();
    assert_eq!(read_answer(&mut served).status, 200);
    // The kernel completes them all; the gateway can accept some fifty.
    let crowd: Vec<TcpStream> = (0..200).map(|_| gateway.connect()).collect();
    thread::sleep(Duration::from_millis(200));
    assert!(gateway.is_alive());
    // Who is in is served, though no connection to a provider can be opened.
    for _ in 0..3 {
        served.write_all(HEALTH).unwrap();
        assert_eq!(read_answer(&mut served).status, 200);
        served.write_all(&chat_request(CHAT)).unwrap();
        let answer = read_answer(&mut served);
        assert_eq!((answer.status, answer.error_code().as_str()), (502, "upstream_unreachable"));
    }
    drop(crowd);
    eventually("newcomers are served again", || gateway.raw(&chat_request(CHAT)).status == 200);
    assert!(gateway.descriptors() < 64);
}
