//! A worker: one thread, one event loop, and everything the requests on it share without locks.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sluice_pipeline::{Hold, Plan};
use sluice_types::{RECORD_BYTES, UsageRecord};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::metrics::{TargetCells, TargetIds, WorkerCells};
use crate::pool::{Endpoint, Pool};
use crate::shared::Shared;
use crate::timers::Timers;

/// Lists of places on meters that are kept, and the longest of them.
const MAX_KEPT_HOLDS: usize = 1_024;
const MAX_KEPT_HOLDS_LEN: usize = 64;

/// How often idle upstream connections are looked over.
const SWEEP: Duration = Duration::from_secs(1);

/// A plan with what TLS needs, made once for all workers.
pub(crate) struct ServedPlan {
    pub(crate) plan: Plan,
    /// Per provider, in the plan's order; absent for plain connections.
    pub(crate) connectors: Vec<Option<TlsConnector>>,
}

/// A plan with this worker's own pools and counters, each indexed as in the plan.
pub(crate) struct WorkerPlan {
    served: Arc<ServedPlan>,
    pub(crate) pools: Vec<Rc<Pool>>,
    pub(crate) targets: Vec<Arc<TargetCells>>,
}

impl WorkerPlan {
    fn new(served: Arc<ServedPlan>, before: &[Rc<Pool>], cells: &WorkerCells) -> Rc<Self> {
        let plan = &served.plan;
        let pool_of = |(provider, connector): (&sluice_pipeline::ProviderPlan, &Option<TlsConnector>)| {
            let endpoint = Endpoint::of(provider);
            match before.iter().find(|pool| *pool.endpoint() == endpoint) {
                Some(pool) => Rc::clone(pool),
                None => Pool::new(provider, connector.clone(), cells.pool(provider.id)),
            }
        };
        let pools = plan.providers.iter().zip(&served.connectors).map(pool_of).collect();
        let ids = |target: &sluice_pipeline::TargetPlan| TargetIds {
            target: target.id,
            provider: plan.providers[target.provider as usize].id,
            model: target.model_id,
        };
        let targets = plan.targets.iter().map(|target| cells.target(ids(target))).collect();
        Rc::new(Self { served, pools, targets })
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.served.plan
    }
}

/// What the acceptor and the owner of the data plane tell a worker.
pub(crate) enum Message {
    /// A new client.
    Client { socket: std::net::TcpStream, peer: IpAddr, tls: Option<TlsAcceptor> },
    /// A new plan is there.
    Adopt,
    /// Finish what is under way, begin nothing.
    Drain,
    /// Drop everything.
    Stop,
}

/// State shared by all tasks of one worker thread.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: usize,
    pub(crate) cells: Arc<WorkerCells>,
    pub(crate) timers: Rc<Timers>,
    /// The start of this worker's monotonic clock, which the limits count in.
    origin: Instant,
    plan: RefCell<Rc<WorkerPlan>>,
    ring: RefCell<rtrb::Producer<[u8; RECORD_BYTES]>>,
    random: Cell<u64>,
    id_prefix: u64,
    id_counter: Cell<u64>,
    holds: RefCell<Vec<Vec<Hold>>>,
}

impl Worker {
    pub(crate) fn new(
        shared: Arc<Shared>,
        index: usize,
        ring: rtrb::Producer<[u8; RECORD_BYTES]>,
    ) -> Rc<Self> {
        let cells = Arc::clone(&shared.workers[index].cells);
        let origin = shared.origin;
        let served = shared.plan.load_full();
        cells.snapshot_version.set(served.plan.version);
        let plan = WorkerPlan::new(served, &[], &cells);
        Rc::new(Self {
            index,
            timers: Timers::new(origin),
            origin,
            plan: RefCell::new(plan),
            ring: RefCell::new(ring),
            random: Cell::new(random_seed() | 1),
            id_prefix: random_seed(),
            id_counter: Cell::new(0),
            holds: RefCell::default(),
            cells,
            shared,
        })
    }

    /// The plan new requests begin with.
    pub(crate) fn plan(&self) -> Rc<WorkerPlan> {
        Rc::clone(&self.plan.borrow())
    }

    fn adopt(&self) {
        let served = self.shared.plan.load_full();
        let version = served.plan.version;
        let next = WorkerPlan::new(served, &self.plan.borrow().pools, &self.cells);
        let before = self.plan.replace(next);
        let is_left = |pool: &&Rc<Pool>| !self.plan().pools.iter().any(|kept| Rc::ptr_eq(kept, pool));
        before.pools.iter().filter(is_left).for_each(|pool| pool.retire());
        self.cells.snapshot_version.set(version);
    }

    /// Nanoseconds since the data plane started, for the limits.
    pub(crate) fn monotonic_ns(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }

    /// An id no other request of any gateway has: 64 random bits of this worker's start and a count.
    pub(crate) fn next_request_id(&self) -> [u8; 16] {
        let count = self.id_counter.get();
        self.id_counter.set(count + 1);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.id_prefix.to_be_bytes());
        id[8..].copy_from_slice(&count.to_be_bytes());
        id
    }

    /// A random number for choices among equals (xorshift; nothing secret depends on it).
    pub(crate) fn random(&self) -> u64 {
        let mut x = self.random.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.set(x);
        x.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Hands a record to whoever drains the ring. A full ring counts and loses it; it never blocks.
    pub(crate) fn record(&self, record: &UsageRecord) {
        if self.ring.borrow_mut().push(record.to_bytes()).is_err() {
            self.cells.ring_dropped.add(1);
        }
    }

    /// A list for places on meters; it has memory from the first use on.
    pub(crate) fn take_holds(&self) -> Vec<Hold> {
        self.holds.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(16))
    }

    /// Takes back the memory of an empty list.
    pub(crate) fn give_holds(&self, holds: Vec<Hold>) {
        let mut kept = self.holds.borrow_mut();
        if kept.len() < MAX_KEPT_HOLDS && holds.capacity() <= MAX_KEPT_HOLDS_LEN {
            kept.push(holds);
        }
    }

    fn sweep_pools(&self, now: Instant) {
        let plan = self.plan();
        for (provider, pool) in plan.plan().providers.iter().zip(&plan.pools) {
            pool.close_idle_since(Duration::from_millis(provider.idle_timeout_ms.into()), now);
        }
    }
}

/// Milliseconds since 1970.
pub(crate) fn wall_clock_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// 64 bits nobody can guess, from the standard library's per-process random hash keys.
pub(crate) fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}

/// The life of a worker; returns when it is told to stop, dropping every connection it has.
pub(crate) async fn run(worker: Rc<Worker>, mut inbox: UnboundedReceiver<Message>) {
    let ticker = Rc::clone(&worker.timers);
    tokio::task::spawn_local(async move { ticker.tick_forever().await });
    let sweeping = Rc::clone(&worker);
    tokio::task::spawn_local(async move {
        loop {
            tokio::time::sleep(SWEEP).await;
            sweeping.sweep_pools(Instant::now());
        }
    });
    while let Some(message) = inbox.recv().await {
        match message {
            Message::Client { socket, peer, tls } => crate::client::spawn(&worker, socket, peer, tls),
            Message::Adopt => worker.adopt(),
            Message::Drain => worker.timers.wake_all(),
            Message::Stop => return,
        }
    }
}
