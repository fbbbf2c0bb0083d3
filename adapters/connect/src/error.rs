//! The error of a connect, with the history of its attempts.
use crate::family::Family;
use std::{error::Error as StdError, fmt, io, net::SocketAddr, time::Duration};

/// The reason why a connect failed.
///
/// Its `Display` is one line with the name and the history, in the order in which the attempts
/// began:
///
/// ```text
/// cannot connect to example.com:443 within 30s: [2001:db8::1]:443 timed out after 30000 ms; 192.0.2.1:443 refused
/// ```
///
/// `Debug` prints the same line, and below it the sources that the line does not quote. The
/// [`source`](StdError::source) is the error of the handshake, of the last attempt that failed, or
/// of the lookup. Match on [`kind`](Self::kind): the wording may change.
pub struct ConnectError(Box<Inner>);

struct Inner {
    name: String,
    reason: Reason,
    history: History,
}

/// The kind of a [`ConnectError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The host is neither a name nor an IP address. Nothing was looked up.
    InvalidName,
    /// The resolver gave no address to connect to.
    NoAddress,
    /// Every attempt failed.
    AllFailed,
    /// The deadline passed: during the lookup, the attempts, or the handshake.
    Deadline,
    /// One address was connected, and the handshake with it failed.
    Handshake,
}

/// The reason why the connect failed.
pub(crate) enum Reason {
    InvalidName(String),
    NoAddress,
    AllFailed,
    Deadline(Duration),
    Handshake(SocketAddr, io::Error),
    /// The deadline passed during the handshake.
    HandshakeDeadline(SocketAddr, Duration),
}

/// The attempts and the lookups before the failure.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) lookups: Vec<(Family, LookupFailure)>,
    /// Addresses that were never tried, because there were too many.
    pub(crate) untried: usize,
}

#[derive(Debug)]
pub(crate) enum LookupFailure {
    Error(io::Error),
    /// An answer without a usable address.
    Empty,
    /// No answer yet, or none at all.
    Missing,
}

/// One attempt to connect to an address.
#[derive(Debug)]
pub struct Attempt {
    pub(crate) address: SocketAddr,
    pub(crate) started: Duration,
    pub(crate) lasted: Option<Duration>,
    pub(crate) error: Option<io::Error>,
}

impl Attempt {
    /// The address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// When it began: the time since the first poll of [`Connect`](crate::Connect).
    #[must_use]
    pub fn started(&self) -> Duration {
        self.started
    }

    /// How long it lasted, until it ended or was given up.
    #[must_use]
    pub fn lasted(&self) -> Duration {
        self.lasted.unwrap_or_default()
    }

    /// Why it failed. `None`: it was given up, at the deadline or for another address; or it
    /// connected, and the handshake failed.
    #[must_use]
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }
}

impl ConnectError {
    pub(crate) fn new(name: impl fmt::Display, reason: Reason, history: History) -> Self {
        Self(Box::new(Inner {
            name: name.to_string(),
            reason,
            history,
        }))
    }

    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ConnectErrorKind {
        match &self.0.reason {
            Reason::InvalidName(_) => ConnectErrorKind::InvalidName,
            Reason::NoAddress => ConnectErrorKind::NoAddress,
            Reason::AllFailed => ConnectErrorKind::AllFailed,
            Reason::Deadline(_) | Reason::HandshakeDeadline(..) => ConnectErrorKind::Deadline,
            Reason::Handshake(..) => ConnectErrorKind::Handshake,
        }
    }

    /// The attempts, in the order in which they began.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.history.attempts
    }

    fn cause(&self) -> Option<&(dyn StdError + 'static)> {
        let History {
            attempts, lookups, ..
        } = &self.0.history;
        match &self.0.reason {
            Reason::Handshake(address, error) => Some(without_address(*address, error)),
            Reason::NoAddress => lookups.iter().rev().find_map(|(_, failure)| match failure {
                LookupFailure::Error(error) => Some(error as _),
                _ => None,
            }),
            Reason::AllFailed | Reason::Deadline(_) => attempts.iter().rev().find_map(|attempt| {
                let error = attempt.error.as_ref()?;
                Some(without_address(attempt.address, error))
            }),
            Reason::InvalidName(_) | Reason::HandshakeDeadline(..) => None,
        }
    }
}

/// The error of an attempt, without the address that a connector added to it
/// ([`Target::error`](anyport_core::transport::Target::error)): a [`ConnectError`] names the
/// address already.
fn without_address(address: SocketAddr, error: &io::Error) -> &(dyn StdError + 'static) {
    let below = error.get_ref().and_then(|inner| inner.source());
    match below {
        Some(below) if error.to_string().starts_with(&prefix(address)) => below,
        _ => error,
    }
}

fn prefix(address: SocketAddr) -> String {
    format!("cannot connect to {address}")
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            name,
            reason,
            history,
        } = &*self.0;
        write!(f, "cannot connect to {name}")?;
        match reason {
            Reason::InvalidName(why) => write!(f, ": not a valid host ({why})"),
            Reason::NoAddress => write!(f, ": no address found{}", Enclosed(" (", history, ")")),
            Reason::AllFailed => write!(f, "{}", Enclosed(": ", history, "")),
            Reason::Deadline(limit) => {
                write!(f, " within {limit:?}{}", Enclosed(": ", history, ""))
            }
            Reason::Handshake(address, error) => {
                let error = without_address(*address, error);
                write!(f, ": the handshake with {address} failed: {error}")
            }
            Reason::HandshakeDeadline(address, limit) => {
                write!(
                    f,
                    " within {limit:?}: the handshake with {address} did not end"
                )
            }
        }
    }
}

/// A history between two texts. An empty history writes nothing.
struct Enclosed<'a>(&'static str, &'a History, &'static str);

impl fmt::Display for Enclosed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(before, history, after) = self;
        let attempts = history.attempts.iter().map(ToString::to_string);
        let lookups = history.lookups.iter();
        let lookups = lookups.map(|(family, failure)| format!("{family}: {failure}"));
        let untried = (history.untried > 0)
            .then(|| format!("{} more addresses were not tried", history.untried));
        let parts: Vec<String> = attempts.chain(lookups).chain(untried).collect();
        match parts.is_empty() {
            true => Ok(()),
            false => write!(f, "{before}{}{after}", parts.join("; ")),
        }
    }
}

/// The address and the reason, as in the history of an error.
impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        match &self.error {
            Some(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
                write!(f, "{address} refused")
            }
            Some(e) if e.kind() == io::ErrorKind::NetworkUnreachable => {
                write!(f, "{address} has no route")
            }
            Some(e) if e.kind() != io::ErrorKind::TimedOut => {
                write!(f, "{address}: {}", without_address(address, e))
            }
            _ => {
                let millis = self.lasted().as_millis();
                write!(f, "{address} timed out after {millis} ms")
            }
        }
    }
}

impl fmt::Display for LookupFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Empty => f.write_str("no usable address"),
            Self::Missing => f.write_str("no answer"),
        }
    }
}

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.to_string();
        f.write_str(&line)?;
        let mut source = self.source();
        while let Some(error) = source {
            let text = error.to_string();
            if !line.contains(&text) {
                write!(f, "\n  caused by: {text}")?;
            }
            source = error.source();
        }
        Ok(())
    }
}

impl StdError for ConnectError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause()
    }
}

/// For code that expects the error of a socket.
impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> Self {
        let kind = match (&error.0.reason, error.attempts().last()) {
            (Reason::InvalidName(_), _) => io::ErrorKind::InvalidInput,
            (Reason::NoAddress, _) => io::ErrorKind::NotFound,
            (Reason::Deadline(_) | Reason::HandshakeDeadline(..), _) => io::ErrorKind::TimedOut,
            (Reason::Handshake(_, error), _) => error.kind(),
            (
                Reason::AllFailed,
                Some(Attempt {
                    error: Some(error), ..
                }),
            ) => error.kind(),
            (Reason::AllFailed, _) => io::ErrorKind::TimedOut,
        };
        Self::new(kind, error)
    }
}
