use crate::failure::Failure;
use crate::plan::Plan;
use crate::report::Record;
use crate::response::{BadResponse, ResponseReader};
use crate::sse::EventScanner;

/// Bytes of an unexpected answer that are kept to be shown.
const SAMPLE_BYTES: usize = 300;

/// One request and the answer to it: what has come, when, and whether it is right. Times are nanoseconds on the clock
/// of the run.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    /// When the request was due.
    pub(crate) due: u64,
    /// Whether it falls into the measured time.
    pub(crate) counted: bool,
    reader: ResponseReader,
    scanner: EventScanner,
    last_event: Option<u64>,
    sample: Vec<u8>,
}

/// How far an answer is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More is to come.
    Partial,
    /// Whole and right; whether the connection can be used again.
    Right { reusable: bool },
    /// Wrong, though perhaps whole, in which case the connection can be used again.
    Wrong { failure: Failure, reusable: bool },
}

impl Exchange {
    /// Begins a request.
    pub(crate) fn begin(&mut self, due: u64, counted: bool) {
        (self.due, self.counted, self.last_event) = (due, counted, None);
        self.reader.reset();
        self.scanner.reset();
        self.sample.clear();
    }

    /// Takes bytes of the answer that arrived at `now`.
    pub(crate) fn receive(&mut self, bytes: &[u8], now: u64, plan: &Plan, record: &mut Record) -> Progress {
        record.bytes_received += bytes.len() as u64;
        let events_before = self.scanner.events;
        let whole = match self.read(bytes, plan, record) {
            Ok(whole) => whole,
            Err(BadResponse(why)) => {
                self.sample = why.into();
                return Progress::Wrong { failure: Failure::Framing, reusable: false };
            }
        };
        if self.scanner.events > events_before {
            self.event_arrived(now, record);
        }
        if whole { self.judge(now, plan, record) } else { Progress::Partial }
    }

    fn read(&mut self, bytes: &[u8], plan: &Plan, record: &mut Record) -> Result<bool, BadResponse> {
        let Self { reader, scanner, sample, counted, .. } = self;
        let mut on_stamp = |nanoseconds| {
            if *counted {
                record.transit.record(nanoseconds);
            }
        };
        reader.feed(bytes, &mut |body| {
            if plan.stream {
                scanner.feed(body, &mut on_stamp);
            }
            if sample.len() < SAMPLE_BYTES {
                sample.extend_from_slice(&body[..body.len().min(SAMPLE_BYTES - sample.len())]);
            }
        })
    }

    fn event_arrived(&mut self, now: u64, record: &mut Record) {
        if self.counted {
            match self.last_event {
                None => record.first_event.record(now.saturating_sub(self.due)),
                Some(before) => record.gap.record(now.saturating_sub(before)),
            }
        }
        self.last_event = Some(now);
    }

    fn judge(&self, now: u64, plan: &Plan, record: &mut Record) -> Progress {
        let reusable = !self.reader.close;
        match self.fault(plan) {
            Some(failure) => Progress::Wrong { failure, reusable },
            None => {
                if self.counted {
                    record.latency.record(now.saturating_sub(self.due));
                }
                record.answered += 1;
                Progress::Right { reusable }
            }
        }
    }

    fn fault(&self, plan: &Plan) -> Option<Failure> {
        if self.reader.status != plan.expect_status {
            Some(Failure::Status)
        } else if !plan.stream {
            None
        } else if self.scanner.error {
            Some(Failure::StreamError)
        } else if !self.scanner.done || self.scanner.after_done {
            Some(Failure::StreamUnfinished)
        } else {
            None
        }
    }

    /// The server has closed the connection.
    pub(crate) fn end(&mut self, now: u64, plan: &Plan, record: &mut Record) -> Progress {
        if self.reader.end() {
            return self.judge(now, plan, record);
        }
        let failure = if self.reader.started() { Failure::Truncated } else { Failure::Closed };
        Progress::Wrong { failure, reusable: false }
    }

    /// What came, for the person who reads the report.
    pub(crate) fn describe(&self) -> String {
        format!("status {} {}", self.reader.status, String::from_utf8_lossy(&self.sample))
    }
}
