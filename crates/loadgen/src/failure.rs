use std::collections::BTreeMap;

/// Ways in which a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// No connection could be made.
    Connect,
    /// The connection ended before the first byte of an answer.
    Closed,
    /// The connection ended in the middle of an answer.
    Truncated,
    /// Reading or writing failed.
    Io,
    /// No whole answer in time.
    Timeout,
    /// Another status than the one expected.
    Status,
    /// The answer breaks HTTP.
    Framing,
    /// A stream was whole as HTTP but had no `[DONE]`, or something after it.
    StreamUnfinished,
    /// A stream carried an error event.
    StreamError,
    /// More requests were waiting for a connection than the generator holds.
    Backlog,
}

impl Failure {
    fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Closed => "closed",
            Self::Truncated => "truncated",
            Self::Io => "io",
            Self::Timeout => "timeout",
            Self::Status => "status",
            Self::Framing => "framing",
            Self::StreamUnfinished => "stream_unfinished",
            Self::StreamError => "stream_error",
            Self::Backlog => "backlog",
        }
    }
}

/// Failures by kind, and what the first of them looked like.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures {
    counts: BTreeMap<Failure, u64>,
    pub(crate) first: Option<String>,
}

impl Failures {
    pub(crate) fn add(&mut self, failure: Failure, detail: impl FnOnce() -> String) {
        *self.counts.entry(failure).or_default() += 1;
        if self.first.is_none() {
            self.first = Some(format!("{}: {}", failure.name(), detail()));
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (failure, count) in other.counts {
            *self.counts.entry(failure).or_default() += count;
        }
        self.first = self.first.take().or(other.first);
    }

    pub(crate) fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    pub(crate) fn by_name(&self) -> BTreeMap<&'static str, u64> {
        self.counts.iter().map(|(failure, count)| (failure.name(), *count)).collect()
    }
}
