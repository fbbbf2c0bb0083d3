//! The interface between a transport and the suite: [`Subject`] and its capabilities.
use crate::{
    app::{
        App,
        local::LocalApp,
        script::{Handler, HandlerThread, Script},
        state::State,
    },
    harness::{
        any_subject::BoundEndpoint,
        faulty_listener::{Faulty, Mode},
        instrumented::{Counters, Instrumented, instrumented},
        recorded_endpoint::RecordedEndpoint,
    },
};
use anyport_core::{
    Listener, Server, Transport,
    bounds::{AppOver, PerWorker, ProtocolOver},
    per_worker,
    protocol::Raw,
    runtime::Worker,
    serve_raw_with, serve_with,
    transport::{ByteTransport, Endpoint},
};
use std::{future::Future, io, sync::Arc};
use tokio::io::{AsyncRead, AsyncWrite};

/// A transport under test: how to create it, and how to connect to it.
pub trait Subject: Send + Sync + 'static {
    /// The prefix of the names of its cases.
    const NAME: &str;

    /// The transport under test.
    type Transport: ByteTransport;

    /// The client's end of a connection, on tokio. It should send small writes at once (TCP:
    /// TCP_NODELAY).
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Creates a transport that binds to a free endpoint of this machine. Each case gets its own.
    fn transport(&self) -> Self::Transport;

    /// Connects to the endpoint of a server. This runs on tokio, whatever the runtime of the
    /// transport is.
    fn connect(&self, endpoint: &Endpoint)
    -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Connects without waiting for the server's part of a handshake. The handshake continues when
    /// the stream is read or written. Default: [`connect`](Self::connect), which is right for a
    /// transport without a handshake in user space.
    fn connect_lazily(
        &self,
        endpoint: &Endpoint,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send {
        self.connect(endpoint)
    }

    /// Connects a client that speaks HTTP/2, and negotiates that where the transport can (ALPN in
    /// TLS, RFC 9113 3.2). Default: [`connect`](Self::connect).
    fn connect_h2(
        &self,
        endpoint: &Endpoint,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send {
        self.connect(endpoint)
    }

    /// Makes the client's end reset its connection when it is dropped (TCP: SO_LINGER of zero,
    /// socket(7)). Default: does nothing, which is right where a drop closes both directions, as
    /// with Unix sockets and in memory.
    ///
    /// # Errors
    ///
    /// The option cannot be set.
    fn reset_on_drop(&self, _stream: &Self::Stream) -> io::Result<()> {
        Ok(())
    }

    /// The reason why the transport cannot be tested on this machine. Its cases are then ignored
    /// with this reason. Default: `None`.
    fn unavailable(&self) -> Option<String> {
        None
    }

    /// The capabilities of the transport. Default: all of them.
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }
}

type ConnectionOf<S> = <<<S as Subject>::Transport as Transport>::Listener as Listener>::Connection;

/// A subject that its runtime can serve. Implemented for every subject whose listener and handshake
/// suit its runtime.
pub trait Served: Subject {
    #[doc(hidden)]
    fn http(&self, state: Arc<State>) -> Server;

    #[doc(hidden)]
    fn instrumented(&self, state: Arc<State>, counters: Arc<Counters>) -> Server;

    #[doc(hidden)]
    fn raw(&self, script: Script, thread: HandlerThread) -> Server;

    #[doc(hidden)]
    fn raw_recording_endpoint(&self, script: Script, bound: BoundEndpoint) -> Server;

    #[doc(hidden)]
    fn faulty(&self, script: Script, mode: Arc<Mode>) -> Server;
}

impl<S> Served for S
where
    S: Subject,
    App: AppOver<S::Transport> + AppOver<Instrumented<S::Transport>>,
    Raw<Handler<ConnectionOf<S>>>: ProtocolOver<S::Transport>
        + ProtocolOver<RecordedEndpoint<S::Transport>>
        + ProtocolOver<Faulty<S::Transport>>,
{
    fn http(&self, state: Arc<State>) -> Server {
        serve_with(self.transport(), App::new(state))
    }

    fn instrumented(&self, state: Arc<State>, counters: Arc<Counters>) -> Server {
        serve_with(instrumented(self.transport(), counters), App::new(state))
    }

    fn raw(&self, script: Script, thread: HandlerThread) -> Server {
        serve_raw_with(self.transport(), script.handler(thread))
    }

    fn raw_recording_endpoint(&self, script: Script, bound: BoundEndpoint) -> Server {
        serve_raw_with(
            RecordedEndpoint::new(self.transport(), bound),
            script.handler(HandlerThread::Worker),
        )
    }

    fn faulty(&self, script: Script, mode: Arc<Mode>) -> Server {
        serve_raw_with(
            Faulty::new(self.transport(), mode),
            script.handler(HandlerThread::Worker),
        )
    }
}

/// A subject whose workers have threads of their own, so that it also serves `!Send` apps.
/// Implemented for every such subject.
pub trait LocalSubject: Served {
    #[doc(hidden)]
    fn local(&self, make: fn(&Worker) -> LocalApp) -> Server;
}

impl<S> LocalSubject for S
where
    S: Served,
    PerWorker<fn(&Worker) -> LocalApp>: AppOver<S::Transport>,
{
    fn local(&self, make: fn(&Worker) -> LocalApp) -> Server {
        serve_with(self.transport(), per_worker(make))
    }
}

/// A capability that not every transport has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// A client that has sent FIN still receives.
    HalfClose,
    /// Several slices are written as cheaply as one (`is_write_vectored`).
    VectoredWrite,
    /// Port 0 binds a free port, so endpoints are IP addresses.
    PortZero,
    /// A disconnected peer is detected although bytes from it are unread
    /// ([`Connection::peer_state`](anyport_core::Connection::peer_state)).
    PeerState,
    /// A slow reader's progress is detected before the system calls the stream writable
    /// ([`Connection::poll_retry_write`](anyport_core::Connection::poll_retry_write)).
    RetryWrite,
    /// A client can tell a clean end of a connection from a reset
    /// ([`Connection::reset`](anyport_core::Connection::reset)).
    Reset,
    /// [`Listener::stop`](anyport_core::Listener::stop) keeps new clients out.
    Stop,
    /// Connections and bytes arrive within milliseconds. Without it, every wait of the suite is ten
    /// times as long, and the cases are ignored whose client must be faster than a fixed timeout of
    /// the server: for transports over long distances or slow devices.
    LowLatency,
    /// The transport wraps another: [`Suite::with_wrapper`](crate::Suite::with_wrapper).
    Wrapper,
    /// Workers have threads of their own and serve `!Send` apps:
    /// [`Suite::with_local`](crate::Suite::with_local).
    Local,
}

impl Capability {
    /// The reason to ignore a case without this capability.
    pub(crate) fn needed(self) -> &'static str {
        match self {
            Self::HalfClose => "needs half-close",
            Self::VectoredWrite => "needs vectored writes",
            Self::PortZero => "needs ports",
            Self::PeerState => "needs `Connection::peer_state`",
            Self::RetryWrite => "needs `Connection::poll_retry_write`",
            Self::Reset => "needs `Connection::reset`",
            Self::Stop => "needs `Listener::stop`",
            Self::LowLatency => "needs low latency",
            Self::Wrapper => "needs a transport that wraps another",
            Self::Local => "needs workers with threads of their own",
        }
    }
}

/// The capabilities of a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(u16);

impl Capabilities {
    /// Every capability but [`Local`](Capability::Local) and [`Wrapper`](Capability::Wrapper),
    /// which [`Suite::with_local`](crate::Suite::with_local) and
    /// [`Suite::with_wrapper`](crate::Suite::with_wrapper) add.
    #[must_use]
    pub fn all() -> Self {
        Self(u16::MAX)
            .without(Capability::Local)
            .without(Capability::Wrapper)
    }

    /// All but this one.
    #[must_use]
    pub fn without(self, capability: Capability) -> Self {
        Self(self.0 & !(1 << capability as u8))
    }

    pub(crate) fn and(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability as u8)
    }

    /// How many times longer than usual the suite waits.
    pub(crate) fn wait_factor(self) -> u32 {
        match self.have(Capability::LowLatency) {
            true => 1,
            false => 10,
        }
    }

    pub(crate) fn have(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u8) != 0
    }
}
