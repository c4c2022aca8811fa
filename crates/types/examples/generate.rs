//! Writes what the TypeScript side is generated from, as one JSON document on standard output: the JSON Schemas of the
//! start options, the snapshot and the statistics, the layout of a usage record, and the names behind its numbers.

use std::io::Write;

use schemars::schema_for;
use serde_json::{Value, json};
use sluice_types::{
    ErrorKind, FIELDS, JournalOptions, JournalStats, LATENCY_BOUNDS_US, MeterLevel, RECORD_BYTES, Route,
    ServiceTier, Snapshot, StartOptions, Stats, UsageRecord, flags,
};

fn main() {
    let fields: Vec<Value> = FIELDS
        .iter()
        .map(|field| json!({"name": field.name, "offset": field.offset, "kind": format!("{:?}", field.kind)}))
        .collect();
    let routes: Vec<Value> =
        Route::ALL.iter().map(|route| json!({"id": *route as u8, "label": route.label()})).collect();
    let errors: Vec<Value> = ErrorKind::ALL
        .iter()
        .map(|kind| json!({"id": *kind as u8, "code": kind.code(), "status": kind.status()}))
        .collect();
    let tiers: Vec<&str> = ServiceTier::ALL.iter().map(|tier| tier.label()).collect();
    let document = json!({
        "schemas": {
            "StartOptions": schema_for!(StartOptions),
            "Snapshot": schema_for!(Snapshot),
            "Stats": schema_for!(Stats),
            "MeterLevel": schema_for!(MeterLevel),
            "JournalOptions": schema_for!(JournalOptions),
            "JournalStats": schema_for!(JournalStats),
        },
        "record": {
            "bytes": RECORD_BYTES,
            "fields": fields,
            "flags": {
                "stream": flags::STREAM,
                "estimated": flags::ESTIMATED,
                "client_aborted": flags::CLIENT_ABORTED,
                "truncated": flags::TRUNCATED,
            },
        },
        "unpriced": UsageRecord::UNPRICED,
        "service_tiers": tiers,
        "routes": routes,
        "errors": errors,
        "latency_bounds_us": LATENCY_BOUNDS_US,
    });
    let text = serde_json::to_string_pretty(&document).expect("plain data serialises");
    std::io::stdout().write_all(text.as_bytes()).expect("standard output is open");
}
