//! Runs the load given as JSON and prints the report:
//! `cargo run --release -p sluice-loadgen --example load -- '{"url": "http://127.0.0.1:8080/", "mode": {"kind":
//! "closed", "connections": 32}}'`

use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let json = std::env::args().nth(1).ok_or("give the options as JSON")?;
    let report = sluice_loadgen::run(&serde_json::from_str(&json)?)?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&report)?)?;
    Ok(())
}
