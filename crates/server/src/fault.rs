//! Panics on request, for the test that proves what a defect takes along. Compiled in by a feature of that name only.

use sluice_http1::RequestHead;

/// Names the stage a request is to panic in.
const HEADER: &[u8] = b"x-sluice-test-panic";

/// Panics if the request asks for it at this stage.
pub(crate) fn inject(stage: &str, head: &RequestHead, bytes: &[u8]) {
    let asked = head
        .fields()
        .iter(bytes)
        .any(|field| field.name.eq_ignore_ascii_case(HEADER) && field.value == stage.as_bytes());
    assert!(!asked, "injected in stage {stage}");
}
