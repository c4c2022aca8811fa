//! A stream cut into pieces anywhere, by its chunks and by the network, gives the client the same bytes.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::Write;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use support::*;

/// Everything a stream may hold: comments, CRLF, fields around data, lines of data, UTF-8 of every length, usage.
fn varied_stream() -> String {
    [
        ": ping\n\n",
        ROLE,
        &token("é漢😀"),
        &token("a").replace('\n', "\r\n"),
        "id: 1\ndata: {\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"ü\"}}]}\nevent: x\n\n",
        &token("b").replace('\n', "\r"),
        FINISH,
        USAGE,
        DONE,
    ]
    .concat()
}

/// An upstream that sends its answer in pieces, cut where the request says: `"cuts":[…]` in its body.
fn in_pieces(bytes: Vec<u8>) -> Upstream {
    Upstream::start(move |stream, request| {
        let body = &request[request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4..];
        let cuts = serde_json::from_slice::<Value>(body).unwrap()["cuts"].clone();
        let mut at = 0;
        for cut in cuts
            .as_array()
            .unwrap()
            .iter()
            .map(|cut| usize::try_from(cut.as_u64().unwrap()).unwrap())
            .chain([bytes.len()])
        {
            stream.write_all(&bytes[at..cut]).unwrap();
            at = cut;
            // Long enough for a waiting gateway to have read the piece.
            thread::sleep(Duration::from_micros(300));
        }
        Keep::Open
    })
}

fn stream_cut_at(gateway: &Gateway, cuts: &[usize]) -> (Vec<u8>, bool) {
    let body = json!({"model": "m", "stream": true, "cuts": cuts, "messages": []}).to_string();
    let answer = gateway.chat(&body);
    (answer.body, answer.whole)
}

fn framed_in_every_way() -> Vec<u8> {
    // Chunks that end within lines, within characters and within events.
    let stream = varied_stream();
    let mut bytes = STREAM_HEAD.to_vec();
    for piece in stream.as_bytes().chunks(97) {
        bytes.extend(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend([piece, b"\r\n"].concat());
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

fn expected_of_varied_stream() -> Vec<u8> {
    varied_stream().replace(USAGE, "").into_bytes()
}

#[test]
fn a_stream_split_in_two_anywhere_gives_the_same_bytes() {
    let bytes = framed_in_every_way();
    let places: Vec<usize> = (1..bytes.len()).collect();
    let upstream = in_pieces(bytes);
    let gateway = Gateway::before(&[&upstream]);
    for_each(places.chunks(places.len() / 8 + 1), |places| {
        for place in places {
            let (body, whole) = stream_cut_at(&gateway, &[*place]);
            let text = String::from_utf8_lossy(&body).into_owned();
            assert!(whole && body == expected_of_varied_stream(), "cut at {place}: {whole} {text}");
        }
    });
    let records = gateway.records();
    assert_eq!(records.len(), places.len());
    assert!(records.iter().all(|record| record.tokens() == (5, 2) && record.error().is_none()));
    gateway.is_at_rest();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_split_anywhere_gives_the_same_bytes(
        cuts in prop::collection::btree_set(1_usize..1200, 0..60)
    ) {
        let bytes = framed_in_every_way();
        let cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < bytes.len()).collect();
        let upstream = in_pieces(bytes);
        let gateway = Gateway::before(&[&upstream]);
        let (body, whole) = stream_cut_at(&gateway, &cuts);
        prop_assert!(whole);
        prop_assert_eq!(body, expected_of_varied_stream());
        prop_assert_eq!(gateway.record().tokens(), (5, 2));
    }
}
