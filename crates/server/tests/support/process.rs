//! A gateway in a process of its own: for limits of a process, and for its memory.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, Gateway, read_answer};

/// Says to a test that it runs as the gateway of itself, and what is to be served.
const VARIABLE: &str = "SLUICE_TEST_SERVE";

/// A gateway in a child process, which ends with this value.
pub struct GatewayProcess {
    child: Child,
    pub address: SocketAddr,
}

/// What the test `name` begins with: runs the gateway if this is the child, and tells so when it has ended.
pub fn served_as_child() -> bool {
    let Ok(plan) = std::env::var(VARIABLE) else { return false };
    let options =
        json!({"listeners": [{"address": "127.0.0.1:0"}], "workers": 1, "max_connections": 100_000});
    let gateway = Gateway::start_with(&serde_json::from_str(&plan).unwrap(), options);
    let mut out = std::io::stdout();
    writeln!(out, "\nlistening on {}", gateway.address).unwrap();
    out.flush().unwrap();
    // The parent closes this when it has seen enough.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    true
}

impl GatewayProcess {
    /// Runs the test `name` of this program again, as the gateway. `descriptors` is how many files it may open.
    pub fn start(name: &str, plan: &Value, descriptors: Option<usize>) -> Self {
        let program = std::env::current_exe().unwrap();
        let limit = descriptors.map_or(String::new(), |count| format!("ulimit -n {count} && "));
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(format!("{limit}exec \"$0\" --exact {name} --nocapture --test-threads 1"))
            .arg(program)
            .env(VARIABLE, plan.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines
            .find_map(|line| line.strip_prefix("listening on ").map(|address| address.parse().unwrap()))
            .expect("the gateway said where it listens");
        // Whatever it prints further must not stop it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    pub fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        let _ = stream.write_all(bytes);
        read_answer(&mut stream)
    }

    /// Memory in use, in KiB; without what is mapped from files, as code is when it first runs.
    pub fn resident_kib(&self) -> u64 {
        self.status("RssAnon:")
    }

    pub fn threads(&self) -> u64 {
        self.status("Threads:")
    }

    fn status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
