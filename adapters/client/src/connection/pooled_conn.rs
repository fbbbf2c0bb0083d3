//! What the pool keeps of a connection: hyper's sender of requests.
use super::ConnState;
use crate::{
    machine::ConnId,
    pool::lock,
    request_body::{ClientBody, RequestBody},
};
use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

pub(crate) struct PooledConn<B> {
    pub(crate) conn: ConnId,
    pub(crate) conn_state: Arc<ConnState>,
    pub(crate) is_http2: bool,
    sender: Mutex<Sender<B>>,
}

struct Sender<B> {
    http: Http<B>,
    /// HTTP/1.1: what the request on this connection has come to.
    stage: Stage,
}

enum Http<B> {
    One(http1::SendRequest<RequestBody<B>>),
    Two(http2::SendRequest<RequestBody<B>>),
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    /// It is sent, or about to be. hyper may still report that it is ready for another.
    Sent,
    /// The head of its response has come, or it was dropped. From now on, hyper is ready when the
    /// response is over.
    Answered,
}

/// The response to a request. Failures are boxed, because they are seldom, and large.
type Exchange<B> = Result<Response<Incoming>, Box<Failure<B>>>;

/// Why a request has no response.
pub(crate) enum Failure<B> {
    /// The connection was closed before the request was sent.
    Closed(Request<RequestBody<B>>),
    /// hyper's error. It has the request if that was not sent.
    Http(TrySendError<Request<RequestBody<B>>>),
}

impl<B> PooledConn<B> {
    pub(super) fn http1(
        conn: ConnId,
        conn_state: Arc<ConnState>,
        sender: http1::SendRequest<RequestBody<B>>,
    ) -> Self {
        Self::new(conn, conn_state, Http::One(sender))
    }

    pub(super) fn http2(
        conn: ConnId,
        conn_state: Arc<ConnState>,
        sender: http2::SendRequest<RequestBody<B>>,
    ) -> Self {
        Self::new(conn, conn_state, Http::Two(sender))
    }

    fn new(conn: ConnId, conn_state: Arc<ConnState>, http: Http<B>) -> Self {
        Self {
            conn,
            conn_state,
            is_http2: matches!(http, Http::Two(_)),
            sender: Mutex::new(Sender {
                http,
                stage: Stage::Idle,
            }),
        }
    }

    /// Drops the sender. hyper then ends the connection.
    pub(crate) fn close(&self) {
        let http = std::mem::replace(&mut lock(&self.sender).http, Http::Closed);
        drop(http);
    }

    /// HTTP/1.1: the head of the response has come, or nobody waits for it any longer. Returns
    /// whether the response is over, so that the connection can take the next request.
    pub(crate) fn answered(&self) -> bool {
        let mut sender = lock(&self.sender);
        if sender.stage == Stage::Sent {
            sender.stage = Stage::Answered;
        }
        matches!(sender.progress(), Progress::Ended)
    }

    /// What has become of the connection in this poll of it.
    pub(super) fn progress(&self) -> Progress {
        lock(&self.sender).progress()
    }
}

/// What has become of a connection.
pub(super) enum Progress {
    /// HTTP/1.1: the response is over. Reported once.
    Ended,
    /// It was told to close.
    Closing,
    /// Nothing new.
    Pending,
}

impl<B> Sender<B> {
    fn progress(&mut self) -> Progress {
        match &self.http {
            Http::One(http) if self.stage == Stage::Answered && http.is_ready() => {
                self.stage = Stage::Idle;
                Progress::Ended
            }
            Http::One(_) | Http::Two(_) => Progress::Pending,
            Http::Closed => Progress::Closing,
        }
    }
}

impl<B: ClientBody> PooledConn<B> {
    /// Sends a request and waits for the head of its response.
    ///
    /// The request is sent in this call, before the first poll, so that a connection is never held
    /// by a request that is not sent.
    pub(crate) fn send(
        &self,
        request: Request<RequestBody<B>>,
    ) -> impl Future<Output = Exchange<B>> + use<B> {
        self.conn_state.expect_read();
        let mut sender = lock(&self.sender);
        let sender = &mut *sender;
        match &mut sender.http {
            Http::One(http) => {
                debug_assert_eq!(sender.stage, Stage::Idle, "two requests at once");
                sender.stage = Stage::Sent;
                let future = http.try_send_request(request);
                Sending::One { future }
            }
            Http::Two(http) => {
                let future = http.try_send_request(request);
                Sending::Two { future }
            }
            Http::Closed => Sending::Closed {
                request: Some(request),
            },
        }
    }
}

pin_project_lite::pin_project! {
    /// One of two futures of hyper, or a request that was not sent.
    #[project = SendingProject]
    enum Sending<One, Two, B> {
        One { #[pin] future: One },
        Two { #[pin] future: Two },
        Closed { request: Option<Request<RequestBody<B>>> },
    }
}

impl<One, Two, B> Future for Sending<One, Two, B>
where
    One: Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody<B>>>>>,
    Two: Future<Output = One::Output>,
{
    type Output = Exchange<B>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Exchange<B>> {
        let polled = match self.project() {
            SendingProject::One { future } => future.poll(cx),
            SendingProject::Two { future } => future.poll(cx),
            SendingProject::Closed { request } => match request.take() {
                Some(request) => return Poll::Ready(Err(Box::new(Failure::Closed(request)))),
                None => unreachable!("polled after it was ready"),
            },
        };
        polled.map_err(|error| Box::new(Failure::Http(error)))
    }
}
