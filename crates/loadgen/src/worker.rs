use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use crate::connection::{Connection, State};
use crate::exchange::Progress;
use crate::failure::Failure;
use crate::options::{LoadOptions, Mode};
use crate::plan::Plan;
use crate::report::{LoadReport, Record};
use crate::wait::Waiter;

/// Read size; a body of 120 KB takes two reads.
const BUFFER_BYTES: usize = 64 * 1024;
/// How often time limits are looked at and broken connections are made anew.
const TICK_NS: u64 = 20_000_000;
/// Connections made at once before a closed loop begins, fewer than a listener's usual queue.
const CONNECTS_AT_ONCE: usize = 128;
/// Most requests that may wait for a connection in an open loop; more would only measure the queue.
const MAX_BACKLOG: usize = 100_000;

const NS_PER_MS: u64 = 1_000_000;

/// Runs a closed or open loop on the threads asked for.
pub(crate) fn run(options: &LoadOptions, plan: &Plan) -> Result<LoadReport, String> {
    let records = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads)
            .map(|thread| scope.spawn(move || Worker::new(options, plan, thread)?.run()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a generator thread panicked".to_owned())?)
            .collect::<Result<Vec<Record>, String>>()
    })?;
    let mut total = Record::default();
    records.into_iter().for_each(|record| total.merge(record));
    Ok(total.report(options.duration_ms))
}

/// One generator thread.
struct Worker<'a> {
    plan: &'a Plan,
    waiter: Waiter,
    connections: Vec<Connection>,
    /// Indexes of connections that are up and have nothing to do, the last used on top.
    idle: Vec<usize>,
    /// Indexes of connections that are to be made anew.
    down: Vec<usize>,
    /// When requests that wait for a connection were due.
    backlog: VecDeque<u64>,
    schedule: Schedule,
    epoch: Instant,
    /// Begin and end of the measured time, nanoseconds since `epoch`.
    window: (u64, u64),
    next_tick: u64,
    in_flight: u64,
    record: Record,
    buffer: Vec<u8>,
    /// Indexes of connections with events, kept for its memory.
    ready: Vec<usize>,
}

/// When requests are due.
enum Schedule {
    /// Whenever a connection is free.
    Closed,
    /// At even intervals.
    Open { interval_ns: f64, issued: u64, max_connections: usize },
}

impl Schedule {
    fn of(options: &LoadOptions, thread: u32) -> (Self, usize) {
        let share =
            |total: u32| (total / options.threads + u32::from(thread < total % options.threads)) as usize;
        match options.mode {
            Mode::Open { requests_per_second, max_connections } => {
                let interval_ns = 1e9 * f64::from(options.threads) / requests_per_second;
                (Self::Open { interval_ns, issued: 0, max_connections: share(max_connections) }, 0)
            }
            Mode::Closed { connections } => (Self::Closed, share(connections)),
            Mode::Paired { .. } => (Self::Closed, 1),
        }
    }

    /// When the next request is due by the clock; never in a closed loop.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "nanoseconds of hours stay below 2^53"
    )]
    fn due(&self) -> Option<u64> {
        match self {
            Self::Closed => None,
            Self::Open { interval_ns, issued, .. } => Some((interval_ns * *issued as f64) as u64),
        }
    }
}

impl<'a> Worker<'a> {
    fn new(options: &LoadOptions, plan: &'a Plan, thread: u32) -> Result<Self, String> {
        let waiter = Waiter::new().map_err(|error| format!("cannot wait for sockets: {error}"))?;
        let (schedule, connections) = Schedule::of(options, thread);
        let begin = options.warmup_ms * NS_PER_MS;
        Ok(Self {
            plan,
            waiter,
            connections: (0..connections).map(|_| Connection::default()).collect(),
            idle: Vec::new(),
            down: Vec::new(),
            backlog: VecDeque::new(),
            schedule,
            epoch: Instant::now(),
            window: (begin, begin + options.duration_ms * NS_PER_MS),
            next_tick: TICK_NS,
            in_flight: 0,
            record: Record::default(),
            buffer: vec![0; BUFFER_BYTES],
            ready: Vec::new(),
        })
    }

    fn run(mut self) -> Result<Record, String> {
        self.connect_all()?;
        self.epoch = Instant::now();
        self.next_tick = TICK_NS;
        loop {
            let now = self.now();
            self.issue(now);
            if now >= self.window.1 && self.in_flight == 0 && self.backlog.is_empty() {
                return Ok(self.record);
            }
            if now >= self.next_tick {
                self.tick(now);
            }
            self.wait(now)?;
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).expect("a run is shorter than five centuries")
    }

    /// Opens all connections of a closed loop, a batch at a time.
    fn connect_all(&mut self) -> Result<(), String> {
        let total = self.connections.len();
        let deadline = self.now() + self.plan.timeout_ns;
        let mut begun = 0;
        while self.idle.len() < total {
            while begun < total && begun - self.idle.len() < CONNECTS_AT_ONCE {
                self.connect(begun).map_err(|error| self.unreachable(&error))?;
                begun += 1;
            }
            self.wait(self.now())?;
            if let Some(failure) = self.record.failures.first.take() {
                return Err(self.unreachable(&failure));
            }
            if self.now() > deadline {
                return Err(self.unreachable(&"no answer in time"));
            }
        }
        Ok(())
    }

    fn unreachable(&self, why: &dyn std::fmt::Display) -> String {
        format!("cannot connect to {}: {why}", self.plan.address)
    }

    fn connect(&mut self, index: usize) -> io::Result<()> {
        self.record.connects += 1;
        self.connections[index].connect(index, self.plan, self.waiter.poll.registry())
    }

    /// Sends what is due.
    fn issue(&mut self, now: u64) {
        while let Some(due) = self.schedule.due().filter(|due| *due <= now && *due < self.window.1) {
            if let Schedule::Open { issued, .. } = &mut self.schedule {
                *issued += 1;
            }
            self.enqueue(due);
        }
        while let Some(due) = self.waiting(now) {
            let Some(index) = self.free_connection() else { break };
            self.backlog.pop_front();
            self.begin(index, due);
        }
    }

    fn enqueue(&mut self, due: u64) {
        if self.backlog.len() < MAX_BACKLOG {
            self.backlog.push_back(due);
        } else {
            self.record.failures.add(Failure::Backlog, || format!("{MAX_BACKLOG} requests are waiting"));
        }
        self.record.peak_backlog = self.record.peak_backlog.max(self.backlog.len() as u64);
    }

    /// When the next request to be sent was due, if there is one.
    fn waiting(&self, now: u64) -> Option<u64> {
        match self.schedule {
            Schedule::Closed => (now < self.window.1).then_some(now),
            Schedule::Open { .. } => self.backlog.front().copied(),
        }
    }

    /// A connection that is up, or a new one where the open loop may have one more.
    fn free_connection(&mut self) -> Option<usize> {
        if let Some(index) = self.idle.pop() {
            return Some(index);
        }
        let Schedule::Open { max_connections, .. } = self.schedule else { return None };
        let index = match self.down.pop() {
            Some(index) => index,
            None if self.connections.len() < max_connections => {
                self.connections.push(Connection::default());
                self.connections.len() - 1
            }
            None => return None,
        };
        Some(index)
    }

    fn begin(&mut self, index: usize, due: u64) {
        let counted = due >= self.window.0 && due < self.window.1;
        let connected = self.connections[index].state == State::Idle || self.connect(index).is_ok();
        self.in_flight += 1;
        self.record.peak_in_flight = self.record.peak_in_flight.max(self.in_flight);
        let connection = &mut self.connections[index];
        connection.begin(due, counted);
        if !connected {
            self.fail(index, Failure::Connect, false);
        } else if connection.state == State::Busy
            && let Err(failure) = connection.write(self.plan)
        {
            self.fail(index, failure, false);
        }
    }

    /// Looks at time limits, and lets a closed loop try again what has failed.
    fn tick(&mut self, now: u64) {
        self.next_tick = now + TICK_NS;
        for index in 0..self.connections.len() {
            let connection = &self.connections[index];
            let waiting = matches!(connection.state, State::Busy | State::Connecting { with_request: true });
            if waiting && now.saturating_sub(connection.exchange.due) > self.plan.timeout_ns {
                self.fail(index, Failure::Timeout, false);
            }
        }
        if matches!(self.schedule, Schedule::Closed) && now < self.window.1 {
            for index in std::mem::take(&mut self.down) {
                if self.connect(index).is_err() {
                    self.down.push(index);
                }
            }
        }
    }

    fn wait(&mut self, now: u64) -> Result<(), String> {
        let due = self.schedule.due().filter(|due| *due < self.window.1);
        let until = due.unwrap_or(u64::MAX).min(self.next_tick);
        let timeout = Duration::from_nanos(until.saturating_sub(now));
        let events = self.waiter.wait(timeout, due.is_some());
        let events = events.map_err(|error| format!("cannot wait for sockets: {error}"))?;
        let mut ready = std::mem::take(&mut self.ready);
        ready.extend(events.iter().map(|event| event.token().0));
        ready.drain(..).for_each(|index| self.ready(index));
        self.ready = ready;
        Ok(())
    }

    fn ready(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        if let State::Connecting { with_request } = connection.state {
            match connection.established() {
                Ok(true) if !with_request => self.idle.push(index),
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return self.connect_failed(index, with_request, &error),
            }
        }
        match self.connections[index].state {
            State::Busy => self.exchange(index),
            State::Idle => self.watch_idle(index),
            State::Down | State::Connecting { .. } => {}
        }
    }

    fn connect_failed(&mut self, index: usize, with_request: bool, error: &io::Error) {
        if with_request {
            return self.fail(index, Failure::Connect, false);
        }
        self.record.failures.add(Failure::Connect, || error.to_string());
        self.connections[index].close();
        self.down.push(index);
    }

    fn watch_idle(&mut self, index: usize) {
        if self.connections[index].closed_while_idle() {
            self.connections[index].close();
            self.idle.retain(|idle| *idle != index);
            self.down.push(index);
        }
    }

    fn exchange(&mut self, index: usize) {
        let now = self.now();
        let connection = &mut self.connections[index];
        if let Err(failure) = connection.write(self.plan) {
            return self.fail(index, failure, false);
        }
        match connection.read(&mut self.buffer, now, self.plan, &mut self.record) {
            Progress::Partial => {}
            Progress::Right { reusable } => {
                self.record.in_window += u64::from(now >= self.window.0 && now < self.window.1);
                self.free(index, reusable);
            }
            Progress::Wrong { failure, reusable } => self.fail(index, failure, reusable),
        }
    }

    /// Ends a request that failed; failures outside the measured time are not counted, as their successes are not.
    fn fail(&mut self, index: usize, failure: Failure, reusable: bool) {
        let exchange = &self.connections[index].exchange;
        if exchange.counted {
            self.record.failures.add(failure, || exchange.describe());
        }
        self.free(index, reusable);
    }

    /// Ends a request; the connection's next begins at once if there is one.
    fn free(&mut self, index: usize, reusable: bool) {
        self.in_flight -= 1;
        let connection = &mut self.connections[index];
        if reusable {
            connection.state = State::Idle;
            self.idle.push(index);
            self.issue(self.now());
        } else {
            connection.close();
            self.down.push(index);
        }
    }
}
