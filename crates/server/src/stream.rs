//! One type for every byte stream a worker owns, plain or TLS, towards clients or providers.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{client, server};

use crate::timers::Timer;

/// A connected stream.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Plain TCP.
    Plain(TcpStream),
    /// TLS towards a provider.
    ToProvider(Box<client::TlsStream<TcpStream>>),
    /// TLS from a client.
    FromClient(Box<server::TlsStream<TcpStream>>),
}

/// Runs an expression on whichever stream it is.
macro_rules! each {
    ($stream:expr, $inner:ident => $body:expr) => {
        match $stream {
            Stream::Plain($inner) => $body,
            Stream::ToProvider($inner) => $body,
            Stream::FromClient($inner) => $body,
        }
    };
}

impl Stream {
    /// Reads into `into`; 0 is the end.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(into);
        let result = each!(self, inner => Pin::new(inner).poll_read(cx, &mut buf));
        result.map(|outcome| outcome.map(|()| buf.filled().len()))
    }

    /// Ready when a read may give something. For TLS this looks at the socket alone, so it may be ready in vain.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => tcp.poll_read_ready(cx),
            Self::ToProvider(tls) => tls.get_ref().0.poll_read_ready(cx),
            Self::FromClient(tls) => tls.get_ref().0.poll_read_ready(cx),
        }
    }

    /// Whether bytes can sit decoded inside the stream, unseen by [`Stream::poll_read_ready`].
    pub(crate) fn buffers_inside(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, inner => Pin::new(inner).poll_write_vectored(cx, slices))
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::ToProvider(tls) => Pin::new(tls).poll_flush(cx),
            Self::FromClient(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    /// Ends the sending side.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, inner => Pin::new(inner).poll_shutdown(cx))
    }

    /// Writes all of `slices`, in one system call where the kernel takes them. A peer that takes nothing for
    /// `stall_ms` is an error of kind `TimedOut`.
    pub(crate) async fn write_all(
        &mut self,
        slices: &mut [IoSlice<'_>],
        timer: &Timer,
        stall_ms: u32,
    ) -> io::Result<()> {
        self.write_all_unless(slices, timer, stall_ms, |_| Poll::Pending).await
    }

    /// The same, watching meanwhile for a reason to give up, which is then the error.
    pub(crate) async fn write_all_unless(
        &mut self,
        mut slices: &mut [IoSlice<'_>],
        timer: &Timer,
        stall_ms: u32,
        mut reason: impl FnMut(&mut Context<'_>) -> Poll<io::Error>,
    ) -> io::Result<()> {
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            let written = timer
                .limit(stall_ms, |cx| match self.poll_write(cx, slices) {
                    Poll::Pending => reason(cx).map(Err),
                    written => written,
                })
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut slices, written);
        }
        timer
            .limit(stall_ms, |cx| self.poll_flush(cx))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}
