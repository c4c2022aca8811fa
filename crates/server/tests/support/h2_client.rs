//! HTTP/2 clients, by the `h2` crate on an event loop of their own.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::KEY;

/// Runs a test on an event loop, for at most 20 seconds.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(20), test).await.expect("within 20 seconds")
    })
}

pub type Client = SendRequest<Bytes>;

/// Connects with prior knowledge.
pub async fn connect(address: SocketAddr) -> Client {
    let tcp = TcpStream::connect(address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    over(tcp, &h2::client::Builder::new()).await
}

/// Speaks HTTP/2 over an open stream; the connection is driven by a task.
pub async fn over(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    builder: &h2::client::Builder,
) -> Client {
    let (client, connection) = builder.handshake(io).await.unwrap();
    tokio::spawn(connection);
    client.ready().await.unwrap()
}

/// A request with a key.
pub fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("http://gateway{path}"))
        .header("authorization", format!("Bearer {KEY}"))
}

/// A whole answer, or how its stream was reset.
#[derive(Debug)]
pub struct H2Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Why the body did not end as it should.
    pub broken: Option<h2::Reason>,
}

impl H2Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Sends one request and reads its answer.
pub async fn send(
    client: &mut Client,
    head: http::request::Builder,
    body: &[u8],
) -> Result<H2Answer, h2::Error> {
    let (response, mut stream) = client.send_request(head.body(()).unwrap(), body.is_empty())?;
    if !body.is_empty() {
        stream.send_data(Bytes::copy_from_slice(body), true)?;
    }
    let (parts, mut incoming) = response.await?.into_parts();
    let mut answer =
        H2Answer { status: parts.status.as_u16(), headers: parts.headers, body: Vec::new(), broken: None };
    while let Some(data) = incoming.data().await {
        match data {
            Ok(data) => {
                let _ = incoming.flow_control().release_capacity(data.len());
                answer.body.extend_from_slice(&data);
            }
            Err(error) => {
                answer.broken = Some(error.reason().unwrap_or(h2::Reason::INTERNAL_ERROR));
                break;
            }
        }
    }
    Ok(answer)
}

/// A chat request.
pub async fn chat(client: &mut Client, body: &str) -> H2Answer {
    let head = request("POST", "/v1/chat/completions").header("content-type", "application/json");
    send(client, head, body.as_bytes()).await.unwrap()
}
