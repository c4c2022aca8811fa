//! Load on a provider that answers rightly: everything sent is answered, counted and timed.
#![allow(clippy::unwrap_used, reason = "only tests call this")]

use serde_json::{Value, json};
use sluice_demo::DemoProvider;
use sluice_loadgen::{LoadOptions, LoadReport};

const CHAT: &str = "/v1/chat/completions";

fn demo(json: &str) -> DemoProvider {
    sluice_demo::start(serde_json::from_str(json).unwrap()).unwrap()
}

fn url(provider: &DemoProvider) -> String {
    format!("http://{}{CHAT}", provider.address())
}

fn options(url: &str, more: Value) -> LoadOptions {
    let mut options = json!({
        "url": url,
        "body": {"kind": "chat", "bytes": 1024, "model": "demo"},
        "mode": {"kind": "closed", "connections": 4},
        "duration_ms": 200,
    });
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(options).unwrap()
}

fn load(provider: &DemoProvider, more: Value) -> LoadReport {
    let report = sluice_loadgen::run(&options(&url(provider), more)).unwrap();
    assert_eq!((report.failed, &report.first_failure), (0, &None));
    report
}

#[test]
fn every_request_is_answered_and_counted() {
    for bytes in [1024, 20 * 1024, 120 * 1024] {
        for stream in [false, true] {
            let provider = demo("{}");
            let body = json!({"kind": "chat", "bytes": bytes, "model": "demo"});
            let report = load(&provider, json!({"body": body, "stream": stream, "warmup_ms": 50}));
            assert_eq!(report.answered, provider.counts().requests, "{bytes} {stream}");
            assert!(report.requests > 0 && report.requests < report.answered, "the warm-up is not counted");
            assert_eq!(report.latency.count, report.requests);
            assert_eq!((report.connects, report.peak_in_flight), (4, 4));
            assert_eq!(report.first_event.is_some(), stream);
        }
    }
}

#[test]
fn threads_share_the_connections() {
    let provider = demo("{}");
    let report = load(&provider, json!({"threads": 3, "mode": {"kind": "closed", "connections": 7}}));
    assert_eq!((report.connects, report.peak_in_flight), (7, 7));
    assert_eq!(report.answered, provider.counts().requests);
}

#[test]
fn a_get_has_no_body() {
    let provider = demo("{}");
    let models = format!("http://{}/v1/models", provider.address());
    let report = sluice_loadgen::run(&options(&models, json!({"body": {"kind": "empty"}}))).unwrap();
    assert!(report.requests > 0 && report.failed == 0, "{:?}", report.first_failure);
}

#[test]
fn an_open_loop_sends_what_is_due_however_slow_the_answers_are() {
    let provider = demo(r#"{"delay_ms":40}"#);
    let mode = json!({"kind": "open", "requests_per_second": 500.0, "max_connections": 100});
    let report = load(&provider, json!({"mode": mode, "duration_ms": 400}));
    assert_eq!((report.requests, provider.counts().requests), (200, 200));
    assert!(report.latency.min_us >= 40_000.0);
    assert!(report.peak_in_flight >= 15, "20 requests fall due in 40 ms: {}", report.peak_in_flight);
    assert!(report.connects <= 100);
}

#[test]
fn requests_that_had_to_wait_are_timed_from_when_they_were_due() {
    let provider = demo(r#"{"delay_ms":50}"#);
    let mode = json!({"kind": "open", "requests_per_second": 100.0, "max_connections": 1});
    let report = load(&provider, json!({"mode": mode, "duration_ms": 200}));
    assert_eq!(report.requests, 20);
    assert!(
        report.latency.max_us > 700_000.0,
        "20 answers of 50 ms one after another: {}",
        report.latency.max_us
    );
    assert!(report.peak_backlog >= 10);
}

#[test]
fn streams_are_timed_by_event() {
    let provider = demo(r#"{"chunks":5,"chunk_gap_ms":20,"delay_ms":30,"stamp_chunks":true}"#);
    let report = load(&provider, json!({"stream": true, "duration_ms": 300}));
    let (first, gap, transit) = (report.first_event.unwrap(), report.gap.unwrap(), report.transit.unwrap());
    assert_eq!(
        (first.count, gap.count, transit.count),
        (report.requests, report.requests * 4, report.requests * 5)
    );
    assert!((30_000.0..80_000.0).contains(&first.p50_us), "{first:?}");
    assert!((15_000.0..40_000.0).contains(&gap.p50_us), "{gap:?}");
    assert!(transit.p50_us < 15_000.0, "{transit:?}");
}

#[test]
fn a_pair_measures_what_the_second_adds() {
    let (direct, slow) = (demo("{}"), demo(r#"{"delay_ms":10}"#));
    let mode = json!({"kind": "paired", "direct_url": url(&direct), "slice_ms": 50});
    let report = load(&slow, json!({"mode": mode, "duration_ms": 400, "warmup_ms": 50}));
    let paired = report.paired.unwrap();
    assert!(paired.slices >= 2 && paired.direct_requests > report.requests);
    for added in [paired.added_p50_us, paired.added_p50_by_slice_us] {
        assert!((9_000.0..30_000.0).contains(&added), "{paired:?}");
    }
}
