//! Client connections: accepted elsewhere, placed on this worker, led into the lane that speaks their protocol.

use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::buffers::Buffer;
use crate::fast_lane::{self, Left};
use crate::full_lane;
use crate::stream::Stream;
use crate::worker::Worker;

/// Counts a connection out when its task ends, however it ends.
struct Counted(Rc<Worker>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.shared.workers[self.0.index].connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a connection in a task of its own.
pub(crate) fn spawn(
    worker: &Rc<Worker>,
    socket: std::net::TcpStream,
    peer: IpAddr,
    tls: Option<TlsAcceptor>,
) {
    let counted = Counted(Rc::clone(worker));
    worker.cells.connections_total.add(1);
    tokio::task::spawn_local(async move {
        let worker = &counted.0;
        let Ok(tcp) = TcpStream::from_std(socket) else { return };
        if tcp.set_nodelay(true).is_err() {
            return;
        }
        match tls {
            None => serve(worker, Stream::Plain(tcp), peer).await,
            Some(acceptor) => Box::pin(serve_tls(worker, tcp, peer, acceptor)).await,
        }
    });
}

async fn serve(worker: &Rc<Worker>, stream: Stream, peer: IpAddr) {
    if let Left::Http2 { stream, first_bytes } = fast_lane::serve(worker, stream, peer).await {
        Box::pin(full_lane::serve(worker, stream, first_bytes, peer)).await;
    }
}

async fn serve_tls(worker: &Rc<Worker>, tcp: TcpStream, peer: IpAddr, acceptor: TlsAcceptor) {
    let timer = worker.timers.timer();
    let limit_ms = worker.plan().plan().settings.header_timeout_ms;
    let mut handshake = pin!(acceptor.accept(tcp));
    let Ok(Ok(tls)) = timer.limit(limit_ms, |cx| handshake.as_mut().poll(cx)).await else { return };
    let is_http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    let stream = Stream::FromClient(Box::new(tls));
    if is_http2 {
        full_lane::serve(worker, stream, Buffer::default(), peer).await;
    } else {
        serve(worker, stream, peer).await;
    }
}
