use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

use crate::certificate::Certificate;
use crate::connection::serve;
use crate::options::DemoOptions;
use crate::service::Service;

/// Connections the kernel may hold before they are accepted: a load generator opens thousands at once.
const BACKLOG: i32 = 4096;
/// Pause after a failed accept, when the process is out of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// What a provider has served since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoCounts {
    /// Connections accepted.
    pub connections: u64,
    /// Requests received whole.
    pub requests: u64,
    /// Answers that the client did not wait for.
    pub aborts: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    connections: AtomicU64,
    requests: AtomicU64,
    aborts: AtomicU64,
}

impl Counters {
    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn abort(&self) {
        self.aborts.fetch_add(1, Ordering::Relaxed);
    }
}

/// A running demo provider; dropping it stops it.
#[derive(Debug)]
pub struct DemoProvider {
    address: SocketAddr,
    certificate_pem: Option<String>,
    counters: Arc<Counters>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

/// Starts a demo provider on threads of its own. It listens when this returns.
///
/// # Errors
/// Invalid options or certificates (`InvalidInput`), an address that cannot be bound, or a thread that cannot be
/// started.
pub fn start(options: DemoOptions) -> io::Result<DemoProvider> {
    options.check().map_err(|problem| io::Error::new(io::ErrorKind::InvalidInput, problem))?;
    let certificate = options.tls.as_ref().map(Certificate::of).transpose()?;
    let tls = certificate.as_ref().map(Certificate::acceptor).transpose()?;
    let listener = listen(&options.address)?;
    let mut provider = DemoProvider {
        address: listener.local_addr()?,
        certificate_pem: certificate.map(|certificate| certificate.chain_pem),
        counters: Arc::default(),
        stop: watch::Sender::new(false),
        threads: Vec::new(),
    };
    let inboxes = (0..options.threads)
        .map(|thread| provider.start_thread(thread, options.clone(), tls.clone()))
        .collect::<io::Result<Vec<_>>>()?;
    provider.start_acceptor(listener, inboxes)?;
    Ok(provider)
}

impl DemoProvider {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate to trust, when it speaks TLS.
    #[must_use]
    pub fn certificate_pem(&self) -> Option<&str> {
        self.certificate_pem.as_deref()
    }

    /// What it has served so far.
    #[must_use]
    pub fn counts(&self) -> DemoCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        DemoCounts {
            connections: read(&self.counters.connections),
            requests: read(&self.counters.requests),
            aborts: read(&self.counters.aborts),
        }
    }

    /// Drops every connection, in the middle of an answer too, and waits for the threads to end.
    pub fn stop(self) {
        drop(self);
    }

    fn start_thread(
        &mut self,
        thread: u32,
        options: DemoOptions,
        tls: Option<TlsAcceptor>,
    ) -> io::Result<mpsc::UnboundedSender<TcpStream>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let counters = Arc::clone(&self.counters);
        let work = move || {
            let service = Rc::new(Service::new(options, u64::from(thread), counters));
            serve_all(receiver, service, tls)
        };
        self.spawn(format!("demo-{thread}"), work)?;
        Ok(sender)
    }

    fn start_acceptor(
        &mut self,
        listener: TcpListener,
        threads: Vec<mpsc::UnboundedSender<TcpStream>>,
    ) -> io::Result<()> {
        let counters = Arc::clone(&self.counters);
        self.spawn("demo-accept".to_owned(), move || accept_all(listener, threads, counters))
    }

    /// Runs a future to its end, or to the stop of the provider, on a thread of its own. The future is made on that
    /// thread, since it holds what must not leave it.
    fn spawn<W, F>(&mut self, name: String, work: W) -> io::Result<()>
    where
        W: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()>,
    {
        let runtime: Runtime = Builder::new_current_thread().enable_all().build()?;
        let mut stopped = self.stop.subscribe();
        let run = move || {
            let local = LocalSet::new();
            local.block_on(&runtime, async {
                tokio::select! {
                    () = work() => {}
                    _ = stopped.wait_for(|stop| *stop) => {}
                }
            });
        };
        self.threads.push(std::thread::Builder::new().name(name).spawn(run)?);
        Ok(())
    }
}

impl Drop for DemoProvider {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to wait for.
            let _ = thread.join();
        }
    }
}

fn listen(address: &str) -> io::Result<TcpListener> {
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, format!("address {address}: {error}"));
    let address: SocketAddr = address.parse().map_err(invalid)?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Hands connections to the threads in turn, so that each has its share whatever their number.
async fn accept_all(
    listener: TcpListener,
    threads: Vec<mpsc::UnboundedSender<TcpStream>>,
    counters: Arc<Counters>,
) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    for thread in threads.iter().cycle() {
        let stream = accept(&listener).await;
        counters.connections.fetch_add(1, Ordering::Relaxed);
        if let Ok(stream) = stream.into_std() {
            // The thread is gone only when the provider stops.
            let _ = thread.send(stream);
        }
    }
}

async fn accept(listener: &tokio::net::TcpListener) -> tokio::net::TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(_) => tokio::time::sleep(ACCEPT_RETRY).await,
        }
    }
}

async fn serve_all(
    mut connections: mpsc::UnboundedReceiver<TcpStream>,
    service: Rc<Service>,
    tls: Option<TlsAcceptor>,
) {
    while let Some(stream) = connections.recv().await {
        let Ok(stream) = tokio::net::TcpStream::from_std(stream) else { continue };
        let _ = stream.set_nodelay(true);
        let service = Rc::clone(&service);
        let tls = tls.clone();
        // A connection that breaks is the client's business; nothing is left to do here.
        tokio::task::spawn_local(async move {
            match tls {
                None => serve(stream, service).await,
                Some(acceptor) => serve(acceptor.accept(stream).await?, service).await,
            }
        });
    }
}
