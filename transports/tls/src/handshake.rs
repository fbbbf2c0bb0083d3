//! The handshake of one connection: it begins when the one below it has ended.
use crate::{
    TlsConnection,
    hello::{Farewell, Hello, Unwelcome, poll_first},
    secure::{Secure, Slot, Turn},
};
use anyport_core::Connection;
use hyper_util::rt::TokioIo;
use std::{
    fmt,
    future::Future,
    io, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio_rustls::{FallibleAccept, StartHandshake};

pin_project_lite::pin_project! {
    /// The handshake of one connection.
    ///
    /// While the peer is silent there's nothing of it but the connection below. The server's deadline for handshakes holds for all of it.
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
    Queued {
        start: Start<C>,
        turn: Turn,
    },
    Finishing {
        accept: FallibleAccept<TokioIo<C>>,
        slot: Option<Slot>,
    },
    Farewell(Farewell<C>),
    Over,
}

type Start<C> = StartHandshake<TokioIo<C>>;

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
                    let Some(silent) = io else { return Poll::Pending };
                    let first = ready!(poll_first(silent, cx))?;
                    let Some(io) = io.take() else { return Poll::Pending };
                    let talk = match Hello::new(io, &first) {
                        Ok(hello) => Talk::Hello(hello),
                        Err((io, unwelcome)) => Talk::refuse(io, unwelcome),
                    };
                    Step::Speaking { talk: Box::new(talk) }
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

    /// The peer has been sent an alert already, if there's one for it.
    fn failed((error, io): (io::Error, TokioIo<C>)) -> Self {
        Self::refuse(io.into_inner(), error.into())
    }

    fn poll(&mut self, secure: &Secure, cx: &mut Context<'_>) -> Poll<io::Result<TlsConnection<C>>> {
        loop {
            match self {
                Self::Hello(hello) => {
                    let heard = ready!(hello.poll(cx));
                    let Self::Hello(hello) = mem::replace(self, Self::Over) else {
                        continue;
                    };
                    *self = match heard {
                        Ok(accepted) => Self::Queued {
                            start: StartHandshake::from_parts(accepted, TokioIo::new(hello.into_inner())),
                            turn: secure.turn(),
                        },
                        Err(unwelcome) => Self::refuse(hello.into_inner(), unwelcome),
                    };
                }
                Self::Queued { turn, .. } => {
                    let slot = ready!(turn.as_mut().poll(cx)).map_err(io::Error::other)?;
                    let Self::Queued { start, .. } = mem::replace(self, Self::Over) else {
                        continue;
                    };
                    // Here's where the time goes.
                    let mut accept = start.into_stream(secure.config()?).into_fallible();
                    match Pin::new(&mut accept).poll(cx) {
                        Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(TlsConnection::new(stream))),
                        Poll::Ready(Err(failed)) => *self = Self::failed(failed),
                        Poll::Pending => {
                            cx.waker().wake_by_ref();
                            *self = Self::Finishing {
                                accept,
                                slot: Some(slot),
                            };
                            return Poll::Pending;
                        }
                    }
                }
                Self::Finishing { accept, slot } => {
                    // All that was ready has been polled meanwhile.
                    *slot = None;
                    match ready!(Pin::new(accept).poll(cx)) {
                        Ok(stream) => return Poll::Ready(Ok(TlsConnection::new(stream))),
                        Err(failed) => *self = Self::failed(failed),
                    }
                }
                Self::Farewell(farewell) => return farewell.poll(cx).map(Err),
                Self::Over => return Poll::Pending,
            }
        }
    }
}

impl<H, C> fmt::Debug for TlsHandshake<H, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsHandshake").finish_non_exhaustive()
    }
}
