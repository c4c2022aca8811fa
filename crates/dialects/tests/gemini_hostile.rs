//! JSON that is valid and makes no sense: every value of every case, replaced by something else.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use sluice_dialects::exchange::Dropped;
use sluice_dialects::gemini::{
    Decoder, Encoder, StreamTap, inspect, read_answer, read_error, read_request, write_answer, write_error,
    write_request,
};
use sluice_dialects::json::Doc;
use sluice_dialects::wire::{AnswerContext, Decode, Encode, Frame, Quirk, Quirks, Tap, Target};

/// Calls `check` with the document after each single replacement.
fn each_replaced(document: &Value, check: &mut impl FnMut(&str)) {
    let mut pointers = Vec::new();
    collect(document, String::new(), &mut pointers);
    let odd = [
        Value::Null,
        json!(-1),
        json!(1e300),
        json!("x"),
        json!(""),
        json!([]),
        json!({}),
        json!(true),
        json!([[1]]),
    ];
    for pointer in pointers {
        for other in &odd {
            let mut changed = document.clone();
            if let Some(place) = changed.pointer_mut(&pointer) {
                *place = other.clone();
            }
            check(&changed.to_string());
        }
    }
}

fn collect(value: &Value, at: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                collect(member, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), pointers);
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                collect(element, format!("{at}/{index}"), pointers);
            }
        }
        _ => {}
    }
    if !at.is_empty() {
        pointers.push(at);
    }
}

/// The texts of one file of every case.
fn cases(file: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/gemini");
    let entries = fs::read_dir(folder).expect("the cases");
    let texts = entries.filter_map(|entry| fs::read_to_string(entry.expect("a case").path().join(file)).ok());
    texts.collect()
}

fn is_json(bytes: &[u8], of: &str) {
    assert!(
        serde_json::from_slice::<Value>(bytes).is_ok(),
        "{of}\nbecame\n{}",
        String::from_utf8_lossy(bytes)
    );
}

#[test]
fn edge_30_odd_requests_are_read_or_refused() {
    let mut read = 0;
    let mut check = |text: &str| {
        let _ = inspect(text.as_bytes());
        let doc = Doc::parse(text.as_bytes()).expect("JSON");
        let mut dropped = Dropped::default();
        let Ok(request) = read_request(&doc, false, &mut dropped) else { return };
        read += 1;
        for quirks in
            [Quirks::NONE, Quirks::NONE.with(Quirk::ThinkingLevel), Quirks::NONE.with(Quirk::NoCallIds)]
        {
            let target = Target { model: "gemini-2.5-flash", quirks, default_max_tokens: 1 };
            let mut out = Vec::new();
            if write_request(&request, &target, &mut dropped, &mut out).is_ok() {
                is_json(&out, text);
            }
        }
    };
    for text in cases("request.json") {
        each_replaced(&serde_json::from_str(&text).expect("JSON"), &mut check);
    }
    assert!(read > 1_000);
}

#[test]
fn edge_30_odd_answers_are_read_or_malformed() {
    let mut read = 0;
    let mut check = |text: &str| {
        let doc = Doc::parse(text.as_bytes()).expect("JSON");
        let Ok(answer) = read_answer(&doc) else { return };
        read += 1;
        let mut out = Vec::new();
        write_answer(&answer, &AnswerContext::default(), &mut out);
        is_json(&out, text);
    };
    for text in cases("answer.json") {
        each_replaced(&serde_json::from_str(&text).expect("JSON"), &mut check);
    }
    assert!(read > 1_000);
}

#[test]
fn edge_30_odd_events_are_read_or_malformed() {
    let mut check = |text: &str| {
        let frame = Frame { name: None, data: text.as_bytes() };
        StreamTap::default().frame(frame);
        let (mut decoder, mut out) = (Decoder::default(), Vec::new());
        let mut encoder = Encoder::new(AnswerContext { json_array: true, ..AnswerContext::default() });
        let read = decoder.frame(frame, &mut |event| encoder.event(&event, &mut out));
        encoder.event(&sluice_dialects::exchange::Event::End, &mut out);
        if read.is_ok() {
            is_json(&out, text);
        }
    };
    for text in cases("stream.sse") {
        for data in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
            each_replaced(&serde_json::from_str(data).expect("JSON"), &mut check);
        }
    }
}

#[test]
fn edge_30_odd_errors_are_errors() {
    for text in cases("error.json") {
        each_replaced(&serde_json::from_str(&text).expect("JSON"), &mut |text| {
            let body: Value = serde_json::from_str(text).expect("JSON");
            let error = read_error(429, body["body"].to_string().as_bytes());
            let mut out = Vec::new();
            write_error(&error, &mut out);
            is_json(&out, text);
        });
    }
}
