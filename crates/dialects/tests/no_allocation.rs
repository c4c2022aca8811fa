//! What a request meets on its way does not allocate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use sluice_dialects::bedrock;
use sluice_dialects::cohere;
use sluice_dialects::event_stream::{messages, whole_messages, write_event};
use sluice_dialects::gemini;
use sluice_dialects::multipart::{Boundary, scan_form};
use sluice_dialects::openai::body::BodyTap;
use sluice_dialects::openai::stream::StreamTap;
use sluice_dialects::openai::{Endpoint, inspect};
use sluice_dialects::sse::{Data, EventBoundary, events};
use sluice_dialects::wire::{Frame, Tap as _};

/// The system's allocator, counting on each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call is handed to the system's allocator unchanged; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System` by way of `alloc` or `realloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the pointer came from `System`; the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of a second run: the first may prepare what lasts for the process.
fn allocations(run: impl Fn()) -> u64 {
    run();
    let before = ALLOCATIONS.get();
    run();
    ALLOCATIONS.get() - before
}

#[test]
fn counting_works() {
    assert_eq!(allocations(|| drop(black_box(vec![1]))), 1);
}

#[test]
fn inspecting_and_splicing_do_not_allocate() {
    let body = br#"{"messages":[{"role":"user","content":"a\nb \u00e9 \ud83d\ude00"}],"model":"gpt\u002d4o","stream":true,"n":2}"#;
    for endpoint in [Endpoint::Chat, Endpoint::Completions, Endpoint::Responses] {
        let run = || {
            let view = inspect(endpoint, body).expect("a good request");
            let mut scratch = [0; 256];
            assert_eq!(view.model(body, &mut scratch), "gpt-4o");
            let pieces = black_box(view.splices(body, Some("\"x\""), true));
            assert!(pieces.len_bytes() > 0);
        };
        assert_eq!(allocations(run), 0, "{endpoint:?}");
    }
}

#[test]
fn walking_a_form_does_not_allocate() {
    let form =
        b"--b1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n\0\xff\r\n--b1\r\n\
        Content-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b1--\r\n";
    let run = || {
        let boundary = Boundary::of(b"multipart/form-data; boundary=\"b1\"").expect("a boundary");
        let [model, stream] = scan_form(form, boundary, &["model", "stream"]).expect("a good form");
        assert!(model.expect("a model").of(form) == b"m" && stream.is_none());
    };
    assert_eq!(allocations(run), 0);
}

#[test]
fn following_a_stream_does_not_allocate() {
    let stream = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}],\"usage\":null}\n\n\
        data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n: ping\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n";
    let run = || {
        let mut boundary = EventBoundary::new();
        let mut tap = StreamTap::new(Endpoint::Chat);
        let whole = boundary.whole_events(stream);
        for event in events(&stream[..whole]) {
            black_box(tap.event(&event));
        }
        assert!(tap.finished() && tap.usage().is_some());
    };
    assert_eq!(allocations(run), 0);
}

#[test]
fn following_a_stream_of_gemini_does_not_allocate() {
    let first = br#"{"candidates":[{"content":{"parts":[{"text":"Hi"},{"functionCall":{"args":{"a":[1]}}}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":3,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":3}]}}"#;
    let last = br#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":9}}"#;
    let run = || {
        let mut tap = gemini::StreamTap::default();
        for data in [&first[..], last] {
            black_box(tap.frame(Frame { name: None, data }));
        }
        assert!(tap.finished() && tap.usage().is_some() && tap.output_bytes() > 0);
        assert!(gemini::inspect(br#"{"contents":[],"generationConfig":{"maxOutputTokens":5}}"#).is_ok());
    };
    assert_eq!(allocations(run), 0);
}

#[test]
fn following_a_stream_of_anthropic_does_not_allocate() {
    let stream = b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3}}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":1}}\n\n\
        event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let run = || {
        let mut tap = sluice_dialects::anthropic::StreamTap::default();
        for event in events(stream) {
            let Data::Line(data) = event.data() else { continue };
            black_box(tap.frame(Frame { name: event.name, data }));
        }
        assert!(tap.finished() && tap.usage().is_some() && tap.output_bytes() == 2);
    };
    assert_eq!(allocations(run), 0);
}

#[test]
fn following_an_answer_does_not_allocate() {
    let body = br#"{"data":[{"embedding":[0.1,-2e-3]}],"x":"\"usage\"","usage":{"prompt_tokens":8,"total_tokens":8}}"#;
    let run = || {
        let mut tap = BodyTap::new();
        body.chunks(7).for_each(|piece| tap.feed(piece));
        assert!(tap.finish().usage.is_some());
    };
    assert_eq!(allocations(run), 0);
}

#[test]
fn following_an_event_stream_does_not_allocate() {
    let mut stream = Vec::new();
    let frames = [
        ("contentBlockDelta", &br#"{"contentBlockIndex":0,"delta":{"text":"Hi \"you\""},"p":"abc"}"#[..]),
        ("messageStop", br#"{"stopReason":"end_turn"}"#),
        (
            "metadata",
            br#"{"usage":{"inputTokens":3,"cacheDetails":[{"ttl":"1h","inputTokens":1}],"outputTokens":1}}"#,
        ),
    ];
    for (name, payload) in frames {
        write_event(&mut stream, name, |out| out.extend_from_slice(payload));
    }
    let run = || {
        let mut tap = bedrock::StreamTap::default();
        assert_eq!(whole_messages(&stream), Ok(stream.len()));
        for message in messages(&stream) {
            black_box(tap.frame(message.frame()));
        }
        assert!(tap.finished() && tap.usage().is_some_and(|usage| usage.cache_write_1h == 1));
    };
    assert_eq!(allocations(run), 0);
}

#[test]
fn following_a_stream_of_coheres_does_not_allocate() {
    let frames = [
        (b"message-start" as &[u8], br#"{"id":"1","type":"message-start"}"# as &[u8]),
        (b"content-delta", br#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"Hi"}}}}"#),
        (b"message-end", br#"{"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":1}}}}"#),
    ];
    let run = || {
        let mut tap = cohere::StreamTap::default();
        for (name, data) in frames {
            black_box(tap.frame(Frame { name: Some(name), data }));
            black_box(tap.frame(Frame { name: None, data }));
        }
        assert!(tap.finished() && tap.usage().is_some());
    };
    assert_eq!(allocations(run), 0);
}
