//! Starting and stopping a data plane, over and over, leaves nothing behind. In a file of its own, since it counts the
//! descriptors and threads of its process.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::{Read, Write};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;
use support::*;

const CYCLES: usize = 1_000;

/// One test at a time: what they count is the process's.
static ALONE: Mutex<()> = Mutex::new(());

/// Descriptors and threads of this process.
fn held() -> (usize, usize) {
    let count = |path: &str| std::fs::read_dir(path).unwrap().count();
    (count("/proc/self/fd"), count("/proc/self/task"))
}

#[test]
fn a_thousand_starts_and_stops_leak_nothing() {
    let _alone = ALONE.lock();
    let upstream = Upstream::answering(json_answer("200 OK", COMPLETION));
    let plan = snapshot(&[upstream.address]);
    let options = json!({"listeners": [{"address": "127.0.0.1:0"}], "workers": 2, "max_connections": 100});
    let cycle = |at: usize| {
        let gateway = Gateway::start_with(&plan, options.clone());
        if at.is_multiple_of(20) {
            assert_eq!(gateway.chat(CHAT).status, 200);
            assert_eq!(gateway.record().get("status"), 200);
        }
        match at % 3 {
            0 => gateway.plane.stop(),
            1 => gateway.plane.drain(),
            _ => {}
        }
        drop(gateway);
    };
    (0..40).for_each(cycle);
    let before = held();
    (0..CYCLES).for_each(cycle);
    eventually("nothing is left", || held() <= before);
}

/// A plane that is dropped in the middle of streams takes them along, and the process goes on.
#[test]
fn planes_dropped_in_the_middle_of_streams_are_gone() {
    let _alone = ALONE.lock();
    let (upstream, closed) = Upstream::hanging_after([STREAM_HEAD, &chunk(ROLE)].concat());
    for _ in 0..20 {
        let gateway = Gateway::before(&[&upstream]);
        let mut streams: Vec<_> = (0..5).map(|_| gateway.connect()).collect();
        for stream in &mut streams {
            stream.write_all(&chat_request(STREAM)).unwrap();
            stream.read_exact(&mut [0; 50]).unwrap();
        }
        drop(gateway);
        for stream in &mut streams {
            read_to_end(stream);
            closed.recv_timeout(Duration::from_secs(1)).expect("the provider was let go");
        }
    }
}
