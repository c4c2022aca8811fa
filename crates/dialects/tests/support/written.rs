//! A request of one dialect, written in another.

use serde_json::Value;
use sluice_dialects::exchange::Dropped;
use sluice_dialects::json::Doc;
use sluice_dialects::wire::Wire;

use super::cases::{WIRES, target};

/// What a request becomes: its text, and what was left behind.
pub(crate) struct Written {
    pub(crate) text: String,
    pub(crate) dropped: Vec<String>,
}

impl Written {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn notes(&self, name: &str) -> bool {
        self.dropped.iter().any(|dropped| dropped == name)
    }
}

pub(crate) fn try_written(from: Wire, body: &Value, to: Wire) -> Result<Written, Option<&'static str>> {
    let body = body.to_string();
    let doc = Doc::parse(body.as_bytes()).expect("JSON");
    let (mut dropped, mut out) = (Dropped::default(), Vec::new());
    let request = from.read_request(&doc, false, &mut dropped).expect("a request");
    to.write_request(&request, &target(to), &mut dropped, &mut out).map_err(|error| error.param)?;
    let text = String::from_utf8(out).expect("UTF-8");
    Ok(Written { text, dropped: dropped.names().map(str::to_owned).collect() })
}

pub(crate) fn written(body: &Value, to: Wire) -> Written {
    try_written(Wire::OpenaiChat, body, to).unwrap_or_else(|param| panic!("{to:?} refuses: {param:?}"))
}

pub(crate) fn each(check: impl Fn(Wire)) {
    WIRES.iter().for_each(|(wire, _)| check(*wire));
}
