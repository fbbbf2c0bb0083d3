//! The handshake of a connection. It begins after the handshake of the transport below.
use crate::{
    TlsConnection,
    below::Below,
    config::has_expired,
    hello::{Farewell, Hello, Unwelcome, poll_first},
    plain::{self, Plain},
    secure::{Secure, Slot, Turn},
};
use anyport_core::Connection;
use hyper_util::rt::TokioIo;
use rustls::{HandshakeKind, ServerConnection};
use std::{
    fmt,
    future::Future,
    io, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio_rustls::{FallibleAccept, StartHandshake};

pin_project_lite::pin_project! {
    /// The handshake of one connection.
    ///
    /// While the peer is silent there's nothing of it but the connection below. The server's
    /// deadline for handshakes holds for all of it.
    pub struct TlsHandshake<H, C> {
        secure: Arc<Secure>,
        #[pin]
        step: Step<H, C>,
    }
}

pin_project_lite::pin_project! {
    #[project = StepProj]
    enum Step<H, C> {
        Below {
            #[pin]
            handshake: H,
        },
        Silent {
            io: Option<C>,
        },
        // In a box: it's large, and soon over.
        Speaking {
            talk: Box<Talk<C>>,
        },
    }
}

/// What follows the first byte.
enum Talk<C> {
    Hello(Hello<C>),
    /// There's no TLS.
    Plain(Plain<C>),
    /// It's about to compute, perhaps, and waits for its turn.
    Queued {
        next: Next<C>,
        turn: Turn,
    },
    /// It has computed for long, and lets everything else go first.
    Paid {
        then: Then<C>,
        slot: Slot,
    },
    Waiting(FallibleAccept<TokioIo<Below<C>>>),
    Farewell(Farewell<C>),
    Over,
}

/// What's to be polled.
enum Next<C> {
    Start(StartHandshake<TokioIo<Below<C>>>),
    Accept(FallibleAccept<TokioIo<Below<C>>>),
}

/// What came of it.
#[expect(
    clippy::large_enum_variant,
    reason = "it's in a box already, with the rest of its handshake"
)]
enum Then<C> {
    Wait(FallibleAccept<TokioIo<Below<C>>>),
    Serve(TlsConnection<C>),
    Refuse(C, io::Error),
}

/// A step that takes longer than this has computed something that others shouldn't wait for twice
/// in a row: a signature, a key exchange, a client's certificate.
const LONG: Duration = Duration::from_micros(20);

impl<H, C> TlsHandshake<H, C> {
    pub(crate) fn new(handshake: H, secure: Arc<Secure>) -> Self {
        Self {
            secure,
            step: Step::Below { handshake },
        }
    }
}

impl<H, C> Future for TlsHandshake<H, C>
where
    H: Future<Output = io::Result<C>>,
    C: Connection,
{
    type Output = io::Result<TlsConnection<C>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut me = self.project();
        loop {
            let next = match me.step.as_mut().project() {
                StepProj::Below { handshake } => Step::Silent {
                    io: Some(ready!(handshake.poll(cx))?),
                },
                StepProj::Silent { io } => {
                    let Some(silent) = io else {
                        return Poll::Pending;
                    };
                    let first = ready!(poll_first(silent, cx))?;
                    let Some(io) = io.take() else {
                        return Poll::Pending;
                    };
                    let talk = match me.secure.speaks_http() && plain::is_http(&first) {
                        true if me.secure.redirects() => Talk::Plain(Plain::new(io, &first)),
                        true => Talk::refuse(io, plain::refusal()),
                        false => match Hello::new(io, &first) {
                            Ok(hello) => Talk::Hello(hello),
                            Err((io, unwelcome)) => Talk::refuse(io, unwelcome),
                        },
                    };
                    Step::Speaking {
                        talk: Box::new(talk),
                    }
                }
                StepProj::Speaking { talk } => return talk.poll(me.secure, cx),
            };
            me.step.set(next);
        }
    }
}

impl<C: Connection> Talk<C> {
    fn refuse(io: C, unwelcome: Unwelcome) -> Self {
        Self::Farewell(Farewell::new(io, unwelcome))
    }

    fn queue(next: Next<C>, secure: &Secure) -> Self {
        let turn = secure.turn();
        Self::Queued { next, turn }
    }

    fn poll(
        &mut self,
        secure: &Secure,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<TlsConnection<C>>> {
        loop {
            let heard = match self {
                Self::Hello(hello) => Some(ready!(hello.poll(cx))),
                Self::Plain(plain) => Some(Err(ready!(plain.poll(cx)))),
                Self::Farewell(farewell) => return farewell.poll(cx).map(Err),
                _ => None,
            };
            let slot = match self {
                Self::Queued { turn, .. } => {
                    Some(ready!(turn.as_mut().poll(cx)).map_err(io::Error::other)?)
                }
                _ => None,
            };
            let then = match (mem::replace(self, Self::Over), heard, slot) {
                (Self::Hello(hello), Some(Ok(accepted)), _) => {
                    let io = TokioIo::new(Below::new(hello.into_inner()));
                    *self = Self::queue(
                        Next::Start(StartHandshake::from_parts(accepted, io)),
                        secure,
                    );
                    continue;
                }
                (Self::Hello(hello), Some(Err(unwelcome)), _) => {
                    *self = Self::refuse(hello.into_inner(), unwelcome);
                    continue;
                }
                (Self::Plain(plain), Some(Err(unwelcome)), _) => {
                    *self = Self::refuse(plain.into_inner(), unwelcome);
                    continue;
                }
                (Self::Queued { next, .. }, _, Some(slot)) => {
                    let begun = Instant::now();
                    let then = next.poll(secure, cx)?;
                    if begun.elapsed() >= LONG {
                        cx.waker().wake_by_ref();
                        *self = Self::Paid { then, slot };
                        return Poll::Pending;
                    }
                    then
                }
                (Self::Paid { then, slot }, ..) => {
                    // All that was ready has been polled meanwhile.
                    drop(slot);
                    if let Then::Wait(accept) = then {
                        *self = Self::queue(Next::Accept(accept), secure);
                        continue;
                    }
                    then
                }
                (Self::Waiting(accept), ..) => {
                    *self = Self::queue(Next::Accept(accept), secure);
                    continue;
                }
                _ => return Poll::Pending,
            };
            match then {
                Then::Wait(accept) => {
                    *self = Self::Waiting(accept);
                    return Poll::Pending;
                }
                Then::Serve(connection) => return Poll::Ready(Ok(connection)),
                Then::Refuse(io, error) => *self = Self::refuse(io, error.into()),
            }
        }
    }
}

impl<C: Connection> Next<C> {
    /// Here's where the time goes.
    fn poll(self, secure: &Secure, cx: &mut Context<'_>) -> io::Result<Then<C>> {
        let mut accept = match self {
            Self::Start(start) => start.into_stream(secure.config()?).into_fallible(),
            Self::Accept(accept) => accept,
        };
        Ok(match Pin::new(&mut accept).poll(cx) {
            Poll::Pending => Then::Wait(accept),
            // The peer has been sent an alert already, if there's one for it.
            Poll::Ready(Err((error, io))) => Then::Refuse(io.into_inner().io, error),
            Poll::Ready(Ok(stream)) if is_stale(stream.get_ref().1) => {
                let what = "the client's certificate has expired since its session began";
                let (io, _) = stream.into_inner();
                Then::Refuse(
                    io.into_inner().io,
                    io::Error::new(io::ErrorKind::InvalidData, what),
                )
            }
            Poll::Ready(Ok(stream)) => Then::Serve(TlsConnection::new(stream)),
        })
    }
}

/// Whether a session goes on from one whose client has shown a certificate that's no longer valid:
/// rustls verifies it only when the session begins.
fn is_stale(session: &ServerConnection) -> bool {
    session.handshake_kind() == Some(HandshakeKind::Resumed)
        && session
            .peer_certificates()
            .and_then(<[_]>::first)
            .is_some_and(|certificate| has_expired(certificate))
}

impl<H, C> fmt::Debug for TlsHandshake<H, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsHandshake").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(feature = "self-signed")]
mod tests {
    use super::*;
    use crate::TlsConfig;
    use anyport_core::{Conn, ConnInfo, Endpoint};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, pki_types::ServerName};
    use std::task::Waker;
    use tokio::io::{AsyncWrite, DuplexStream, duplex};

    type Io = Conn<TokioIo<DuplexStream>>;
    type Shaking = TlsHandshake<std::future::Ready<io::Result<Io>>, Io>;

    fn client_hello() -> Vec<u8> {
        let provider = crate::Provider::Ring.rustls();
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let mut hello = Vec::new();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        client.write_tls(&mut hello).unwrap();
        hello
    }

    /// Clients that have said hello; `leaves`: and have hung up.
    fn crowd(secure: &Arc<Secure>, leaves: bool) -> Vec<(Pin<Box<Shaking>>, DuplexStream)> {
        let mut cx = Context::from_waker(Waker::noop());
        let one = |_| {
            let (server, mut client) = duplex(64 * 1024);
            let hello = client_hello();
            assert!(Pin::new(&mut client).poll_write(&mut cx, &hello).is_ready());
            if leaves {
                assert!(Pin::new(&mut client).poll_shutdown(&mut cx).is_ready());
            }
            let info = ConnInfo::new(Endpoint::custom("client"), Endpoint::custom("server"));
            let below = std::future::ready(Ok(Conn::new(TokioIo::new(server), info)));
            (
                Box::pin(TlsHandshake::new(below, Arc::clone(secure))),
                client,
            )
        };
        (0..10).map(one).collect()
    }

    fn is_answered(client: &mut DuplexStream) -> bool {
        let mut byte = [0];
        let mut buf = tokio::io::ReadBuf::new(&mut byte);
        let polled = tokio::io::AsyncRead::poll_read(
            Pin::new(client),
            &mut Context::from_waker(Waker::noop()),
            &mut buf,
        );
        polled.is_ready() && !buf.filled().is_empty()
    }

    #[test]
    fn between_two_answers_everything_else_is_polled() {
        for leaves in [false, true] {
            let config = TlsConfig::self_signed(["localhost"]);
            config.load().unwrap();
            let secure = Arc::new(Secure::new(config, &[], 1));
            let mut crowd: Vec<_> = crowd(&secure, leaves)
                .into_iter()
                .map(|(h, c)| (Some(h), Some(c)))
                .collect();
            let mut answered = Vec::new();
            while answered.iter().sum::<usize>() < crowd.len() {
                assert!(
                    answered.len() < 100,
                    "some are never answered: {answered:?}; leaves: {leaves}"
                );
                let mut now = 0;
                for (handshake, client) in &mut crowd {
                    let polled = handshake
                        .as_mut()
                        .map(|h| h.as_mut().poll(&mut Context::from_waker(Waker::noop())));
                    if polled.is_some_and(|polled| polled.is_ready()) {
                        *handshake = None;
                    }
                    if client.as_mut().is_some_and(is_answered) {
                        *client = None;
                        now += 1;
                    }
                }
                assert!(now < 2, "{now} answers in one pass; leaves: {leaves}");
                answered.push(now);
            }
        }
    }
}
