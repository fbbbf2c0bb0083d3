//! The handshake of one connection: it reads the PROXY header after the inner handshake.
use crate::{
    ProxyProtocolConnection, connection,
    header::{self, Client, Frame, Header},
    listener::Shared,
    policy::Others,
};
use anyport_core::{
    ConnInfo, Connection,
    transport::{Endpoint, HandshakeTimeout},
};
use hyper::rt::ReadBuf;
use std::{
    fmt,
    future::Future,
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// The size of a read: enough for a common header and the first bytes after it.
const READ: usize = 1024;

pin_project_lite::pin_project! {
    /// The handshake of one connection.
    ///
    /// While the peer sends nothing, there is no buffer.
    pub struct ProxyProtocolHandshake<H, C> {
        #[pin]
        stage: Stage<H, C>,
    }
}

pin_project_lite::pin_project! {
    #[project = StageProj]
    enum Stage<H, C> {
        Transport {
            #[pin]
            handshake: H,
            // `None`: no header is expected.
            shared: Option<Arc<Shared>>,
            // The peer's address is enough to trust it.
            is_trusted: bool,
        },
        Header {
            // `None`: the header has been read.
            io: Option<C>,
            receiver: Receiver,
        },
        Refused {
            peer: Endpoint,
        },
    }
}

/// What a complete header gives: the connection's facts, if they replace those of the connection
/// below, and the bytes that arrived after the header.
type Received = (Option<ConnInfo>, Vec<u8>);

/// Receives a header.
struct Receiver {
    shared: Arc<Shared>,
    /// The beginning of the header. Empty, if the header arrives at once.
    received: Vec<u8>,
    timeout: HandshakeTimeout,
}

impl<H, C> ProxyProtocolHandshake<H, C> {
    pub(crate) fn new(handshake: H, shared: Arc<Shared>, is_trusted: bool) -> Self {
        Self::inner(handshake, Some(shared), is_trusted)
    }

    /// The peer is an ordinary client.
    pub(crate) fn ordinary(handshake: H) -> Self {
        Self::inner(handshake, None, false)
    }

    fn inner(handshake: H, shared: Option<Arc<Shared>>, is_trusted: bool) -> Self {
        let stage = Stage::Transport {
            handshake,
            shared,
            is_trusted,
        };
        Self { stage }
    }

    /// The peer is not trusted.
    pub(crate) fn refused(peer: Endpoint) -> Self {
        Self {
            stage: Stage::Refused { peer },
        }
    }
}

impl<H, C> Future for ProxyProtocolHandshake<H, C>
where
    H: Future<Output = io::Result<C>>,
    C: Connection,
{
    type Output = io::Result<ProxyProtocolConnection<C>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut me = self.project();
        loop {
            let next = match me.stage.as_mut().project() {
                StageProj::Transport {
                    handshake,
                    shared,
                    is_trusted,
                } => {
                    let io = ready!(handshake.poll(cx))?;
                    let Some(shared) = shared.take() else {
                        return Poll::Ready(Ok(connection::ordinary(io)));
                    };
                    if *is_trusted || shared.policy.trusted.connection(io.info()) {
                        let io = Some(io);
                        let receiver = Receiver::new(shared);
                        Stage::Header { io, receiver }
                    } else if shared.policy.others == Others::Ordinary {
                        return Poll::Ready(Ok(connection::ordinary(io)));
                    } else {
                        let peer = io.info().peer().clone();
                        Stage::Refused { peer }
                    }
                }
                StageProj::Header { io: slot, receiver } => {
                    let Some(io) = slot else {
                        return Poll::Pending;
                    };
                    let (info, surplus) = ready!(receiver.poll(io, cx))?;
                    let Some(io) = slot.take() else {
                        return Poll::Pending;
                    };
                    return Poll::Ready(Ok(connection::connection(io, info, surplus)));
                }
                StageProj::Refused { peer } => return Poll::Ready(Err(untrusted(peer))),
            };
            me.stage.set(next);
        }
    }
}

impl Receiver {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            received: Vec::new(),
            timeout: HandshakeTimeout::default(),
        }
    }

    fn poll<C: Connection>(
        &mut self,
        io: &mut C,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Received>> {
        loop {
            let Poll::Ready(received) = self.poll_more(io, cx)? else {
                return self.poll_deadline(io.info(), cx).map(Err);
            };
            if let Some(received) = received {
                return Poll::Ready(Ok(received));
            }
        }
    }

    /// Reads once. `None`: the header is not complete.
    fn poll_more<C: Connection>(
        &mut self,
        io: &mut C,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Received>>> {
        ready!(Pin::new(&mut *io).poll_readable(cx))?;
        let mut scratch = [const { MaybeUninit::uninit() }; READ];
        let mut buf = ReadBuf::uninit(&mut scratch);
        ready!(Pin::new(&mut *io).poll_read(cx, buf.unfilled()))?;
        let read = buf.filled();
        if read.is_empty() {
            return Poll::Ready(Err(self.ended(io.info())));
        }
        let input = match self.received.is_empty() {
            true => read,
            false => {
                self.received.extend_from_slice(read);
                &self.received
            }
        };
        let complete = match header::frame(input) {
            Ok(Frame::Complete(length)) => {
                let (header, surplus) = input.split_at(length);
                header::parse(header).map(|header| {
                    let info = name_client(io, header);
                    Some((info, surplus.to_vec()))
                })
            }
            Ok(Frame::Incomplete) => {
                if self.received.is_empty() {
                    self.received = read.to_vec();
                }
                Ok(None)
            }
            Err(error) => Err(error),
        };
        Poll::Ready(complete.map_err(|error| {
            let what = format!("{error} (from the proxy {})", io.info().peer());
            io::Error::new(io::ErrorKind::InvalidData, what)
        }))
    }

    fn poll_deadline(&mut self, info: &ConnInfo, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Shared { policy, timer } = &*self.shared;
        ready!(self.timeout.poll(policy.timeout, timer, cx));
        let what = format!(
            "the proxy {} sent no complete PROXY header within {:?}, but {} bytes",
            info.peer(),
            policy.timeout,
            self.received.len()
        );
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, what))
    }

    fn ended(&self, info: &ConnInfo) -> io::Error {
        let what = format!(
            "the proxy {} closed the connection after {} bytes of its PROXY header",
            info.peer(),
            self.received.len()
        );
        io::Error::new(io::ErrorKind::UnexpectedEof, what)
    }
}

/// Adds what a header says to the facts of a connection. Returns new facts, if those of the
/// connection cannot be changed.
fn name_client<C: Connection>(io: &mut C, header: Header) -> Option<ConnInfo> {
    let Header::Client(Client { endpoint, proxied }) = header else {
        return None;
    };
    match io.info_mut() {
        Some(info) => info.set_client(endpoint, proxied),
        None => return Some(io.info().clone().with_client(endpoint, proxied)),
    }
    None
}

fn untrusted(peer: &Endpoint) -> io::Error {
    let what = format!(
        "{peer} is not a trusted proxy: add its network to Policy::required_from, or use Policy::only_from for clients without a proxy"
    );
    io::Error::new(io::ErrorKind::PermissionDenied, what)
}

impl<H, C> fmt::Debug for ProxyProtocolHandshake<H, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyProtocolHandshake")
            .finish_non_exhaustive()
    }
}
