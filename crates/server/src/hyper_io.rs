//! What hyper needs of this worker: its tasks, its clock, its sockets.

use std::cell::OnceCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Executor, ReadBufCursor};
use tokio::task::AbortHandle;

use crate::buffers::Buffer;
use crate::stream::Stream;

tokio::task_local! {
    /// How to end the task that is running, which is one of hyper's: the sending side of one stream.
    static TASK: Rc<OnceCell<AbortHandle>>;
}

/// Ends one stream of a connection with a reset, when told to. Hyper looks at a body only while the client grants it a
/// window, so a client that grants none can only be got rid of from outside.
#[derive(Debug)]
pub(crate) struct StreamEnd(Rc<OnceCell<AbortHandle>>);

impl StreamEnd {
    /// The stream whose service is running; only to be asked there.
    pub(crate) fn of_this_task() -> Self {
        Self(TASK.try_with(Rc::clone).unwrap_or_default())
    }

    /// Resets the stream.
    pub(crate) fn end(&self) {
        if let Some(task) = self.0.get() {
            task.abort();
        }
    }
}

/// Runs hyper's tasks on this worker.
#[derive(Clone, Copy)]
pub(crate) struct LocalExecutor;

impl<F: Future + 'static> Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        let handle = Rc::new(OnceCell::new());
        let task = TASK.scope(Rc::clone(&handle), async move {
            future.await;
        });
        // Nobody has set it before.
        let _ = handle.set(tokio::task::spawn_local(task).abort_handle());
    }
}

/// A stream some bytes of which have been read already.
pub(crate) struct Rewound {
    pub(crate) stream: Stream,
    pub(crate) first_bytes: Buffer,
}

impl hyper::rt::Read for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.first_bytes.is_empty() {
            this.first_bytes.discard();
            let count = ready!(this.stream.poll_read(cx, this.first_bytes.spare()))?;
            this.first_bytes.filled(count);
        }
        let count = buf.remaining().min(this.first_bytes.len());
        buf.put_slice(&this.first_bytes[..count]);
        this.first_bytes.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, bufs)
    }
}

/// Timers for hyper's keep-alive.
#[derive(Clone, Copy)]
pub(crate) struct TokioTimer;

impl hyper::rt::Timer for TokioTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(TokioSleep(Box::pin(tokio::time::sleep(duration))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(TokioSleep(Box::pin(tokio::time::sleep_until(deadline.into()))))
    }
}

struct TokioSleep(Pin<Box<tokio::time::Sleep>>);

impl Future for TokioSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl hyper::rt::Sleep for TokioSleep {}
