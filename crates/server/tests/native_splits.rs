//! A stream of any dialect, cut in two at any byte by the network, says the same: passed on and translated.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use support::dialects::*;
use support::*;

/// An upstream that cuts its answer one byte further each time it is asked.
fn cut_further_each_time(bytes: Vec<u8>) -> Upstream {
    let next = AtomicUsize::new(1);
    Upstream::start(move |stream, _| {
        let at = next.fetch_add(1, Ordering::SeqCst).min(bytes.len());
        stream.write_all(&bytes[..at]).unwrap();
        // Long enough for a waiting gateway to have read the piece.
        thread::sleep(Duration::from_micros(200));
        stream.write_all(&bytes[at..]).unwrap();
        Keep::Open
    })
}

/// Asks once for every place to cut at, on one connection.
fn each_cut(client: Api, provider: Api, bytes: Vec<u8>, mut check: impl FnMut(usize, &Answer)) {
    let places = bytes.len() - 1;
    let upstream = cut_further_each_time(bytes);
    let gateway = gateway_of(&[(provider, &upstream)]);
    let mut stream = gateway.connect();
    let request = client.request("m", true);
    for place in 1..=places {
        stream.write_all(&request).unwrap();
        let answer = read_answer(&mut stream);
        assert_eq!((answer.status, answer.whole), (200, true), "cut at {place}: {}", answer.text());
        check(place, &answer);
    }
    let records = gateway.records();
    assert_eq!(records.len(), places);
    let first = records[0].tokens();
    assert!(first.0 > 0 && first.1 > 0, "{first:?}");
    assert!(records.iter().all(|record| record.tokens() == first && record.error().is_none()));
    // Where the provider's answer ends with its stream, the connection serves the next.
    // (But for a few: what the kernel still reports of bytes that were read makes the pool distrust a connection.)
    let reuses = usize::try_from(gateway.is_at_rest().pools[0].reuses_total).unwrap();
    assert!(reuses > places * 9 / 10, "{reuses} of {places}");
}

#[test]
fn passed_on() {
    for_each(OTHERS, |api| {
        let (bytes, body) = (api.streamed("text"), api.frames("text").concat());
        each_cut(api, api, bytes, |place, answer| {
            assert!(answer.body == body, "{} cut at {place}: {}", api.name, answer.text());
        });
    });
}

#[test]
fn translated() {
    let pairs = [
        (OPENAI, ANTHROPIC),
        (OPENAI, BEDROCK),
        (ANTHROPIC, OLLAMA),
        (BEDROCK, GEMINI),
        (COHERE, OPENAI),
        (GEMINI, COHERE),
    ];
    for_each(pairs, |(client, provider)| {
        let whole = provider.read_stream(&provider.stream("text"));
        each_cut(client, provider, provider.streamed("text"), |place, answer| {
            let said = client.read(answer);
            let what = format!("{} to {} cut at {place}: {}", client.name, provider.name, answer.text());
            assert_eq!((&said.text, said.finish), (&whole.text, whole.finish), "{what}");
            assert!(said.ended && said.error.is_none(), "{what}");
        });
    });
}

/// Chunks that end within lines, characters and messages, and connections that hand on a few bytes at a time.
#[test]
fn chunks_of_any_size() {
    let pairs =
        [(OPENAI, ANTHROPIC), (OPENAI, BEDROCK), (ANTHROPIC, OLLAMA), (COHERE, GEMINI), (GEMINI, RESPONSES)];
    let native = OTHERS.map(|api| (api, api));
    for_each(pairs.into_iter().chain(native), |(client, provider)| {
        let stream = provider.stream("tools-parallel");
        let meant = provider.read_stream(&stream);
        for size in [1, 13, 97] {
            let pieces: Vec<Vec<u8>> = stream.chunks(size).map(<[u8]>::to_vec).collect();
            let bytes = provider.streamed_as(&pieces);
            let upstream = Upstream::start(move |connection, _| {
                for piece in bytes.chunks(200) {
                    connection.write_all(piece).unwrap();
                    thread::sleep(Duration::from_micros(100));
                }
                Keep::Open
            });
            let gateway = gateway_of(&[(provider, &upstream)]);
            let answer = gateway.raw(&client.request("m", true));
            let what = format!("{} to {} in {size}: {}", client.name, provider.name, answer.text());
            assert_eq!((answer.status, answer.whole), (200, true), "{what}");
            if client == provider {
                assert!(answer.body == stream, "{what}");
            }
            let said = client.read(&answer);
            assert_eq!((&said.text, said.calls(), said.ended), (&meant.text, meant.calls(), true), "{what}");
        }
    });
}
