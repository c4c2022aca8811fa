//! The acceptor: one thread that takes connections in and places each on the worker that has the fewest.
//!
//! `SO_REUSEPORT` would let the kernel place them, by a hash: of eight connections on four workers it leaves one idle
//! more often than not, and long-lived connections keep that imbalance for hours.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::shared::Shared;
use crate::worker::Message;

/// Connections the kernel completes before we accept them.
const BACKLOG: i32 = 4096;

/// Pause after the process ran out of descriptors or memory, or while it is at its bound of connections.
const PAUSE: Duration = Duration::from_millis(5);

/// A bound socket and how its clients speak.
pub(crate) struct Bound {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<TlsAcceptor>,
}

/// Binds a listener.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts on all listeners until told to stop, which closes them.
pub(crate) async fn run(shared: Arc<Shared>, listeners: Vec<Bound>, mut stop: watch::Receiver<bool>) {
    let mut tasks = tokio::task::JoinSet::new();
    for bound in listeners {
        let shared = Arc::clone(&shared);
        tasks.spawn_local(async move { accept_from(&shared, bound).await });
    }
    // The sender is dropped only with the data plane, which is a reason to stop too.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn accept_from(shared: &Shared, bound: Bound) {
    let Ok(listener) = tokio::net::TcpListener::from_std(bound.listener) else { return };
    loop {
        while shared.connections() >= shared.max_connections {
            tokio::time::sleep(PAUSE).await;
        }
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Ok(socket) = stream.into_std() {
                    place(shared, socket, peer, bound.tls.clone());
                }
            }
            // A connection that was reset before it was accepted is nobody's problem; without descriptors, waiting for
            // some to come free is all there is to do.
            Err(error) if is_of_the_connection(&error) => {}
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

fn place(shared: &Shared, socket: std::net::TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>) {
    let least = shared.workers.iter().min_by_key(|worker| worker.connections.load(Ordering::Relaxed));
    let Some(worker) = least else { return };
    worker.connections.fetch_add(1, Ordering::Relaxed);
    if worker.inbox.send(Message::Client { socket, peer: peer.ip(), tls }).is_err() {
        worker.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
