//! The data plane from outside: started, given plans, read, drained and stopped.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use arc_swap::ArcSwap;
use sluice_limits::FailureMeter;
use sluice_pipeline::{MeterPlan, Moment, Plan, PlanError, Registry, Scheme, compile, put_into_force};
use sluice_types::{MeterLevel, RECORD_BYTES, Snapshot, StartOptions, Stats};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;

use crate::acceptor::{self, Bound};
use crate::metrics::{WorkerCells, WorkerReading, collect};
use crate::shared::{Shared, WorkerHandle};
use crate::tls;
use crate::worker::{self, Message, ServedPlan, Worker, wall_clock_ms};

/// Records a worker holds for whoever drains them: six seconds at ten thousand requests a second.
const RING_RECORDS: usize = 1 << 16;

/// Events a worker takes from the kernel at once, and tasks it runs between two looks at the kernel.
const EVENTS_AT_ONCE: usize = 512;
const TASKS_BETWEEN_EVENTS: u32 = 128;

/// Why a data plane did not start.
#[derive(Debug)]
pub struct StartError {
    /// Which option is at fault, as `listeners[0].address`, or a path in the snapshot.
    pub path: String,
    /// Stable code.
    pub code: &'static str,
    /// What happened and what was expected.
    pub message: String,
}

impl StartError {
    fn new(path: &str, code: &'static str, message: impl fmt::Display) -> Self {
        Self { path: path.into(), code, message: message.to_string() }
    }
}

impl From<PlanError> for StartError {
    fn from(error: PlanError) -> Self {
        Self { path: error.path, code: error.code, message: error.message }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.path, self.message, self.code)
    }
}

impl std::error::Error for StartError {}

type Ring = rtrb::Consumer<[u8; RECORD_BYTES]>;

/// A running data plane. Dropping it stops it.
pub struct DataPlane {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    rings: Mutex<Vec<Ring>>,
    stop_accepting: watch::Sender<bool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Plans that requests may still hold. To free one takes milliseconds, which are not the workers' to spend.
    replaced: Mutex<Vec<Arc<ServedPlan>>>,
}

impl fmt::Debug for DataPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataPlane").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl DataPlane {
    /// Binds the listeners, compiles the snapshot and starts the threads. Requests are served when this returns.
    ///
    /// # Errors
    /// What is wrong with the options, the snapshot or the machine; nothing is left running then.
    pub fn start(options: &StartOptions, snapshot: &Snapshot) -> Result<Self, StartError> {
        let registry = Registry::default();
        let served = serve_plan(compile(snapshot, &registry)?)?;
        let origin = Instant::now();
        let now = Moment { wall_ms: wall_clock_ms(), mono_ns: 0 };
        put_into_force(snapshot, &served.plan, &registry, now);
        let bound = bind_all(options)?;
        let addresses = bound.iter().filter_map(|bound| bound.listener.local_addr().ok()).collect();
        let count = worker_count(options.workers);
        let (handles, inboxes): (Vec<_>, Vec<_>) = (0..count).map(|_| worker_channel()).unzip();
        let shared = Arc::new(Shared {
            plan: ArcSwap::from_pointee(served),
            registry,
            auth_failures: FailureMeter::new([worker::random_seed(), worker::random_seed()]),
            workers: handles,
            max_connections: options.max_connections as usize,
            ready: AtomicBool::new(true),
            draining: AtomicBool::new(false),
            instance: format!("{:016x}", worker::random_seed()),
            origin,
        });
        let (stop_accepting, stopped) = watch::channel(false);
        let plane = Self {
            shared,
            addresses,
            rings: Mutex::default(),
            stop_accepting,
            threads: Mutex::default(),
            replaced: Mutex::default(),
        };
        // From here on an error drops the plane, which stops the threads that have been started.
        plane.spawn_workers(inboxes)?;
        plane.spawn_acceptor(bound, stopped)?;
        Ok(plane)
    }

    fn spawn_workers(&self, inboxes: Vec<UnboundedReceiver<Message>>) -> Result<(), StartError> {
        for (index, inbox) in inboxes.into_iter().enumerate() {
            let (producer, consumer) = rtrb::RingBuffer::new(RING_RECORDS);
            lock(&self.rings).push(consumer);
            let shared = Arc::clone(&self.shared);
            self.spawn(&format!("sluice-worker-{index}"), move || {
                worker::run(Worker::new(shared, index, producer), inbox)
            })?;
        }
        Ok(())
    }

    fn spawn_acceptor(&self, bound: Vec<Bound>, stopped: watch::Receiver<bool>) -> Result<(), StartError> {
        let shared = Arc::clone(&self.shared);
        self.spawn("sluice-acceptor", move || acceptor::run(shared, bound, stopped))
    }

    /// Runs a future on an event loop and a thread of its own. The future is made there, for it cannot move.
    fn spawn<F: Future<Output = ()> + 'static>(
        &self,
        name: &str,
        make: impl FnOnce() -> F + Send + 'static,
    ) -> Result<(), StartError> {
        let runtime = Builder::new_current_thread();
        let mut builder = runtime;
        builder.enable_all().max_io_events_per_tick(EVENTS_AT_ONCE).event_interval(TASKS_BETWEEN_EVENTS);
        let body = move || {
            // A thread without an event loop can do nothing; the plane is then found not ready by its owner.
            if let Ok(runtime) = builder.build_local(LocalOptions::default()) {
                runtime.block_on(async move { make().await });
            }
        };
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(body)
            .map_err(|error| StartError::new("workers", "no_thread", error))?;
        lock(&self.threads).push(thread);
        Ok(())
    }

    /// Addresses the listeners are bound to, in the order of the options.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Puts a new snapshot into service. Requests under way keep the one they began with.
    ///
    /// # Errors
    /// What in the snapshot cannot be served; the one before stays in service.
    pub fn apply(&self, snapshot: &Snapshot) -> Result<(), PlanError> {
        // One at a time: what a plan puts into force must not be older than the plan that is served.
        let mut replaced = lock(&self.replaced);
        let served = serve_plan(compile(snapshot, &self.shared.registry)?)?;
        put_into_force(snapshot, &served.plan, &self.shared.registry, self.now());
        replaced.push(self.shared.plan.swap(Arc::new(served)));
        self.shared.tell_all(|| Message::Adopt);
        forget_unused(&mut replaced);
        Ok(())
    }

    fn now(&self) -> Moment {
        let mono_ns = u64::try_from(self.shared.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Moment { wall_ms: wall_clock_ms(), mono_ns }
    }

    /// How meters stand, those of these ids or all, in the order of the snapshot.
    #[must_use]
    pub fn meter_levels(&self, ids: Option<&[u32]>) -> Vec<MeterLevel> {
        let (served, now) = (self.shared.plan.load_full(), self.now());
        let ids = ids.map(|ids| ids.iter().copied().collect::<HashSet<u32>>());
        let is_wanted = |meter: &&MeterPlan| ids.as_ref().is_none_or(|ids| ids.contains(&meter.id));
        let level = |meter: &MeterPlan| {
            let level = meter.level(now);
            MeterLevel {
                id: meter.id,
                window_start_ms: level.window_start_ms,
                window_end_ms: level.window_end_ms,
                used: level.used.to_string(),
                reserved: level.reserved.to_string(),
                refused: level.refused,
            }
        };
        served.plan.meters.iter().filter(is_wanted).map(level).collect()
    }

    /// Adds up to `max` finished records to a buffer, oldest first per worker, each of [`RECORD_BYTES`].
    pub fn drain_records(&self, out: &mut Vec<u8>, max: usize) {
        forget_unused(&mut lock(&self.replaced));
        let mut left = max;
        for ring in lock(&self.rings).iter_mut() {
            let Ok(chunk) = ring.read_chunk(ring.slots().min(left)) else { continue };
            let (first, second) = chunk.as_slices();
            left -= first.len() + second.len();
            out.extend_from_slice(first.as_flattened());
            out.extend_from_slice(second.as_flattened());
            chunk.commit_all();
        }
    }

    /// All counters, summed over the workers.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let rings = lock(&self.rings);
        let reading = |(worker, ring): (&'_ WorkerHandle, &Ring)| {
            (worker.connections.load(Ordering::Relaxed), ring.slots())
        };
        let sizes: Vec<_> = self.shared.workers.iter().zip(rings.iter()).map(reading).collect();
        let readings: Vec<_> = self
            .shared
            .workers
            .iter()
            .zip(&sizes)
            .map(|(worker, (connections, used))| WorkerReading {
                cells: &worker.cells,
                connections: *connections as u64,
                ring_used: *used as u64,
            })
            .collect();
        collect(self.shared.plan.load().plan.version, self.shared.is_ready(), &readings)
    }

    /// Requests being served.
    #[must_use]
    pub fn active_requests(&self) -> u64 {
        self.shared.workers.iter().map(|worker| worker.cells.active_requests.get()).sum()
    }

    /// Says on `/readyz` that no more traffic is wanted; everything is served all the same.
    pub fn set_unready(&self) {
        self.shared.ready.store(false, Ordering::Relaxed);
    }

    /// Closes the listeners, and every connection once the request on it is answered.
    pub fn drain(&self) {
        self.set_unready();
        self.shared.draining.store(true, Ordering::Relaxed);
        self.stop_accepting.send_replace(true);
        self.shared.tell_all(|| Message::Drain);
    }

    /// Drops what is still under way, ends the threads and waits for them. Doing it again does nothing.
    pub fn stop(&self) {
        self.drain();
        self.shared.tell_all(|| Message::Stop);
        for thread in lock(&self.threads).drain(..) {
            // A worker that panicked outside of any request has nothing more to lose.
            let _ = thread.join();
        }
    }
}

impl Drop for DataPlane {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What the mutexes here hold is whole at every point where a panic is possible.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Frees the plans that nobody holds any more.
fn forget_unused(replaced: &mut Vec<Arc<ServedPlan>>) {
    replaced.retain(|plan| Arc::strong_count(plan) > 1);
}

fn worker_channel() -> (WorkerHandle, UnboundedReceiver<Message>) {
    let (inbox, receiver) = unbounded_channel();
    let handle =
        WorkerHandle { cells: Arc::new(WorkerCells::default()), inbox, connections: AtomicUsize::new(0) };
    (handle, receiver)
}

/// One worker per core this process may use; the count respects affinity masks and cgroup quotas.
fn worker_count(wanted: u32) -> usize {
    match wanted {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count as usize,
    }
}

fn bind_all(options: &StartOptions) -> Result<Vec<Bound>, StartError> {
    let bind = |(at, listener): (usize, &sluice_types::Listener)| {
        let path = format!("listeners[{at}].address");
        let address: SocketAddr = listener.address.parse().map_err(|_| {
            StartError::new(
                &path,
                "bad_address",
                format!("expected address:port, found {}", listener.address),
            )
        })?;
        let tls = listener.tls.as_ref().map(tls::acceptor).transpose();
        let tls = tls.map_err(|why| StartError::new(&format!("listeners[{at}].tls"), "bad_tls", why))?;
        let listener = acceptor::bind(address).map_err(|error| {
            StartError::new(&path, "cannot_listen", format!("cannot listen on {address}: {error}"))
        })?;
        Ok(Bound { listener, tls })
    };
    if options.listeners.is_empty() {
        return Err(StartError::new("listeners", "no_listener", "expected at least one listener"));
    }
    options.listeners.iter().enumerate().map(bind).collect()
}

/// Adds to a plan what its providers need for TLS.
fn serve_plan(plan: Plan) -> Result<ServedPlan, PlanError> {
    let connector = |(at, provider): (usize, &sluice_pipeline::ProviderPlan)| match provider.scheme {
        Scheme::Http => Ok(None),
        Scheme::Https => tls::connector(provider.extra_ca_pem.as_deref()).map(Some).map_err(|message| {
            PlanError { path: format!("providers[{at}].extra_ca_pem"), code: "bad_certificate", message }
        }),
    };
    let connectors = plan.providers.iter().enumerate().map(connector).collect::<Result<_, _>>()?;
    Ok(ServedPlan { plan, connectors })
}
