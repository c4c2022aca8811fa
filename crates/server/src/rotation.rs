//! The keys of a provider: which of them a request has tried, and what becomes of one that was refused.
//!
//! A key of several cools down by itself, so that its siblings, and with them the target, stay in use. A lone key has
//! nobody to take its place: what is refused to it is the client's to see, and a rate limit is its target's.

use sluice_limits::FailureKind;
use sluice_pipeline::{CredentialPlan, ProviderPlan};

use crate::verdict::{ErrorVerdict, Failure, Refused};

/// What a request has learnt of the keys of the target that it is at.
#[derive(Clone, Copy, Default)]
pub(crate) struct KeysTried {
    /// Those that failed, a bit each.
    pub(crate) failed: u64,
    /// Those of them that were not allowed to answer it.
    forbidden: u64,
}

/// What an error says against a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyFault {
    /// It cannot be used for a while.
    Failed(Failure),
    /// It may not answer this request. Whether that is the key or the request, only a sibling can tell.
    Forbidden,
}

impl KeyFault {
    /// What an error says against a key that has siblings; `None` where it is about something else.
    pub(crate) fn of(error: ErrorVerdict) -> Option<Self> {
        match (error.failure, error.refused) {
            (Some(failure), _) if failure.kind != FailureKind::Fault => Some(Self::Failed(failure)),
            (None, Some(Refused::Credential)) => Some(Self::Failed(Failure::REJECTED)),
            (None, Some(Refused::Permission)) => Some(Self::Forbidden),
            _ => None,
        }
    }

    /// The account or the key is out of use, and not for want of a moment's patience.
    pub(crate) fn is_rejected(self) -> bool {
        matches!(self, Self::Failed(Failure { kind: FailureKind::Rejected, .. }))
    }
}

impl KeysTried {
    /// Notes what a key failed with.
    pub(crate) fn failed(&mut self, nth: usize, key: &CredentialPlan, fault: KeyFault, now_ns: u64) {
        self.failed |= 1 << nth;
        match fault {
            KeyFault::Failed(failure) => {
                key.cooldown.record_failure(failure.kind, failure.retry_after_ns, now_ns);
            }
            KeyFault::Forbidden => self.forbidden |= 1 << nth,
        }
    }

    /// A key has answered. Those that were not allowed to are to blame then, and not the request: else a client that asks
    /// for what nobody may have would put all keys out of use.
    pub(crate) fn answered(self, nth: usize, provider: &ProviderPlan, now_ns: u64) {
        provider.credentials[nth].cooldown.record_success(now_ns);
        for (other, key) in provider.credentials.iter().enumerate().take(64) {
            if self.forbidden >> other & 1 == 1 {
                key.cooldown.record_failure(FailureKind::Rejected, None, now_ns);
            }
        }
    }
}
