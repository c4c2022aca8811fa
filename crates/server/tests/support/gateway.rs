//! A running gateway, and what it is told to serve.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sluice_server::DataPlane;
use sluice_types::{RECORD_BYTES, Snapshot, StartOptions, Stats};

use super::{Answer, Record, Upstream, chat_request, eventually, read_answer};

pub const KEY: &str = "sk-slc-test-key";
pub const PROVIDER_KEY: &str = "sk-canary-provider-0123456789abcdef";

/// A snapshot with one provider and model per upstream: `m` leads to all of them in order, `m0`, `m1` … to each alone,
/// `alias` to the first under the name `real-name`.
pub fn snapshot(upstreams: &[SocketAddr]) -> Value {
    let providers: Vec<Value> = upstreams
        .iter()
        .enumerate()
        .map(|(at, address)| {
            json!({
                "id": at + 1, "name": format!("p{at}"), "dialect": "openai", "base_url": format!("http://{address}/v1"),
                "auth": {"kind": "bearer"}, "keys": [{"id": 100 + at, "secret": PROVIDER_KEY, "weight": 1}],
                "usage_in_stream": true,
                "timeouts": {"connect_ms": 1000, "first_byte_ms": 2000, "between_chunks_ms": 1000, "total_ms": 0},
                "idle_timeout_ms": 60000, "max_idle_per_worker": 64,
            })
        })
        .collect();
    let target =
        |at: usize, id: usize, tier: usize| json!({"id": id, "provider": at + 1, "weight": 1, "tier": tier});
    let all: Vec<Value> = (0..upstreams.len()).map(|at| target(at, at + 1, at)).collect();
    let mut models = vec![json!({"id": 1, "name": "m", "targets": all})];
    let renamed = |id: usize, name: &str| json!([{"id": id, "provider": 1, "weight": 1, "tier": 0, "upstream_model": name}]);
    if !upstreams.is_empty() {
        models.push(json!({"id": 2, "name": "alias", "aliases": ["other-alias"], "targets": renamed(50, "real-name")}));
        models.push(json!({"id": 3, "name": "pre/*", "targets": renamed(51, "*")}));
    }
    models.extend(
        (0..upstreams.len())
            .map(|at| json!({"id": 10 + at, "name": format!("m{at}"), "targets": [target(at, 60 + at, 0)]})),
    );
    json!({
        "version": 1,
        "settings": {
            "max_request_body_bytes": 32 << 20, "max_response_body_bytes": 256 << 20, "max_event_bytes": 16 << 20,
            "header_timeout_ms": 1000, "body_timeout_ms": 1000, "idle_timeout_ms": 5000, "write_timeout_ms": 2000,
            "max_requests_per_connection": 10000, "max_auth_failures_per_minute": 0, "require_key": true,
        },
        "providers": providers,
        "models": models,
        "keys": [{"id": 7, "digests": [{"sha256": digest(KEY)}], "models": ["*"]}],
    })
}

/// The snapshot with some values replaced, each named by its JSON pointer.
pub fn with(mut snapshot: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        match snapshot.pointer_mut(pointer) {
            Some(place) => *place = value.clone(),
            None => {
                let (parent, name) = pointer.rsplit_once('/').unwrap();
                snapshot.pointer_mut(parent).expect(pointer)[name] = value.clone();
            }
        }
    }
    snapshot
}

pub fn digest(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn parse(snapshot: &Value) -> Snapshot {
    serde_json::from_value(snapshot.clone()).unwrap()
}

/// A running gateway.
pub struct Gateway {
    pub plane: DataPlane,
    pub address: SocketAddr,
}

impl Gateway {
    pub fn start(snapshot: &Value) -> Self {
        Self::start_with(
            snapshot,
            json!({"listeners": [{"address": "127.0.0.1:0"}], "workers": 1, "max_connections": 10000}),
        )
    }

    pub fn start_with(snapshot: &Value, options: Value) -> Self {
        let options: StartOptions = serde_json::from_value(options).unwrap();
        let plane = DataPlane::start(&options, &parse(snapshot)).unwrap();
        let address = plane.addresses()[0];
        Self { plane, address }
    }

    pub fn before(upstreams: &[&Upstream]) -> Self {
        Self::before_with(upstreams, &[])
    }

    /// Before these upstreams, with changes to the snapshot as in [`with`].
    pub fn before_with(upstreams: &[&Upstream], changes: &[(&str, Value)]) -> Self {
        let addresses: Vec<SocketAddr> = upstreams.iter().map(|upstream| upstream.address).collect();
        Self::start(&with(snapshot(&addresses), changes))
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Sends a chat request on a new connection and reads the answer to the end of its framing or the connection.
    pub fn chat(&self, body: &str) -> Answer {
        self.raw(&chat_request(body))
    }

    /// Sends bytes on a new connection and reads one answer.
    pub fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // A gateway that has said no may close before all is sent.
        let _ = stream.write_all(bytes);
        read_answer(&mut stream)
    }

    /// The next usage record.
    pub fn record(&self) -> Record {
        for _ in 0..500 {
            let mut bytes = Vec::new();
            self.plane.drain_records(&mut bytes, 1);
            if !bytes.is_empty() {
                return Record(bytes);
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("no usage record");
    }

    /// All usage records, once no request is being served.
    pub fn records(&self) -> Vec<Record> {
        self.is_at_rest();
        let mut bytes = Vec::new();
        self.plane.drain_records(&mut bytes, 1 << 20);
        bytes.chunks(RECORD_BYTES).map(|record| Record(record.to_vec())).collect()
    }

    /// Waits until no request is being served, and proves that every gauge says so.
    pub fn is_at_rest(&self) -> Stats {
        let rest = |stats: &Stats| {
            stats.workers.iter().all(|worker| worker.active_requests == 0 && worker.active_streams == 0)
                && stats.pools.iter().all(|pool| pool.active == 0)
        };
        eventually("every gauge is back at 0", || rest(&self.plane.stats()));
        assert_eq!(self.plane.active_requests(), 0);
        self.plane.stats()
    }
}
