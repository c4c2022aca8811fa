//! A gateway without the TypeScript side, for profilers: `gateway OPTIONS.json SNAPSHOT.json` serves until its standard
//! input is closed, draining its records like the real one. It writes where it listens to standard output.

use std::error::Error;
use std::io::{Read, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sluice_server::DataPlane;

/// As the journal does it.
const DRAIN_EVERY: Duration = Duration::from_millis(50);

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mut document = || -> Result<String, Box<dyn Error>> {
        let path = args.next().ok_or("usage: gateway OPTIONS.json SNAPSHOT.json")?;
        Ok(std::fs::read_to_string(path)?)
    };
    let options = serde_json::from_str(&document()?)?;
    let snapshot = serde_json::from_str(&document()?)?;
    let plane = Arc::new(DataPlane::start(&options, &snapshot)?);
    writeln!(std::io::stdout(), "{}", plane.addresses()[0])?;
    let drained = Arc::downgrade(&plane);
    thread::spawn(move || {
        let mut records = Vec::new();
        while let Some(plane) = drained.upgrade() {
            plane.drain_records(&mut records, 1 << 20);
            records.clear();
            drop(plane);
            thread::sleep(DRAIN_EVERY);
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    plane.stop();
    Ok(())
}
