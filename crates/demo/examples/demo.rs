//! Runs a demo provider with the options given as JSON, prints where it listens, and stops at the end of its input:
//! `cargo run -p sluice-demo --example demo -- '{"delay_ms": 50}'`

use std::io::{Read, Write};

fn main() -> std::io::Result<()> {
    let json = std::env::args().nth(1).unwrap_or_else(|| "{}".to_owned());
    let provider = sluice_demo::start(serde_json::from_str(&json)?)?;
    let shown =
        serde_json::json!({"address": provider.address(), "certificate_pem": provider.certificate_pem()});
    writeln!(std::io::stdout(), "{shown}")?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    provider.stop();
    Ok(())
}
