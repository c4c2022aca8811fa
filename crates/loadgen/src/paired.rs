use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::exchange::{Exchange, Progress};
use crate::failure::Failure;
use crate::histogram::Histogram;
use crate::options::LoadOptions;
use crate::plan::Plan;
use crate::report::{LoadReport, PairedReport, Record, Summary, microseconds};

const BUFFER_BYTES: usize = 64 * 1024;
/// Pause before a broken connection is made anew, so that a server that refuses is not flooded.
const RETRY: Duration = Duration::from_millis(10);

/// Measures both URLs in alternating slices, so that whatever else the machine does meanwhile falls on both alike.
pub(crate) fn run(
    options: &LoadOptions,
    direct: &Plan,
    gateway: &Plan,
    slice_ms: u64,
) -> Result<LoadReport, String> {
    let slice = Duration::from_millis(slice_ms);
    let mut sides = [Side::new(direct)?, Side::new(gateway)?];
    let warm_until = Instant::now() + Duration::from_millis(options.warmup_ms);
    while Instant::now() < warm_until {
        sides.iter_mut().for_each(|side| side.run(slice, false));
    }
    let end = Instant::now() + Duration::from_millis(options.duration_ms);
    let mut added = Vec::new();
    while Instant::now() < end {
        sides.iter_mut().for_each(|side| side.run(slice, true));
        added.push(microseconds(sides[1].slice.quantile(0.5)) - microseconds(sides[0].slice.quantile(0.5)));
    }
    let [direct, gateway] = sides.map(|side| side.record);
    Ok(report(direct, gateway, added, options.duration_ms))
}

fn report(direct: Record, gateway: Record, mut added: Vec<f64>, duration_ms: u64) -> LoadReport {
    let difference = |share: f64| {
        microseconds(gateway.latency.quantile(share)) - microseconds(direct.latency.quantile(share))
    };
    added.sort_by(f64::total_cmp);
    let paired = PairedReport {
        direct: Summary::of(&direct.latency),
        direct_requests: direct.latency.count(),
        slices: added.len() as u64,
        added_p50_us: difference(0.5),
        added_p99_us: difference(0.99),
        added_p50_by_slice_us: added.get(added.len() / 2).copied().unwrap_or(0.0),
    };
    let direct_failures = direct.failures;
    let mut total = gateway;
    total.failures.merge(direct_failures);
    LoadReport { paired: Some(paired), ..total.report(duration_ms) }
}

/// One URL with one connection.
struct Side<'a> {
    plan: &'a Plan,
    socket: Option<TcpStream>,
    exchange: Exchange,
    record: Record,
    /// Latencies of the latest slice.
    slice: Histogram,
    epoch: Instant,
    buffer: Vec<u8>,
}

impl<'a> Side<'a> {
    fn new(plan: &'a Plan) -> Result<Self, String> {
        let mut side = Self {
            plan,
            socket: None,
            exchange: Exchange::default(),
            record: Record::default(),
            slice: Histogram::default(),
            epoch: Instant::now(),
            buffer: vec![0; BUFFER_BYTES],
        };
        side.connect().map_err(|error| format!("cannot connect to {}: {error}", plan.address))?;
        Ok(side)
    }

    fn connect(&mut self) -> std::io::Result<()> {
        let timeout = Duration::from_nanos(self.plan.timeout_ns);
        let socket = TcpStream::connect_timeout(&self.plan.address, timeout)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(timeout))?;
        socket.set_write_timeout(Some(timeout))?;
        self.record.connects += 1;
        self.socket = Some(socket);
        Ok(())
    }

    /// Sends one request after the other for the length of a slice.
    fn run(&mut self, length: Duration, counted: bool) {
        self.slice = Histogram::default();
        let end = Instant::now() + length;
        while Instant::now() < end {
            self.exchange.begin(self.now(), counted);
            match self.request() {
                Progress::Right { reusable } => {
                    self.slice.record(self.now() - self.exchange.due);
                    self.record.in_window += u64::from(counted);
                    self.keep(reusable);
                }
                Progress::Wrong { failure, reusable } => {
                    self.fail(failure, counted);
                    self.keep(reusable);
                }
                Progress::Partial => self.keep(false),
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).expect("a run is shorter than five centuries")
    }

    fn fail(&mut self, failure: Failure, counted: bool) {
        if counted {
            let exchange = &self.exchange;
            self.record.failures.add(failure, || exchange.describe());
        }
    }

    fn keep(&mut self, reusable: bool) {
        if !reusable {
            self.socket = None;
        }
    }

    fn request(&mut self) -> Progress {
        if self.socket.is_none() && self.connect().is_err() {
            std::thread::sleep(RETRY);
            return Progress::Wrong { failure: Failure::Connect, reusable: false };
        }
        match self.try_request() {
            Ok(progress) => progress,
            Err(error) => Progress::Wrong { failure: kind(&error), reusable: false },
        }
    }

    fn try_request(&mut self) -> std::io::Result<Progress> {
        let mut socket = self.socket.as_ref().ok_or(std::io::ErrorKind::NotConnected)?;
        socket.write_all(&self.plan.request)?;
        loop {
            let count = socket.read(&mut self.buffer)?;
            let now = self.now();
            let progress = match count {
                0 => self.exchange.end(now, self.plan, &mut self.record),
                _ => self.exchange.receive(&self.buffer[..count], now, self.plan, &mut self.record),
            };
            if progress != Progress::Partial {
                return Ok(progress);
            }
        }
    }
}

fn kind(error: &std::io::Error) -> Failure {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Failure::Timeout,
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => Failure::Closed,
        _ => Failure::Io,
    }
}
