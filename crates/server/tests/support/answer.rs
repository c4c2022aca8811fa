//! What comes back.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// An answer as it came.
#[derive(Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    /// Without its framing.
    pub body: Vec<u8>,
    /// The framing said the body is whole.
    pub whole: bool,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub fn error_code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_string()
    }

    pub fn error_message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_default().to_string()
    }
}

/// Reads one answer: head, then the body by its framing. An interim answer is skipped.
pub fn read_answer(stream: &mut impl Read) -> Answer {
    let mut answer = Answer::default();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    answer.head = String::from_utf8_lossy(&head).into_owned();
    answer.status = answer.head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    if answer.status == 100 {
        return read_answer(stream);
    }
    if answer.header("transfer-encoding") == Some("chunked") {
        read_chunks(stream, &mut answer);
    } else if let Some(length) = answer.header("content-length") {
        answer.body.resize(length.parse().unwrap(), 0);
        answer.whole = stream.read_exact(&mut answer.body).is_ok();
    } else {
        let _ = stream.read_to_end(&mut answer.body);
    }
    answer
}

fn read_chunks(stream: &mut impl Read, answer: &mut Answer) {
    loop {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => line.push(byte[0]),
                _ => return,
            }
        }
        let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).unwrap();
        let mut data = vec![0; size + 2];
        if stream.read_exact(&mut data).is_err() {
            return;
        }
        if size == 0 {
            answer.whole = true;
            return;
        }
        answer.body.extend_from_slice(&data[..size]);
    }
}

/// Reads everything until the gateway closes or resets the connection; panics if it leaves it open.
pub fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return bytes,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the connection was left open after {:?}", String::from_utf8_lossy(&bytes))
            }
            Err(_) => return bytes,
        }
    }
}

/// Whether the gateway closes the connection within `wait`, sending nothing more.
pub fn is_closed(stream: &mut TcpStream, wait: Duration) -> bool {
    stream.set_read_timeout(Some(wait)).unwrap();
    match stream.read(&mut [0; 1]) {
        Ok(count) => count == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}
