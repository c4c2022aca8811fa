use std::io::{self, Read, Write};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::exchange::{Exchange, Progress};
use crate::failure::Failure;
use crate::plan::Plan;
use crate::report::Record;

/// One connection of the generator and the request on it.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    socket: Option<TcpStream>,
    pub(crate) state: State,
    /// Bytes of the request that have been written.
    written: usize,
    pub(crate) exchange: Exchange,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// Not connected.
    #[default]
    Down,
    /// Coming up; with a request to send as soon as it is there, or without.
    Connecting { with_request: bool },
    /// Connected, without a request.
    Idle,
    /// A request is being sent or answered.
    Busy,
}

impl Connection {
    /// Begins to connect.
    pub(crate) fn connect(&mut self, token: usize, plan: &Plan, registry: &Registry) -> io::Result<()> {
        let mut socket = TcpStream::connect(plan.address)?;
        registry.register(&mut socket, Token(token), Interest::READABLE | Interest::WRITABLE)?;
        self.socket = Some(socket);
        self.state = State::Connecting { with_request: false };
        Ok(())
    }

    /// Begins a request, at once or when the connection is up.
    pub(crate) fn begin(&mut self, due: u64, counted: bool) {
        self.exchange.begin(due, counted);
        self.written = 0;
        self.state = match self.state {
            State::Connecting { .. } => State::Connecting { with_request: true },
            _ => State::Busy,
        };
    }

    /// Closes the connection.
    pub(crate) fn close(&mut self) {
        self.socket = None;
        self.state = State::Down;
    }

    /// Whether the connection has come up, when an event says that it has or that it cannot.
    pub(crate) fn established(&mut self) -> io::Result<bool> {
        let Some(socket) = &self.socket else { return Ok(false) };
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        match socket.peer_addr() {
            Ok(_) => {
                socket.set_nodelay(true)?;
                let with_request = self.state == State::Connecting { with_request: true };
                self.state = if with_request { State::Busy } else { State::Idle };
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes what is left of the request, as far as the socket takes it.
    pub(crate) fn write(&mut self, plan: &Plan) -> Result<(), Failure> {
        let Some(socket) = &mut self.socket else { return Ok(()) };
        while self.written < plan.request.len() {
            match socket.write(&plan.request[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(Failure::Closed),
                Err(_) => return Err(Failure::Io),
            }
        }
        Ok(())
    }

    /// Reads until the answer is whole or the socket has no more for now.
    pub(crate) fn read(&mut self, buffer: &mut [u8], now: u64, plan: &Plan, record: &mut Record) -> Progress {
        let Some(socket) = &mut self.socket else { return Progress::Partial };
        loop {
            let progress = match socket.read(buffer) {
                Ok(0) => self.exchange.end(now, plan, record),
                Ok(count) => self.exchange.receive(&buffer[..count], now, plan, record),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Partial,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    self.exchange.end(now, plan, record)
                }
                Err(_) => Progress::Wrong { failure: Failure::Io, reusable: false },
            };
            if progress != Progress::Partial {
                return progress;
            }
        }
    }

    /// An event on a connection without a request: whether the server has closed it.
    pub(crate) fn closed_while_idle(&mut self) -> bool {
        let Some(socket) = &mut self.socket else { return true };
        let mut byte = [0];
        !matches!(socket.read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}
