//! The Node.js addon: converts, calls, converts back. Anything worth a test of its own is one crate further in.
//!
//! Values cross this boundary, never live objects of the data plane and never a call per request. Documents cross as
//! JSON text, records as bytes. Errors cross as the message of a JavaScript error: JSON of `{path, code, message}`.

#![allow(missing_docs, reason = "napi-derive generates public items without documentation")]

mod journal;

use std::sync::Arc;

use napi::bindgen_prelude::AsyncTask;
use napi::{Env, Error, Result, Status, Task};
use napi_derive::napi;
use serde::de::DeserializeOwned;
use sluice_demo::DemoOptions;
use sluice_loadgen::LoadOptions;
use sluice_server::DataPlane as Plane;
use sluice_types::{Meter, Snapshot, StartOptions};

/// Version of the addon, to be equal to that of the package.
#[napi]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").into()
}

/// When the windows of these meters (JSON) that are open at a moment began, milliseconds since 1970, as JSON in their order.
#[napi]
pub fn window_starts(meters: String, at_ms: f64) -> Result<String> {
    let meters: Vec<Meter> = from_json("meters", &meters)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time of JavaScript's")]
    let at_ms = at_ms as u64;
    let starts: Vec<Option<u64>> =
        meters.iter().map(|meter| sluice_server::window_start(meter, at_ms)).collect();
    serde_json::to_string(&starts).map_err(|error| refused("", "internal", &error.to_string()))
}

/// A running data plane.
#[napi]
pub struct DataPlane {
    pub(crate) plane: Arc<Plane>,
}

#[napi]
impl DataPlane {
    /// Binds and starts; `options` and `snapshot` are JSON.
    #[napi(factory)]
    pub fn start(env: Env, options: String, snapshot: String) -> Result<Self> {
        let options: StartOptions = from_json("options", &options)?;
        let snapshot: Snapshot = from_json("snapshot", &snapshot)?;
        let plane = Plane::start(&options, &snapshot)
            .map_err(|error| refused(&error.path, error.code, &error.message))?;
        let plane = Arc::new(plane);
        // Threads must not outlive the environment whose addon holds their code.
        let hooked = Arc::downgrade(&plane);
        env.add_env_cleanup_hook(hooked, |hooked| {
            if let Some(plane) = hooked.upgrade() {
                plane.stop();
            }
        })?;
        Ok(Self { plane })
    }

    /// Bound addresses, in the order of the listeners.
    #[napi]
    pub fn addresses(&self) -> Vec<String> {
        self.plane.addresses().iter().map(ToString::to_string).collect()
    }

    /// Puts a snapshot (JSON) into service, whole or not at all.
    #[napi]
    pub fn apply_snapshot(&self, snapshot: String) -> Result<()> {
        let snapshot: Snapshot = from_json("snapshot", &snapshot)?;
        self.plane.apply(&snapshot).map_err(|error| refused(&error.path, error.code, &error.message))
    }

    /// All counters, as JSON.
    #[napi]
    pub fn stats(&self) -> Result<String> {
        serde_json::to_string(&self.plane.stats())
            .map_err(|error| refused("", "internal", &error.to_string()))
    }

    /// How meters stand, those of these ids or all, as JSON.
    #[napi]
    pub fn meter_levels(&self, ids: Option<Vec<u32>>) -> Result<String> {
        serde_json::to_string(&self.plane.meter_levels(ids.as_deref()))
            .map_err(|error| refused("", "internal", &error.to_string()))
    }

    /// Requests being served.
    #[napi]
    pub fn active_count(&self) -> u32 {
        u32::try_from(self.plane.active_requests()).unwrap_or(u32::MAX)
    }

    /// Answers `/readyz` with 503 from now on, and serves all the same.
    #[napi]
    pub fn set_unready(&self) {
        self.plane.set_unready();
    }

    /// Closes the listeners, and connections as they fall idle.
    #[napi]
    pub fn drain(&self) {
        self.plane.drain();
    }

    /// Drops what is under way and joins the threads.
    #[napi]
    pub fn stop(&self) {
        self.plane.stop();
    }
}

/// A running demo provider.
#[napi]
pub struct DemoProvider {
    provider: Option<sluice_demo::DemoProvider>,
    address: String,
    certificate_pem: Option<String>,
}

#[napi]
impl DemoProvider {
    /// Binds and starts; `options` is JSON.
    #[napi(factory)]
    pub fn start(options: String) -> Result<Self> {
        let options: DemoOptions = from_json("options", &options)?;
        let provider = sluice_demo::start(options)
            .map_err(|error| refused("options", "cannot_start", &error.to_string()))?;
        let address = provider.address().to_string();
        let certificate_pem = provider.certificate_pem().map(ToString::to_string);
        Ok(Self { provider: Some(provider), address, certificate_pem })
    }

    /// Where it listens.
    #[napi]
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// Certificate to trust, where it made its own.
    #[napi]
    pub fn certificate_pem(&self) -> Option<String> {
        self.certificate_pem.clone()
    }

    /// Stops it and joins its threads.
    #[napi]
    pub fn stop(&mut self) {
        if let Some(provider) = self.provider.take() {
            provider.stop();
        }
    }
}

/// A load run on the thread pool of Node.js.
pub struct LoadTask(LoadOptions);

impl Task for LoadTask {
    type Output = String;
    type JsValue = String;

    fn compute(&mut self) -> Result<String> {
        let report = sluice_loadgen::run(&self.0).map_err(|why| refused("options", "load_failed", &why))?;
        serde_json::to_string(&report).map_err(|error| refused("", "internal", &error.to_string()))
    }

    fn resolve(&mut self, _env: Env, report: String) -> Result<String> {
        Ok(report)
    }
}

/// Runs a load (`options` is JSON) and resolves to its report (JSON).
#[napi]
pub fn run_load(options: String) -> Result<AsyncTask<LoadTask>> {
    Ok(AsyncTask::new(LoadTask(from_json("options", &options)?)))
}

fn from_json<T: DeserializeOwned>(path: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| refused(path, "bad_json", &described(&error)))
}

/// What is wrong with a document, without what was found there: a value in the wrong place may be a secret.
fn described(error: &serde_json::Error) -> String {
    let place = format!("at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    match (error.is_data(), text.rsplit_once(", expected ")) {
        (false, _) => text,
        (true, Some((_, expected))) => format!("expected {expected}"),
        (true, None) if text.starts_with("missing field ") => text,
        (true, None) => format!("a value that is not understood {place}"),
    }
}

fn refused(path: &str, code: &str, message: &str) -> Error {
    let reason = serde_json::json!({"path": path, "code": code, "message": message});
    Error::new(Status::InvalidArg, reason.to_string())
}
