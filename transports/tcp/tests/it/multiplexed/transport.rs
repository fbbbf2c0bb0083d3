//! A transport whose connections are not byte streams: each carries concurrent requests, as QUIC's
//! do.
use anyport_core::{
    App, ConnInfo, Listener, Result, Transport,
    bounds::{Call, HttpService, Reply},
    protocol::{Accepted, ConnContext, Http, HttpConnection, Requests, ResponseTask},
    runtime::{Tokio, Worker},
    transport::{Close, Connected, Connecting, Endpoint, Permit},
};
use bytes::{Buf, Bytes};
use http::{Request, Response, response::Parts};
use http_body::Body as _;
use http_body_util::Full;
use hyper::rt::Executor;
use std::{
    future::{Future, Ready},
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};
use tokio::sync::{
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    oneshot,
};

/// A request, and the channel for its response.
pub(crate) struct Stream {
    request: Request<Full<Bytes>>,
    response: oneshot::Sender<Response<Bytes>>,
}

/// The client's end of a connection.
pub(crate) struct Client(UnboundedSender<Stream>);

impl Client {
    /// Sends a request. `Err`: the connection or the stream ended without a response.
    pub(crate) fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = std::result::Result<Response<Bytes>, oneshot::error::RecvError>> + use<>
    {
        let (response, received) = oneshot::channel();
        let _ = self.0.send(Stream { request, response });
        received
    }

    /// Ready when the server has dropped the connection.
    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }
}

/// Connects clients to the transport.
#[derive(Clone)]
pub(crate) struct Dialer(UnboundedSender<UnboundedReceiver<Stream>>);

impl Dialer {
    pub(crate) fn connect(&self) -> Client {
        let (client, server) = unbounded_channel();
        self.0.send(server).unwrap();
        Client(client)
    }
}

type Queue = UnboundedReceiver<UnboundedReceiver<Stream>>;

#[derive(Clone)]
pub(crate) struct Multiplexed(Arc<Mutex<Option<Queue>>>);

impl Multiplexed {
    pub(crate) fn new() -> (Self, Dialer) {
        let (dialer, queue) = unbounded_channel();
        (Self(Arc::new(Mutex::new(Some(queue)))), Dialer(dialer))
    }
}

impl Transport for Multiplexed {
    type Runtime = Tokio;
    type Socket = Queue;
    type Listener = MultiplexedListener;

    fn open(&self, _: usize) -> Result<Vec<Queue>> {
        Ok(self.0.lock().unwrap().take().into_iter().collect())
    }

    fn endpoint(&self, _: &Queue) -> io::Result<Endpoint> {
        Ok(Endpoint::custom("multiplexed"))
    }

    fn listen(&self, queue: Queue, worker: &Worker) -> io::Result<MultiplexedListener> {
        Ok(MultiplexedListener {
            queue,
            max_streams: worker.limits().h2_streams,
        })
    }
}

pub(crate) struct MultiplexedListener {
    queue: Queue,
    max_streams: u32,
}

impl Listener for MultiplexedListener {
    type Connection = MultiplexedConnection;
    type Handshake = Ready<io::Result<MultiplexedConnection>>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        match ready!(self.queue.poll_recv(cx)) {
            Some(streams) => {
                let info =
                    ConnInfo::new(Endpoint::custom("client"), Endpoint::custom("multiplexed"));
                Poll::Ready(Ok(Connecting::ready(MultiplexedConnection {
                    info,
                    streams,
                    max_streams: self.max_streams,
                })))
            }
            None => Poll::Pending,
        }
    }
}

pub(crate) struct MultiplexedConnection {
    info: ConnInfo,
    streams: UnboundedReceiver<Stream>,
    max_streams: u32,
}

impl Connected for MultiplexedConnection {
    fn conn_info(&self) -> &ConnInfo {
        &self.info
    }

    fn close(mut self: Pin<&mut Self>, _: Close, permit: Permit) {
        self.streams.close();
        drop(permit);
    }
}

impl<A, R> HttpConnection<A, R> for MultiplexedConnection
where
    A: App,
    R: Executor<ResponseTask<Exchange<A::Service>>> + Clone + Unpin + 'static,
{
    type Task = MultiplexedTask<A::Service, R>;

    fn serve_http(
        http: Http<A, R>,
        connection: Accepted<Self>,
        context: ConnContext,
    ) -> Self::Task {
        MultiplexedTask {
            requests: http.requests(&connection, &context),
            connection,
            context,
            started: 0,
        }
    }
}

/// Serves the requests of one connection, until its peer or a drain ends it.
pub(crate) struct MultiplexedTask<S, R> {
    requests: Requests<S, R>,
    connection: Accepted<MultiplexedConnection>,
    context: ConnContext,
    started: u32,
}

// No field is pinned.
impl<S, R> Unpin for MultiplexedTask<S, R> {}

impl<S, R> Future for MultiplexedTask<S, R>
where
    S: HttpService,
    R: Executor<ResponseTask<Exchange<S>>>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        while !me.context.closing() && me.started < me.connection.io().max_streams {
            let Poll::Ready(stream) = me.connection.io_mut().streams.poll_recv(cx) else {
                break;
            };
            let Some(Stream { request, response }) = stream else {
                return Poll::Ready(());
            };
            me.started += 1;
            me.requests.spawn(Exchange {
                state: ExchangeState::Calling(Box::pin(me.requests.call(request))),
                response: Some(response),
            });
        }
        match me.context.closing() && !me.context.has_requests() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

/// One request, from the call of the app to the last byte of its response.
pub(crate) struct Exchange<S: HttpService> {
    state: ExchangeState<S>,
    response: Option<oneshot::Sender<Response<Bytes>>>,
}

enum ExchangeState<S: HttpService> {
    Calling(Pin<Box<Call<S>>>),
    Sending(Option<Parts>, Pin<Box<Reply<S::ResBody>>>, Vec<u8>),
}

// The futures are boxed.
impl<S: HttpService> Unpin for Exchange<S> {}

impl<S: HttpService> Future for Exchange<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        loop {
            match &mut me.state {
                ExchangeState::Calling(call) => {
                    let Ok(response) = ready!(call.as_mut().poll(cx));
                    let (head, body) = response.into_parts();
                    me.state = ExchangeState::Sending(Some(head), Box::pin(body), Vec::new());
                }
                ExchangeState::Sending(head, body, bytes) => {
                    match ready!(body.as_mut().poll_frame(cx)) {
                        Some(Ok(frame)) => {
                            if let Ok(mut data) = frame.into_data() {
                                bytes.extend(data.copy_to_bytes(data.remaining()));
                            }
                        }
                        // The stream is reset, and the peer gets no response.
                        Some(Err(_)) => return Poll::Ready(()),
                        None => {
                            let whole = Bytes::from(std::mem::take(bytes));
                            if let (Some(head), Some(response)) = (head.take(), me.response.take())
                            {
                                let _ = response.send(Response::from_parts(head, whole));
                            }
                            return Poll::Ready(());
                        }
                    }
                }
            }
        }
    }
}
