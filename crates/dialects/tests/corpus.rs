//! Replays the stored corpus of the fuzz targets, which holds every input that once failed.

mod support;

use std::fs;
use std::path::Path;

use support::{fuzz_bodies, fuzz_dialects};

fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut replayed = 0;
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        let input = fs::read(&path).expect("a readable file");
        if let Err(failure) = std::panic::catch_unwind(|| body(&input)) {
            support::recorded::report(&format!("failed on {}", path.display()));
            std::panic::resume_unwind(failure);
        }
        replayed += 1;
    }
    assert!(replayed >= 20, "only {replayed} inputs in {}", folder.display());
}

#[test]
fn scan_object() {
    replay("scan_object", fuzz_bodies::scan_object);
}

#[test]
fn scan_form() {
    replay("scan_form", fuzz_bodies::scan_form);
}

#[test]
fn sse_tap() {
    replay("sse_tap", fuzz_bodies::sse_tap);
}

#[test]
fn body_tap() {
    replay("body_tap", fuzz_bodies::body_tap);
}

#[test]
fn event_stream() {
    replay("event_stream", fuzz_bodies::event_stream);
}

#[test]
fn dialects() {
    replay("dialects", |input| fuzz_dialects::dialect(&fuzz_dialects::WIRES, input));
}
