//! Settlement: what a request costs is written down exactly once, on every way out.
//!
//! A [`Settlement`] is made when a request begins and does its work when it is dropped, so no return, error, panic or
//! disappearing client can forget it: limits are settled with what was used, counters are raised, and, once the caller
//! is known, a usage record goes into the ring.

use std::rc::Rc;
use std::time::{Duration, Instant};

use sluice_dialects::wire::Wire;
use sluice_limits::Admitted;
use sluice_pipeline::{Hold, Moment, Outcome, ProviderPlan, settle, wire_of};
use sluice_types::{ErrorKind, Route, Usage, UsageRecord, flags};

use crate::exchange::estimate_tokens;
use crate::limit_headers::{self, OwnLimits};
use crate::metrics::AttemptOutcome;
use crate::timers::left_of;
use crate::worker::{Worker, WorkerPlan, wall_clock_ms};

/// The books of one request.
pub(crate) struct Settlement<'w> {
    worker: &'w Worker,
    plan: Rc<WorkerPlan>,
    record: UsageRecord,
    started: Instant,
    /// The last time that was looked at the clock, which saves looking again where a little late is good enough.
    latest: Instant,
    /// Time spent waiting for others: the client's body, connections, the provider.
    waited: Duration,
    route: Route,
    /// The caller's dialect, where the route does not say it.
    wire: Option<Wire>,
    /// Who is asking is known, so a record is written. Refusals before that are counted only, or strangers could fill
    /// the store.
    admitted_caller: bool,
    /// Index of the authenticated key; absent where keys are not required and none was sent.
    key: Option<u32>,
    admitted: Option<Admitted>,
    /// Places on meters: those of key and model first, behind them those of the attempt that is under way.
    holds: Vec<Hold>,
    /// How many are held for all attempts.
    admitted_holds: u32,
    /// No meter has refused it, so that it counts as a request.
    is_request: bool,
    /// The attempt under way has been sent.
    is_sent: bool,
    /// Index of the target that is answering, and when it was sent the request.
    target: Option<(u32, Instant)>,
    usage: Option<Usage>,
    /// What to book where the provider reports nothing.
    estimate: Usage,
    streaming: bool,
    /// The answer has been sent to its end.
    answered: bool,
    error: Option<ErrorKind>,
}

impl<'w> Settlement<'w> {
    pub(crate) fn begin(worker: &'w Worker, plan: Rc<WorkerPlan>, started: Instant) -> Self {
        worker.cells.active_requests.add(1);
        let record = UsageRecord {
            request_id: worker.next_request_id(),
            started_at_ms: wall_clock_ms(),
            prices_id: plan.plan().prices_id,
            ..Default::default()
        };
        Self {
            worker,
            plan,
            record,
            started,
            latest: started,
            waited: Duration::ZERO,
            route: Route::None,
            wire: None,
            admitted_caller: false,
            key: None,
            admitted: None,
            holds: Vec::new(),
            admitted_holds: 0,
            is_request: true,
            is_sent: false,
            target: None,
            usage: None,
            estimate: Usage::default(),
            streaming: false,
            answered: false,
            error: None,
        }
    }

    pub(crate) fn request_id(&self) -> &[u8; 16] {
        &self.record.request_id
    }

    pub(crate) fn set_route(&mut self, route: Route) {
        self.route = route;
    }

    pub(crate) fn route(&self) -> Route {
        self.route
    }

    pub(crate) fn set_wire(&mut self, wire: Wire) {
        self.wire = Some(wire);
    }

    /// The caller's dialect.
    pub(crate) fn wire(&self) -> Wire {
        self.wire.unwrap_or_else(|| wire_of(self.route))
    }

    /// Who is asking: the index of a key, or nobody in particular where keys are not required.
    pub(crate) fn set_caller(&mut self, key: Option<u32>) {
        self.admitted_caller = true;
        self.key = key;
        self.record.key_id = key.map_or(0, |index| self.plan.plan().keys.get(index).id);
    }

    /// When the request began, milliseconds since 1970.
    pub(crate) fn started_at_ms(&self) -> u64 {
        self.record.started_at_ms
    }

    pub(crate) fn key(&self) -> Option<u32> {
        self.key
    }

    /// When the request began, and when the clock was last looked at.
    pub(crate) fn now(&self) -> Moment {
        Moment { wall_ms: self.record.started_at_ms, mono_ns: self.worker.monotonic_ns(self.latest) }
    }

    /// Which limits are the key's, so that headers about them are ours.
    pub(crate) fn own_limits(&self) -> OwnLimits {
        self.key.map_or(OwnLimits::default(), |key| OwnLimits::of(self.plan.plan().keys.get(key)))
    }

    /// Appends what is left of the key's limits.
    pub(crate) fn push_limits(&self, out: &mut Vec<u8>) {
        if let Some(key) = self.key {
            let plan = self.plan.plan();
            limit_headers::push(out, self.wire(), plan, plan.keys.get(key), self.now());
        }
    }

    /// Books what the key's limits have let in.
    pub(crate) fn set_admitted(&mut self, admitted: Admitted) {
        self.admitted = Some(admitted);
    }

    /// Where places on meters are kept. The memory is the worker's, and goes from request to request.
    pub(crate) fn holds(&mut self) -> &mut Vec<Hold> {
        if self.holds.capacity() == 0 {
            self.holds = self.worker.take_holds();
        }
        &mut self.holds
    }

    /// What is held so far is held for all attempts.
    pub(crate) fn all_admitted(&mut self) {
        self.admitted_holds = saturate(self.holds.len() as u64);
    }

    /// A meter has no room for the request.
    pub(crate) fn refused_by_a_meter(&mut self) {
        self.is_request = false;
    }

    /// Gives back what is held at a target that gave no answer, or was not even asked.
    pub(crate) fn leave_target(&mut self) {
        let kept = self.admitted_holds as usize;
        if self.holds.len() > kept {
            let outcome = Outcome { is_request: self.is_sent, ..Outcome::default() };
            let now_ns = self.worker.monotonic_ns(self.latest);
            settle(self.plan.plan(), self.holds.drain(kept..), &outcome, now_ns);
        }
        self.is_sent = false;
    }

    pub(crate) fn set_model(&mut self, model_id: u32, request_bytes: usize) {
        self.record.model_id = model_id;
        self.record.request_bytes = saturate(request_bytes as u64);
    }

    /// An attempt at a target begins.
    pub(crate) fn begin_attempt(&mut self, target: u32) {
        let plan = self.plan.plan();
        let row = &plan.targets[target as usize];
        self.record.target_id = row.id;
        self.record.provider_id = plan.providers[row.provider as usize].id;
        self.record.attempts = self.record.attempts.saturating_add(1);
        self.target = Some((target, self.latest));
    }

    /// The request has been sent to the target.
    pub(crate) fn sent(&mut self, now: Instant) {
        self.latest = now;
        self.is_sent = true;
        if let Some((_, sent)) = &mut self.target {
            *sent = now;
        }
    }

    /// The last time that was looked at the clock.
    pub(crate) fn latest(&self) -> Instant {
        self.latest
    }

    /// The first byte of the answer came `after` the request was sent.
    pub(crate) fn first_byte(&mut self, after: Duration) {
        self.record.first_byte_us = micros(after);
        if let Some((target, _)) = self.target {
            self.plan.targets[target as usize].first_byte.observe(whole_micros(after));
        }
    }

    /// Time that was somebody else's: from `from` to now.
    pub(crate) fn waited_from(&mut self, from: Instant, now: Instant) {
        self.latest = now;
        self.waited += now.saturating_duration_since(from);
    }

    /// The gateway's own time so far.
    pub(crate) fn own_time(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started).saturating_sub(self.waited)
    }

    /// What is left at `now` of a limit on the whole exchange; 0 where there is no limit, `None` when it has passed.
    pub(crate) fn left_of_ms(&self, total_ms: u32, now: Instant) -> Option<u32> {
        left_of(total_ms, now.saturating_duration_since(self.started))
    }

    /// The provider that is answering.
    pub(crate) fn provider(&self) -> Option<&ProviderPlan> {
        let plan = self.plan.plan();
        self.target.map(|(target, _)| &plan.providers[plan.targets[target as usize].provider as usize])
    }

    /// How the attempt that is answering came out.
    pub(crate) fn count_attempt(&self, outcome: AttemptOutcome) {
        if let Some((target, _)) = self.target {
            self.plan.targets[target as usize].count_attempt(outcome);
        }
    }

    pub(crate) fn waited(&self) -> Duration {
        self.waited
    }

    /// The head of the answer goes out now.
    pub(crate) fn answer_begins(&mut self, status: u16, own_time: Duration) {
        self.record.status = status;
        self.record.gateway_us = micros(own_time);
    }

    pub(crate) fn set_streaming(&mut self) {
        if !self.streaming {
            self.streaming = true;
            self.record.flags |= flags::STREAM;
            self.worker.cells.active_streams.add(1);
        }
    }

    pub(crate) fn add_response_bytes(&mut self, count: usize) {
        self.record.response_bytes = self.record.response_bytes.saturating_add(saturate(count as u64));
    }

    /// What the provider reported; later reports of one stream merge into earlier ones.
    pub(crate) fn set_usage(&mut self, usage: Usage) {
        self.usage.get_or_insert_default().merge_max(usage);
    }

    /// Books what a stream has cost so far: what it has reported, and the bytes of text it has sent.
    pub(crate) fn book_stream(&mut self, reported: Option<Usage>, output_bytes: u64) {
        if let Some(usage) = reported {
            self.set_usage(usage);
        }
        self.estimate.output = estimate_tokens(output_bytes);
    }

    /// What to book if the provider reports nothing: the prompt once it was sent, the output as it arrives.
    pub(crate) fn estimate(&mut self) -> &mut Usage {
        &mut self.estimate
    }

    pub(crate) fn fail(&mut self, kind: ErrorKind) {
        self.error = Some(kind);
        match kind {
            ErrorKind::ClientGone => self.record.flags |= flags::CLIENT_ABORTED,
            ErrorKind::UpstreamTruncated => self.record.flags |= flags::TRUNCATED,
            _ => {}
        }
    }

    /// The answer has been sent to its end.
    pub(crate) fn answer_ends(&mut self) {
        self.answered = true;
    }

    /// Why a request ends that was neither answered to the end nor failed in a way that was noticed: a defect of ours
    /// unwinds through here, the data plane stops, or the client has left.
    fn unfinished(&self) -> ErrorKind {
        if std::thread::panicking() {
            ErrorKind::Internal
        } else if self.worker.shared.is_draining() {
            ErrorKind::Overloaded
        } else {
            ErrorKind::ClientGone
        }
    }

    fn final_usage(&mut self) -> Usage {
        let mut usage = self.usage.unwrap_or_else(|| {
            if self.estimate != Usage::default() {
                self.record.flags |= flags::ESTIMATED;
            }
            self.estimate
        });
        // Some providers report the prompt first and the answer last: of one that broke off in between, what came is known.
        if !self.answered && self.estimate.output > usage.output {
            usage.output = self.estimate.output;
            self.record.flags |= flags::ESTIMATED;
        }
        let record = &mut self.record;
        record.input_tokens = usage.input;
        record.cached_input_tokens = usage.cached_input;
        record.cache_write_tokens = usage.cache_write;
        record.output_tokens = usage.output;
        record.reasoning_tokens = usage.reasoning;
        record.cache_write_1h_tokens = usage.cache_write_1h;
        record.audio_input_tokens = usage.audio_input;
        record.image_input_tokens = usage.image_input;
        record.audio_output_tokens = usage.audio_output;
        record.image_output_tokens = usage.image_output;
        usage
    }

    /// Puts what was used in place of what was reserved on meters.
    fn settle_meters(&mut self, usage: &Usage, now: Instant) {
        if self.holds.capacity() == 0 {
            return;
        }
        let (plan, now_ns) = (self.plan.plan(), self.worker.monotonic_ns(now));
        let picousd = self.record.cost_picousd.max(0);
        let at_target = Outcome { usage: *usage, picousd, is_request: self.is_sent };
        let kept = self.holds.len().min(self.admitted_holds as usize);
        settle(plan, self.holds.drain(kept..), &at_target, now_ns);
        let outcome = Outcome { is_request: self.is_request, ..at_target };
        settle(plan, self.holds.drain(..), &outcome, now_ns);
        self.worker.give_holds(std::mem::take(&mut self.holds));
    }

    /// Teaches the target's estimate how long its answers are, each time where meters need it, else now and then: what all
    /// workers write to is dear.
    fn learn_output(&self, usage: &Usage) {
        let Some((target, _)) = self.target.filter(|_| usage.output > 0 && self.answered) else { return };
        if self.holds.capacity() > 0 || self.record.request_id[15] & 15 == 0 {
            self.plan.plan().targets[target as usize].state.output.learn(usage.output);
        }
    }

    /// What the request cost, by the prices it was admitted under: those of the plan it holds, whatever came since. Where
    /// no model was asked of a provider, nothing was spent.
    fn cost(&self, usage: &Usage) -> i64 {
        let Some((target, _)) = self.target else { return 0 };
        let target = &self.plan.plan().targets[target as usize];
        match &target.price {
            Some(price) => price.charge(usage, usage.tier, self.record.status),
            None if target.id == 0 => 0,
            None => UsageRecord::UNPRICED,
        }
    }

    fn settle_limits(&mut self, usage: &Usage, now: Instant) {
        let (Some(key), Some(admitted)) = (self.key, self.admitted.take()) else { return };
        let key = self.plan.plan().keys.get(key);
        key.state.settle(&key.limits, admitted, usage.total(), self.worker.monotonic_ns(now));
    }
}

impl Drop for Settlement<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        let cells = &self.worker.cells;
        cells.active_requests.sub(1);
        if self.streaming {
            cells.active_streams.sub(1);
        }
        if !self.answered {
            let kind = *self.error.get_or_insert(self.unfinished());
            if self.record.status == 0 {
                self.record.status = kind.status();
            }
        }
        let usage = self.final_usage();
        self.learn_output(&usage);
        self.settle_limits(&usage, now);
        let cost = self.cost(&usage);
        let record = &mut self.record;
        record.cost_picousd = cost;
        record.service_tier = usage.tier as u8;
        self.settle_meters(&usage, now);
        let record = &mut self.record;
        record.route = self.route as u8;
        record.error = self.error.map_or(0, |kind| kind as u8);
        record.duration_us = micros(now.saturating_duration_since(self.started));
        let cells = &self.worker.cells;
        cells.count_request(self.route, record.status);
        if let Some(kind) = self.error {
            cells.count_error(kind);
        }
        if record.gateway_us > 0 {
            cells.gateway.observe(record.gateway_us.into());
        }
        if let Some((target, sent)) = self.target {
            let target = &self.plan.targets[target as usize];
            target.count_tokens(&usage);
            target.upstream.observe(whole_micros(now.saturating_duration_since(sent)));
        }
        if self.admitted_caller {
            self.worker.record(record);
        }
    }
}

fn micros(duration: Duration) -> u32 {
    saturate(whole_micros(duration))
}

fn whole_micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn saturate(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
