//! Upstream connections of one worker to one provider: made, lent, taken back.
//!
//! The pool is a stack: the connection used last is the warmest and the least likely to have been closed by the other
//! side. A connection is lent to one request at a time and never crosses threads.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use sluice_pipeline::{ProviderPlan, Scheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::metrics::PoolCells;
use crate::stream::Stream;

/// How long a resolved address is used for new connections.
const ADDRESS_TTL: Duration = Duration::from_secs(30);

/// Where connections go; a pool outlives a reload as long as this stays the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    scheme: Scheme,
    host: Box<str>,
    port: u16,
    extra_ca_pem: Option<Box<str>>,
}

impl Endpoint {
    pub(crate) fn of(provider: &ProviderPlan) -> Self {
        Self {
            scheme: provider.scheme,
            host: provider.host.clone(),
            port: provider.port,
            extra_ca_pem: provider.extra_ca_pem.clone(),
        }
    }
}

struct Idle {
    stream: Stream,
    since: Instant,
}

/// Connections of one worker to one provider.
pub(crate) struct Pool {
    endpoint: Endpoint,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    idle: RefCell<Vec<Idle>>,
    addresses: RefCell<Option<(Vec<SocketAddr>, Instant)>>,
    cells: Arc<PoolCells>,
    /// No plan in service leads here any more.
    retired: Cell<bool>,
}

/// A connection lent to a request. Dropping it closes the connection; [`Lease::give_back`] keeps it.
pub(crate) struct Lease {
    /// The connection; present until it is given back.
    stream: Option<Stream>,
    /// Whether it had served a request before.
    pub(crate) reused: bool,
    pool: Rc<Pool>,
}

impl Lease {
    pub(crate) fn stream(&mut self) -> &mut Stream {
        self.stream.as_mut().expect("a lease holds its stream until it is given back")
    }

    /// Returns the connection for the next request; only when its last answer was read to the end.
    pub(crate) fn give_back(mut self, max_idle: u32, now: Instant) {
        let mut idle = self.pool.idle.borrow_mut();
        if idle.len() < max_idle as usize
            && !self.pool.retired.get()
            && let Some(stream) = self.stream.take()
        {
            idle.push(Idle { stream, since: now });
            self.pool.cells.idle.set(idle.len() as u64);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.cells.active.sub(1);
    }
}

impl Pool {
    /// A pool for a provider. `connector` is absent for plain connections.
    pub(crate) fn new(
        provider: &ProviderPlan,
        connector: Option<TlsConnector>,
        cells: Arc<PoolCells>,
    ) -> Rc<Self> {
        let name = ServerName::try_from(provider.host.to_string());
        Rc::new(Self {
            endpoint: Endpoint::of(provider),
            tls: connector.zip(name.ok()),
            idle: RefCell::default(),
            addresses: RefCell::default(),
            cells,
            retired: Cell::new(false),
        })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The connection used last that is still open, if there is one.
    pub(crate) fn take_idle(self: &Rc<Self>) -> Option<Lease> {
        let mut idle = self.idle.borrow_mut();
        let stream = loop {
            let stream = idle.pop()?.stream;
            if is_quiet(&stream) {
                break stream;
            }
        };
        self.cells.idle.set(idle.len() as u64);
        drop(idle);
        self.cells.reuses.add(1);
        Some(self.lend(stream, true))
    }

    /// A new connection, TLS included. The caller limits the time this takes.
    pub(crate) async fn connect(self: &Rc<Self>) -> io::Result<Lease> {
        let connected = self.connect_stream().await;
        match connected {
            Ok(stream) => {
                self.cells.connects.add(1);
                Ok(self.lend(stream, false))
            }
            Err(error) => {
                // What was resolved may be what is wrong.
                self.addresses.take();
                self.cells.connect_errors.add(1);
                Err(error)
            }
        }
    }

    /// Closes connections that have been idle for too long.
    pub(crate) fn close_idle_since(&self, limit: Duration, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|idle| now.saturating_duration_since(idle.since) < limit);
        self.cells.idle.set(idle.len() as u64);
    }

    /// Closes what is idle and keeps nothing from now on; connections that are lent serve their request to its end.
    pub(crate) fn retire(&self) {
        self.retired.set(true);
        self.idle.borrow_mut().clear();
        self.cells.idle.set(0);
    }

    fn lend(self: &Rc<Self>, stream: Stream, reused: bool) -> Lease {
        self.cells.active.add(1);
        Lease { stream: Some(stream), reused, pool: Rc::clone(self) }
    }

    async fn connect_stream(&self) -> io::Result<Stream> {
        let tcp = self.connect_tcp().await?;
        tcp.set_nodelay(true)?;
        if self.endpoint.scheme == Scheme::Http {
            return Ok(Stream::Plain(tcp));
        }
        let (connector, name) = self.tls.as_ref().ok_or(io::ErrorKind::InvalidInput)?;
        let tls = connector.connect(name.clone(), tcp).await?;
        Ok(Stream::ToProvider(Box::new(tls)))
    }

    async fn connect_tcp(&self) -> io::Result<TcpStream> {
        let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
        for address in self.resolve().await? {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last_error = error,
            }
        }
        Err(last_error)
    }

    async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = self.endpoint.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.endpoint.port)]);
        }
        if let Some((addresses, at)) = &*self.addresses.borrow()
            && at.elapsed() < ADDRESS_TTL
        {
            return Ok(addresses.clone());
        }
        let found: Vec<_> =
            tokio::net::lookup_host((&*self.endpoint.host, self.endpoint.port)).await?.collect();
        self.addresses.replace(Some((found.clone(), Instant::now())));
        Ok(found)
    }
}

/// Whether nothing has arrived on an idle connection. Anything would be its end or bytes nobody asked for, and the
/// runtime has already been told, so asking costs no system call.
fn is_quiet(stream: &Stream) -> bool {
    stream.poll_read_ready(&mut Context::from_waker(Waker::noop())).is_pending()
}
