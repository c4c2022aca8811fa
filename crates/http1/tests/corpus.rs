//! Replays the stored corpus of the fuzz targets, which holds every input that once failed.

mod support;

use std::fs;
use std::path::Path;

fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut count = 0;
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        body(&fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
        count += 1;
    }
    assert!(count > 0, "the corpus of {target} is empty");
}

#[test]
fn heads() {
    replay("http1_head", support::fuzz_bodies::head);
}

#[test]
fn chunked_bodies() {
    replay("http1_chunked", support::fuzz_bodies::chunked);
}
