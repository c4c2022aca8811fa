//! What the threads of one data plane share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use sluice_limits::FailureMeter;
use sluice_pipeline::Registry;
use tokio::sync::mpsc::UnboundedSender;

use crate::metrics::WorkerCells;
use crate::worker::{Message, ServedPlan};

/// One worker as the other threads see it.
pub(crate) struct WorkerHandle {
    pub(crate) cells: Arc<WorkerCells>,
    pub(crate) inbox: UnboundedSender<Message>,
    /// Open client connections: raised by the acceptor, lowered by the worker.
    pub(crate) connections: AtomicUsize,
}

/// State of a data plane that is read from every thread.
pub(crate) struct Shared {
    /// The plan new requests begin with.
    pub(crate) plan: ArcSwap<ServedPlan>,
    /// Counters and breakers, which outlive plans.
    pub(crate) registry: Registry,
    /// Failed authentications by address.
    pub(crate) auth_failures: FailureMeter,
    pub(crate) workers: Vec<WorkerHandle>,
    pub(crate) max_connections: usize,
    /// Answered by `/readyz`; false first, so that balancers look away before listeners close.
    pub(crate) ready: AtomicBool,
    /// No new requests; connections close after the one they are serving.
    pub(crate) draining: AtomicBool,
    /// Marks requests that passed through here, to notice those going in circles: 16 hexadecimal digits.
    pub(crate) instance: String,
    pub(crate) origin: Instant,
}

impl Shared {
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn connections(&self) -> usize {
        self.workers.iter().map(|worker| worker.connections.load(Ordering::Relaxed)).sum()
    }

    /// Tells every worker. A worker that has ended has nothing left to be told.
    pub(crate) fn tell_all(&self, message: impl Fn() -> Message) {
        for worker in &self.workers {
            let _ = worker.inbox.send(message());
        }
    }
}
