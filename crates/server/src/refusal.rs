//! A request that is answered with an error: what went wrong and what the caller is told.

use std::borrow::Cow;

use sluice_types::ErrorKind;

/// The longest that an SDK should wait by itself, in seconds.
const LONGEST_WAIT_S: u64 = 60;

/// An error answer, ready to be put into the caller's dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: ErrorKind,
    /// What happened, where, and what was expected. Never holds a secret or an internal host.
    pub(crate) message: Cow<'static, str>,
    /// The request field that is at fault.
    pub(crate) param: Option<&'static str>,
    /// Seconds after which a retry makes sense.
    pub(crate) retry_after_s: Option<u64>,
    /// Methods the path does offer.
    pub(crate) allow: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), param: None, retry_after_s: None, allow: None }
    }

    /// The one answer to a missing, unknown, revoked, expired or malformed key.
    pub(crate) fn unauthenticated() -> Self {
        Self::new(
            ErrorKind::Unauthenticated,
            "Incorrect API key provided. Send a Sluice key as `Authorization: Bearer sk-slc-…`; \
             an operator makes one with `sluice keys create`.",
        )
    }

    pub(crate) fn with_param(mut self, param: Option<&'static str>) -> Self {
        self.param = param;
        self
    }

    /// `retry_after_ns` is rounded up to whole seconds, so that a client which obeys is never early.
    pub(crate) fn with_retry_after_ns(mut self, retry_after_ns: u64) -> Self {
        self.retry_after_s = Some(retry_after_ns.div_ceil(1_000_000_000).max(1));
        self
    }

    /// Whether the client's SDK should try again. A limit that names no time is one the request will never fit, and one
    /// that names a long one would have the SDK wait for as long, or ask in vain.
    pub(crate) fn is_worth_a_retry(&self) -> bool {
        let is_limit = matches!(
            self.kind,
            ErrorKind::RequestRateLimited
                | ErrorKind::TokenRateLimited
                | ErrorKind::ConcurrencyLimited
                | ErrorKind::QuotaExceeded
                | ErrorKind::PaymentRequired
                | ErrorKind::BudgetExceeded
        );
        let is_soon = self.retry_after_s.is_some_and(|seconds| seconds <= LONGEST_WAIT_S);
        self.kind.retryable_by_client() && (is_soon || !is_limit)
    }
}

/// Why a request ended without a whole answer.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Answer with this; nothing has been sent yet.
    Refused(Refusal),
    /// The client is gone, or what it was being sent had to be broken off: close the connection.
    Closed,
}

impl From<Refusal> for Ended {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
