//! Connectors and resolvers that follow a script.
use super::clock::Clock;
use crate::{Answer, Resolve};
use anyport_core::{
    ConnInfo,
    transport::{Conn, Connector, Endpoint, Target},
};
use futures_core::Stream;
use hyper::rt::Timer;
use hyper_util::rt::TokioIo;
use std::{
    collections::HashMap,
    future::{Future, pending},
    io,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::io::{DuplexStream, duplex};

/// The outcome of an attempt, with its time in milliseconds.
#[derive(Clone, Copy)]
pub(super) enum Fate {
    Connects(u64),
    Fails(u64, io::ErrorKind),
    /// It connects; then its handshake fails after these milliseconds.
    BadHandshake(u64, u64),
    /// It connects; then its handshake never ends.
    SilentHandshake(u64),
}

impl Fate {
    fn after(self) -> u64 {
        match self {
            Self::Connects(after)
            | Self::Fails(after, _)
            | Self::BadHandshake(after, _)
            | Self::SilentHandshake(after) => after,
        }
    }
}

/// Connects to addresses by their fate. An address without one is dead.
#[derive(Clone)]
pub(super) struct Network {
    pub(super) clock: Clock,
    fates: Arc<HashMap<IpAddr, Fate>>,
    log: Arc<Mutex<Vec<(u64, IpAddr)>>>,
    open: Arc<AtomicUsize>,
}

impl Network {
    pub(super) fn new(fates: &[(&str, Fate)]) -> Self {
        let fates = fates
            .iter()
            .map(|(address, fate)| (address.parse().unwrap(), *fate));
        Self {
            clock: Clock::new(),
            fates: Arc::new(fates.collect()),
            log: Arc::default(),
            open: Arc::default(),
        }
    }

    /// When each attempt began, in milliseconds, and its address.
    pub(super) fn log(&self) -> Vec<(u64, String)> {
        let log = self.log.lock().unwrap();
        log.iter()
            .map(|(at, address)| (*at, address.to_string()))
            .collect()
    }

    pub(super) fn open_sockets(&self) -> usize {
        self.open.load(SeqCst)
    }
}

pub(super) type MemoryConn = Conn<TokioIo<DuplexStream>>;
type Phase<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// A socket of the script, open until it is dropped.
struct Socket(Arc<AtomicUsize>);

impl Socket {
    fn open(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Connector for Network {
    type Connection = MemoryConn;
    type Connecting = Phase<Self::Handshake>;
    type Handshake = Phase<MemoryConn>;

    fn connect(&self, target: &Target) -> Self::Connecting {
        let address = target.endpoint().socket_addr().unwrap().ip();
        let fate = self.fates.get(&address).copied();
        self.log
            .lock()
            .unwrap()
            .push((self.clock.millis(), address));
        let (clock, target) = (self.clock.clone(), target.clone());
        // Counts from now on, as a socket does.
        let open = Socket::open(&self.open);
        Box::pin(async move {
            let Some(fate) = fate else {
                return pending().await;
            };
            clock.sleep(Duration::from_millis(fate.after())).await;
            if let Fate::Fails(_, kind) = fate {
                return Err(target.error(kind.into()));
            }
            let phase: Self::Handshake = Box::pin(async move {
                match fate {
                    Fate::BadHandshake(_, then) => {
                        clock.sleep(Duration::from_millis(then)).await;
                        let what = "the certificate is of another name";
                        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                    }
                    Fate::SilentHandshake(_) => pending().await,
                    Fate::Connects(_) | Fate::Fails(..) => {}
                }
                drop(open);
                let info = ConnInfo::new(target.endpoint().clone(), Endpoint::custom("client"));
                Ok(Conn::new(TokioIo::new(duplex(16).0), info))
            });
            Ok(phase)
        })
    }
}

/// Yields each answer at its time, in milliseconds.
#[derive(Clone)]
pub(super) struct Script {
    clock: Clock,
    answers: Arc<dyn Fn() -> Vec<(u64, Answer)> + Send + Sync>,
    /// Whether it never ends.
    is_endless: bool,
}

impl Script {
    pub(super) fn new(
        clock: &Clock,
        answers: impl Fn() -> Vec<(u64, Answer)> + Send + Sync + 'static,
    ) -> Self {
        Self {
            clock: clock.clone(),
            answers: Arc::new(answers),
            is_endless: false,
        }
    }

    pub(super) fn endless(mut self) -> Self {
        self.is_endless = true;
        self
    }
}

impl Resolve for Script {
    type Answers = Pin<Box<dyn Stream<Item = Answer> + Send>>;

    fn resolve(&self, _: &str) -> Self::Answers {
        let (clock, is_endless) = (self.clock.clone(), self.is_endless);
        let answers = (self.answers)().into_iter();
        Box::pin(futures_util::stream::unfold(
            (clock, answers),
            move |(clock, mut answers)| async move {
                let Some((at, answer)) = answers.next() else {
                    if is_endless {
                        pending::<()>().await;
                    }
                    return None;
                };
                let wait = at.saturating_sub(clock.millis());
                clock.sleep(Duration::from_millis(wait)).await;
                Some((answer, (clock, answers)))
            },
        ))
    }
}

/// The answer with IPv6 addresses, separated by spaces.
pub(super) fn aaaa(addresses: &str) -> Answer {
    Answer::Aaaa(Ok(addresses
        .split_whitespace()
        .map(|a| a.parse().unwrap())
        .collect()))
}

/// The answer with IPv4 addresses, separated by spaces.
pub(super) fn a(addresses: &str) -> Answer {
    Answer::A(Ok(addresses
        .split_whitespace()
        .map(|a| a.parse().unwrap())
        .collect()))
}
