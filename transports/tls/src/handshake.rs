//! The handshake of a connection. It begins after the handshake of the inner transport.
use crate::{
    TlsConnection,
    client_hello::{ClientHelloReader, poll_first_bytes},
    config::has_expired,
    counting_io::CountingIo,
    plaintext_http::{self, PlaintextHttp},
    reject::{Reject, Rejection},
    worker_tls::{AcquireSlot, CryptoSlot, WorkerTls},
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
    /// Until the peer sends its first byte, only the connection of the inner transport exists. The
    /// server's handshake timeout covers all stages.
    pub struct TlsHandshake<H, C: Connection> {
        tls: Arc<WorkerTls>,
        #[pin]
        stage: Stage<H, C>,
    }
}

pin_project_lite::pin_project! {
    #[project = StageProj]
    enum Stage<H, C: Connection> {
        Transport {
            #[pin]
            handshake: H,
        },
        FirstBytes {
            io: Option<C>,
        },
        // Boxed: the state is large, and exists only briefly.
        Tls {
            state: Box<HandshakeState<C>>,
        },
    }
}

/// The stages after the first byte.
enum HandshakeState<C: Connection> {
    ClientHello(ClientHelloReader<C>),
    PlaintextHttp(PlaintextHttp<C>),
    /// The next operation may compute for a long time, so it waits for a slot.
    Queued {
        operation: Operation<C>,
        slot: AcquireSlot,
    },
    /// The last operation computed for a long time, so all other ready tasks run first.
    Yielding {
        outcome: Outcome<C>,
        slot: CryptoSlot,
    },
    WaitingForPeer(FallibleAccept<TokioIo<CountingIo<C>>>),
    Rejecting(Reject<C>),
    Done,
}

enum Operation<C: Connection> {
    Start(StartHandshake<TokioIo<CountingIo<C>>>),
    Continue(FallibleAccept<TokioIo<CountingIo<C>>>),
}

/// The result of an operation.
#[expect(
    clippy::large_enum_variant,
    reason = "it is boxed already, with the rest of its handshake"
)]
enum Outcome<C: Connection> {
    Wait(FallibleAccept<TokioIo<CountingIo<C>>>),
    Serve(TlsConnection<C>),
    Reject(C, io::Error),
}

/// An operation that takes longer has computed a signature, a key exchange or the verification of a
/// client's certificate. Other tasks run before the next such operation.
const YIELD_AFTER: Duration = Duration::from_micros(20);

impl<H, C: Connection> TlsHandshake<H, C> {
    pub(crate) fn new(handshake: H, tls: Arc<WorkerTls>) -> Self {
        Self {
            tls,
            stage: Stage::Transport { handshake },
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
            let next = match me.stage.as_mut().project() {
                StageProj::Transport { handshake } => Stage::FirstBytes {
                    io: Some(ready!(handshake.poll(cx))?),
                },
                StageProj::FirstBytes { io } => {
                    let Some(connection) = io else {
                        return Poll::Pending;
                    };
                    let first = ready!(poll_first_bytes(connection, cx))?;
                    let Some(io) = io.take() else {
                        return Poll::Pending;
                    };
                    let state = match me.tls.serves_http() && plaintext_http::is_http(&first) {
                        true if me.tls.redirects() => {
                            HandshakeState::PlaintextHttp(PlaintextHttp::new(io, &first))
                        }
                        true => HandshakeState::reject(io, plaintext_http::bad_request()),
                        false => match ClientHelloReader::new(io, &first) {
                            Ok(hello) => HandshakeState::ClientHello(hello),
                            Err((io, rejection)) => HandshakeState::reject(io, rejection),
                        },
                    };
                    Stage::Tls {
                        state: Box::new(state),
                    }
                }
                StageProj::Tls { state } => return state.poll(me.tls, cx),
            };
            me.stage.set(next);
        }
    }
}

impl<C: Connection> HandshakeState<C> {
    fn reject(io: C, rejection: Rejection) -> Self {
        Self::Rejecting(Reject::new(io, rejection))
    }

    fn queue(operation: Operation<C>, tls: &WorkerTls) -> Self {
        let slot = tls.acquire_crypto_slot();
        Self::Queued { operation, slot }
    }

    fn poll(
        &mut self,
        tls: &WorkerTls,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<TlsConnection<C>>> {
        loop {
            let received = match self {
                Self::ClientHello(hello) => Some(ready!(hello.poll(cx))),
                Self::PlaintextHttp(plain) => Some(Err(ready!(plain.poll(cx)))),
                Self::Rejecting(reject) => return reject.poll(cx).map(Err),
                _ => None,
            };
            let slot = match self {
                Self::Queued { slot, .. } => {
                    Some(ready!(slot.as_mut().poll(cx)).map_err(io::Error::other)?)
                }
                _ => None,
            };
            let outcome = match (mem::replace(self, Self::Done), received, slot) {
                (Self::ClientHello(hello), Some(Ok(accepted)), _) => {
                    let io = TokioIo::new(CountingIo::new(hello.into_inner()));
                    *self = Self::queue(
                        Operation::Start(StartHandshake::from_parts(accepted, io)),
                        tls,
                    );
                    continue;
                }
                (Self::ClientHello(hello), Some(Err(rejection)), _) => {
                    *self = Self::reject(hello.into_inner(), rejection);
                    continue;
                }
                (Self::PlaintextHttp(plain), Some(Err(rejection)), _) => {
                    *self = Self::reject(plain.into_inner(), rejection);
                    continue;
                }
                (Self::Queued { operation, .. }, _, Some(slot)) => {
                    let started = Instant::now();
                    let outcome = operation.poll(tls, cx)?;
                    if started.elapsed() >= YIELD_AFTER {
                        cx.waker().wake_by_ref();
                        *self = Self::Yielding { outcome, slot };
                        return Poll::Pending;
                    }
                    outcome
                }
                (Self::Yielding { outcome, slot }, ..) => {
                    // All ready tasks have been polled since.
                    drop(slot);
                    if let Outcome::Wait(accept) = outcome {
                        *self = Self::queue(Operation::Continue(accept), tls);
                        continue;
                    }
                    outcome
                }
                (Self::WaitingForPeer(accept), ..) => {
                    *self = Self::queue(Operation::Continue(accept), tls);
                    continue;
                }
                _ => return Poll::Pending,
            };
            match outcome {
                Outcome::Wait(accept) => {
                    *self = Self::WaitingForPeer(accept);
                    return Poll::Pending;
                }
                Outcome::Serve(connection) => return Poll::Ready(Ok(connection)),
                Outcome::Reject(io, error) => *self = Self::reject(io, error.into()),
            }
        }
    }
}

impl<C: Connection> Operation<C> {
    /// Does the expensive work: key exchange, signature and verification.
    fn poll(self, tls: &WorkerTls, cx: &mut Context<'_>) -> io::Result<Outcome<C>> {
        let mut accept = match self {
            Self::Start(start) => start.into_stream(tls.config()?).into_fallible(),
            Self::Continue(accept) => accept,
        };
        Ok(match Pin::new(&mut accept).poll(cx) {
            Poll::Pending => Outcome::Wait(accept),
            // rustls has sent the peer an alert, if there is one for this error.
            Poll::Ready(Err((error, io))) => Outcome::Reject(io.into_inner().io, error),
            Poll::Ready(Ok(stream)) if resumed_with_expired_certificate(stream.get_ref().1) => {
                let message = "the client's certificate has expired since its session began";
                let (io, _) = stream.into_inner();
                Outcome::Reject(
                    io.into_inner().io,
                    io::Error::new(io::ErrorKind::InvalidData, message),
                )
            }
            Poll::Ready(Ok(stream)) => Outcome::Serve(TlsConnection::new(stream)),
        })
    }
}

/// Whether the session was resumed although the client's certificate has expired since. rustls
/// verifies the certificate only when a session begins.
fn resumed_with_expired_certificate(session: &ServerConnection) -> bool {
    session.handshake_kind() == Some(HandshakeKind::Resumed)
        && session
            .peer_certificates()
            .and_then(<[_]>::first)
            .is_some_and(|certificate| has_expired(certificate))
}

impl<H, C: Connection> fmt::Debug for TlsHandshake<H, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsHandshake").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(feature = "self-signed")]
mod tests {
    use super::*;
    use crate::TlsConfig;
    use anyport_core::{
        ConnInfo,
        transport::{Conn, Endpoint},
    };
    use rustls::{ClientConfig, ClientConnection, RootCertStore, pki_types::ServerName};
    use std::task::Waker;
    use tokio::io::{AsyncWrite, DuplexStream, duplex};

    type Io = Conn<TokioIo<DuplexStream>>;
    type Handshake = TlsHandshake<std::future::Ready<io::Result<Io>>, Io>;

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

    /// Clients that have sent a ClientHello. With `disconnects` they have also closed their side.
    fn clients(
        tls: &Arc<WorkerTls>,
        disconnects: bool,
    ) -> Vec<(Pin<Box<Handshake>>, DuplexStream)> {
        let mut cx = Context::from_waker(Waker::noop());
        let connect = |_| {
            let (server, mut client) = duplex(64 * 1024);
            let client_hello = client_hello();
            assert!(
                Pin::new(&mut client)
                    .poll_write(&mut cx, &client_hello)
                    .is_ready()
            );
            if disconnects {
                assert!(Pin::new(&mut client).poll_shutdown(&mut cx).is_ready());
            }
            let info = ConnInfo::new(Endpoint::custom("client"), Endpoint::custom("server"));
            let inner = std::future::ready(Ok(Conn::new(TokioIo::new(server), info)));
            (Box::pin(TlsHandshake::new(inner, Arc::clone(tls))), client)
        };
        (0..10).map(connect).collect()
    }

    fn has_response(client: &mut DuplexStream) -> bool {
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
    fn other_tasks_run_between_two_handshake_computations() {
        for disconnects in [false, true] {
            let config = TlsConfig::self_signed(["localhost"]);
            config.load().unwrap();
            let tls = Arc::new(WorkerTls::new(config, &[], 1));
            let mut clients: Vec<_> = clients(&tls, disconnects)
                .into_iter()
                .map(|(h, c)| (Some(h), Some(c)))
                .collect();
            let mut responses = Vec::new();
            while responses.iter().sum::<usize>() < clients.len() {
                assert!(
                    responses.len() < 100,
                    "some clients never get a response: {responses:?}; disconnects: {disconnects}"
                );
                let mut now = 0;
                for (handshake, client) in &mut clients {
                    let polled = handshake
                        .as_mut()
                        .map(|h| h.as_mut().poll(&mut Context::from_waker(Waker::noop())));
                    if polled.is_some_and(|polled| polled.is_ready()) {
                        *handshake = None;
                    }
                    if client.as_mut().is_some_and(has_response) {
                        *client = None;
                        now += 1;
                    }
                }
                assert!(
                    now < 2,
                    "{now} responses in one pass; disconnects: {disconnects}"
                );
                responses.push(now);
            }
        }
    }
}
