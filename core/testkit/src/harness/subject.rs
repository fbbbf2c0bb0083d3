//! What a transport tells the suite about itself.
use crate::{
    app::{
        App,
        local::LocalApp,
        script::{Handler, Place, Script},
        state::State,
    },
    harness::{
        site::Told,
        watch::{Notes, Watched},
        wrap::{Mood, Moody, Spied},
    },
};
use anyport_core::{
    ByteTransport, Endpoint, Listener, PerWorker, Raw, ServedOver, Server, SpokenOver, Transport,
    Worker, per_worker, serve_raw_with, serve_with,
};
use std::{future::Future, io, sync::Arc};
use tokio::io::{AsyncRead, AsyncWrite};

/// A transport under test: how to make one, and how to connect to it.
pub trait Subject: Send + Sync + 'static {
    /// What its tests' names begin with.
    const NAME: &str;

    /// What's tested.
    type Transport: ByteTransport;

    /// The client's end of a connection, on tokio. It should send small writes at once (for TCP:
    /// TCP_NODELAY).
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// A new one that binds a free place on this machine: each test has its own.
    fn transport(&self) -> Self::Transport;

    /// Connects to where the server says that it listens; runs on tokio, whatever the transport
    /// runs on.
    fn connect(&self, endpoint: &Endpoint)
    -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// The same without waiting for the server's word: what's left of a handshake goes on when the
    /// stream is read or written. Default: [`connect`](Self::connect), which is right where
    /// connecting needs no more than the kernel.
    fn knock(&self, endpoint: &Endpoint) -> impl Future<Output = io::Result<Self::Stream>> + Send {
        self.connect(endpoint)
    }

    /// Connects a client that speaks HTTP/2, and says so if the transport asks for it: TLS does
    /// (ALPN, RFC 9113 3.2). Default: [`connect`](Self::connect).
    fn connect_h2(
        &self,
        endpoint: &Endpoint,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send {
        self.connect(endpoint)
    }

    /// Has a client's end reset its connection when it is dropped (TCP: SO_LINGER of zero,
    /// socket(7)). Default: nothing, which is right where dropping it closes both directions, as it
    /// does with Unix sockets and in memory.
    ///
    /// # Errors
    ///
    /// It cannot be set.
    fn reset_on_drop(&self, _stream: &Self::Stream) -> io::Result<()> {
        Ok(())
    }

    /// Why it can't be tested on this machine, if that's so: then its tests are ignored, with this
    /// reason. Default: it can.
    fn missing(&self) -> Option<String> {
        None
    }

    /// What it can do. Default: everything.
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }
}

type ConnectionOf<S> = <<<S as Subject>::Transport as Transport>::Listener as Listener>::Connection;

/// A subject that can be served by its runtime. Holds for every one whose listener and handshake
/// suit its runtime.
pub trait Served: Subject {
    #[doc(hidden)]
    fn http(&self, state: Arc<State>) -> Server;

    #[doc(hidden)]
    fn watched(&self, state: Arc<State>, notes: Arc<Notes>) -> Server;

    #[doc(hidden)]
    fn raw(&self, script: Script, place: Place) -> Server;

    #[doc(hidden)]
    fn spied(&self, script: Script, told: Told) -> Server;

    #[doc(hidden)]
    fn moody(&self, script: Script, mood: Arc<Mood>) -> Server;
}

impl<S> Served for S
where
    S: Subject,
    App: ServedOver<S::Transport> + ServedOver<Watched<S::Transport>>,
    Raw<Handler<ConnectionOf<S>>>: SpokenOver<S::Transport>
        + SpokenOver<Spied<S::Transport>>
        + SpokenOver<Moody<S::Transport>>,
{
    fn http(&self, state: Arc<State>) -> Server {
        serve_with(self.transport(), App::new(state))
    }

    fn watched(&self, state: Arc<State>, notes: Arc<Notes>) -> Server {
        let watched = Watched::new(self.transport(), notes);
        serve_with(watched, App::new(state))
    }

    fn raw(&self, script: Script, place: Place) -> Server {
        serve_raw_with(self.transport(), script.handler(place))
    }

    fn spied(&self, script: Script, told: Told) -> Server {
        serve_raw_with(
            Spied::new(self.transport(), told),
            script.handler(Place::Home),
        )
    }

    fn moody(&self, script: Script, mood: Arc<Mood>) -> Server {
        serve_raw_with(
            Moody::new(self.transport(), mood),
            script.handler(Place::Home),
        )
    }
}

/// A subject whose workers have threads of their own, so that it serves `!Send` apps, too. Holds
/// for each one that can.
pub trait LocalSubject: Served {
    #[doc(hidden)]
    fn local(&self, make: fn(&Worker) -> LocalApp) -> Server;
}

impl<S> LocalSubject for S
where
    S: Served,
    PerWorker<fn(&Worker) -> LocalApp>: ServedOver<S::Transport>,
{
    fn local(&self, make: fn(&Worker) -> LocalApp) -> Server {
        serve_with(self.transport(), per_worker(make))
    }
}

/// Something that not every transport can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// A client that ended its sending half still receives.
    HalfClose,
    /// Several slices are written at the price of one (`is_write_vectored`).
    VectoredWrite,
    /// A free port is chosen by binding port 0, so endpoints are IP addresses.
    PortZero,
    /// A peer that is gone is noticed although bytes of it wait unread
    /// ([`Connection::peer_state`](anyport_core::Connection::peer_state)).
    PeerState,
    /// What a slow reader reads is noticed before the system calls the stream writable
    /// ([`Connection::poll_retry_write`](anyport_core::Connection::poll_retry_write)).
    RetryWrite,
    /// A client can tell the end of a connection from its failure
    /// ([`Connection::reset`](anyport_core::Connection::reset)).
    Reset,
    /// Its workers have threads of their own and serve `!Send` apps:
    /// [`Suite::with_local`](crate::Suite::with_local).
    Local,
}

impl Capability {
    /// Why a test is ignored without it.
    pub(crate) fn needed(self) -> &'static str {
        match self {
            Self::HalfClose => "needs half-close",
            Self::VectoredWrite => "needs vectored writes",
            Self::PortZero => "needs ports",
            Self::PeerState => "needs `Connection::peer_state`",
            Self::RetryWrite => "needs `Connection::poll_retry_write`",
            Self::Reset => "needs `Connection::reset`",
            Self::Local => "needs workers with threads of their own",
        }
    }
}

/// What a transport can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(u8);

impl Capabilities {
    /// Everything that doesn't depend on how the suite is put together.
    #[must_use]
    pub fn all() -> Self {
        Self(u8::MAX).without(Capability::Local)
    }

    /// All but this one.
    #[must_use]
    pub fn without(self, capability: Capability) -> Self {
        Self(self.0 & !(1 << capability as u8))
    }

    pub(crate) fn and(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability as u8)
    }

    pub(crate) fn have(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u8) != 0
    }
}
