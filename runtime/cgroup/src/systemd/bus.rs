//! A connection of one thread to a bus, or to systemd itself.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::time::{Duration, Instant};

use serde::Serialize;
use zbus::wire::DynamicType;

use super::address::{self, Reached};
use super::message::{self, Message, Method};
use crate::{Error, Result};

/// How long all that is done over one connection may take together. systemd may be busy with other jobs.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

const BUS: Method<'static> = Method {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "Hello",
};

/// The connection.
pub(super) struct Bus {
    reached: Reached,
    serial: u32,
    input: Vec<u8>,
    signals: VecDeque<Message>,
    deadline: Instant,
}

/// An answer that says no.
pub(super) struct Refused {
    /// Name of the error, for example `org.freedesktop.systemd1.NoSuchUnit`.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Bus {
    /// Connects and says who we are. The socket tells the other side our user, so nothing is claimed: within a user
    /// namespace we do not know what the number is outside.
    pub fn connect(user: bool) -> Result<Self> {
        let reached = address::connect(user)?;
        let deadline = Instant::now() + PATIENCE;
        let mut bus = Self { reached, serial: 0, input: Vec::new(), signals: VecDeque::new(), deadline };
        bus.write(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")?;
        while !bus.welcomed()? {
            bus.read()?;
        }
        if !bus.reached.direct {
            bus.call(&BUS, None::<&()>)?.map_err(|refused| bus.unusable(&refused.text))?;
        }
        Ok(bus)
    }

    /// Has the bus pass on signals that match.
    pub fn watch(&mut self, rule: &str) -> Result<()> {
        if self.reached.direct {
            return Ok(());
        }
        let method = Method { member: "AddMatch", ..BUS };
        self.call(&method, Some(&(rule,)))?.map(drop).map_err(|refused| self.unusable(&refused.text))
    }

    /// Calls a method and waits for its answer.
    pub fn call<B>(
        &mut self,
        method: &Method<'_>,
        body: Option<&B>,
    ) -> Result<std::result::Result<Message, Refused>>
    where
        B: Serialize + DynamicType + ?Sized,
    {
        self.serial += 1;
        let serial = self.serial;
        let bytes = message::call(serial, method, body).map_err(|reason| self.unusable(&reason))?;
        self.write(&bytes)?;
        loop {
            let message = self.next()?;
            match message.kind() {
                message::RETURN if message.reply_to == serial => return Ok(Ok(message)),
                message::ERROR if message.reply_to == serial => {
                    return Ok(Err(Refused { text: message.text(), name: message.error }));
                }
                message::SIGNAL => self.signals.push_back(message),
                _ => {}
            }
        }
    }

    /// Waits for the next signal.
    pub fn signal(&mut self) -> Result<Message> {
        loop {
            if let Some(message) = self.signals.pop_front() {
                return Ok(message);
            }
            let message = self.next()?;
            if message.kind() == message::SIGNAL {
                self.signals.push_back(message);
            }
        }
    }

    fn next(&mut self) -> Result<Message> {
        loop {
            match Message::take(&mut self.input) {
                Ok(Some(message)) => return Ok(message),
                Ok(None) => self.read()?,
                Err(reason) => return Err(self.unusable(&reason)),
            }
        }
    }

    /// Looks for the line that ends the authentication.
    fn welcomed(&mut self) -> Result<bool> {
        while let Some(end) = self.input.windows(2).position(|two| two == b"\r\n") {
            let line = String::from_utf8_lossy(&self.input[..end]).into_owned();
            self.input.drain(..end + 2);
            match line.split(' ').next() {
                Some("OK") => return Ok(true),
                // It asks for more, and has it already.
                Some("DATA") => {}
                _ => return Err(self.unusable(&format!("it does not let us in: {line:?}"))),
            }
        }
        Ok(false)
    }

    fn left(&self) -> Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.unusable(&format!("it did not answer in {} s", PATIENCE.as_secs())));
        }
        Ok(left)
    }

    fn read(&mut self) -> Result<()> {
        let left = self.left()?;
        let mut buffer = [0; 4096];
        let stream = &mut self.reached.stream;
        let result = stream.set_read_timeout(Some(left)).and_then(|()| stream.read(&mut buffer));
        match result {
            Ok(0) => Err(self.unusable("it closed the connection")),
            Ok(length) => {
                self.input.extend_from_slice(&buffer[..length]);
                Ok(())
            }
            // The deadline is looked at again by the next read.
            Err(errno) if passes(&errno) => Ok(()),
            Err(errno) => Err(self.unusable(&errno.to_string())),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let left = self.left()?;
        let stream = &mut self.reached.stream;
        let result = stream.set_write_timeout(Some(left)).and_then(|()| stream.write_all(bytes));
        result.map_err(|errno| self.unusable(&errno.to_string()))
    }

    /// The connection is of no use.
    pub fn unusable(&self, reason: &str) -> Error {
        Error::NoSystemd { reason: format!("{}: {reason}", self.reached.address) }
    }
}

fn passes(errno: &io::Error) -> bool {
    matches!(errno.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}
