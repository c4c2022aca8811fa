//! Upstreams that do what their script says.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// What an upstream does with a request it has read.
type Script = Box<dyn Fn(&mut TcpStream, &[u8]) -> Keep + Send + Sync>;

/// Whether the connection goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Open,
    Close,
}

/// An upstream that does what its script says, and hands on every request it reads.
pub struct Upstream {
    pub address: SocketAddr,
    pub requests: Receiver<Vec<u8>>,
    asked: Arc<AtomicUsize>,
}

impl Upstream {
    pub fn start(script: impl Fn(&mut TcpStream, &[u8]) -> Keep + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let script: Arc<Script> = Arc::new(Box::new(script));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (sender, script, count) = (sender.clone(), Arc::clone(&script), Arc::clone(&count));
                thread::spawn(move || serve(stream, &script, &sender, &count));
            }
        });
        Self { address, requests, asked }
    }

    /// Answers everything with the same bytes.
    pub fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |stream, _| {
            let _ = stream.write_all(&bytes);
            Keep::Open
        })
    }

    /// Answers everything with the same bytes, then closes.
    pub fn closing_after(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |stream, _| {
            let _ = stream.write_all(&bytes);
            Keep::Close
        })
    }

    /// Answers with the same bytes, then says nothing; sends a word when the gateway closes the connection.
    pub fn hanging_after(bytes: impl Into<Vec<u8>>) -> (Self, Receiver<Instant>) {
        let bytes = bytes.into();
        let (sender, closed) = channel();
        let upstream = Self::start(move |stream, _| {
            let _ = stream.write_all(&bytes);
            wait_for_end(stream);
            let _ = sender.send(Instant::now());
            Keep::Close
        });
        (upstream, closed)
    }

    /// Takes connections and resets them as soon as a request is there.
    pub fn resetting() -> Self {
        Self::start(|stream, _| {
            reset(stream);
            Keep::Close
        })
    }

    pub fn next_request(&self) -> Vec<u8> {
        self.requests.recv_timeout(Duration::from_secs(5)).expect("the upstream was asked")
    }

    /// Requests read so far.
    pub fn times_asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, script: &Script, sender: &Sender<Vec<u8>>, count: &AtomicUsize) {
    let _ = stream.set_nodelay(true);
    while let Some(request) = read_message(&mut stream) {
        count.fetch_add(1, Ordering::SeqCst);
        let _ = sender.send(request.clone());
        if script(&mut stream, &request) == Keep::Close {
            return;
        }
    }
}

/// Reads one message with a content length or none.
pub fn read_message(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |value| value.trim().parse::<usize>().unwrap());
    let from = bytes.len();
    bytes.resize(from + length, 0);
    stream.read_exact(&mut bytes[from..]).ok()?;
    Some(bytes)
}

/// Reads until the other side closes, however it does.
pub fn wait_for_end(stream: &mut TcpStream) {
    let mut sink = [0; 4096];
    while stream.read(&mut sink).is_ok_and(|count| count > 0) {}
}

/// Makes the coming close a reset.
pub fn reset(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// An address where nothing listens.
pub fn refusing_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
