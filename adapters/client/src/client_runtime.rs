//! Where a client's tasks run, and whether its futures are `Send`.
use crate::{
    Error, MakeConnection, ResponseBody,
    connection::{Attempt, ClientIo, drive},
    pool::Pool,
    request::send,
    request_body::{ClientBody, RequestBody},
};
#[cfg(feature = "tokio")]
use anyport_core::runtime::Tokio;
use anyport_core::{Runtime, runtime::SharedTimer};
use http::{Request, Response};
use hyper::rt::{Executor, bounds::Http2ClientConnExec};
use std::{fmt, future::Future, marker::PhantomData, pin::Pin, sync::Arc};

/// The runtime of a client. It decides whether the client and its futures are `Send`.
///
/// With [`Ambient`], the factory, its futures and the bodies of requests must be `Send`, and the
/// client's futures are. With [`PerWorker<R>`], nothing need be `Send`. There are no other
/// implementations.
pub trait ClientRuntime<F: MakeConnection, B: ClientBody>: Unpin + Sized + 'static {
    /// The boxed future of a request.
    type Future: Future<Output = Result<Response<ResponseBody>, Error>> + 'static;
    #[doc(hidden)]
    type Executor: Http2ClientConnExec<RequestBody<B>, ClientIo<F::Connection>> + Unpin + 'static;
    #[doc(hidden)]
    fn executor() -> Self::Executor;
    #[doc(hidden)]
    fn timer() -> SharedTimer;
    #[doc(hidden)]
    fn send(pool: Arc<Pool<F, B, Self>>, request: Request<B>) -> Self::Future;
    /// Spawns the task of a connection. Without a runtime, it drops the attempt.
    #[doc(hidden)]
    fn spawn(attempt: Attempt<F, B, Self>);
}

/// The ambient tokio, whose tasks move between threads. The client is `Send` and `Sync`.
#[derive(Debug)]
pub struct Ambient(());

#[cfg(feature = "tokio")]
impl<F, B> ClientRuntime<F, B> for Ambient
where
    F: MakeConnection<Future: Send> + Send + Sync,
    B: ClientBody + Send,
{
    type Future = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Error>> + Send>>;
    type Executor = Tokio;

    fn executor() -> Tokio {
        Tokio::current()
    }

    fn timer() -> SharedTimer {
        Tokio::current().timer()
    }

    fn send(pool: Arc<Pool<F, B, Self>>, request: Request<B>) -> Self::Future {
        Box::pin(send(pool, request))
    }

    fn spawn(attempt: Attempt<F, B, Self>) {
        if Tokio::check().is_ok() {
            Tokio::current().execute(drive(attempt));
        }
    }
}

/// One worker of the runtime `R`. The client stays on its thread, as do its connections.
pub struct PerWorker<R>(PhantomData<(R, *const ())>);

impl<F, B, R> ClientRuntime<F, B> for PerWorker<R>
where
    F: MakeConnection,
    B: ClientBody,
    R: Runtime
        + Executor<Pin<Box<dyn Future<Output = ()>>>>
        + Http2ClientConnExec<RequestBody<B>, ClientIo<F::Connection>>,
{
    type Future = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Error>>>>;
    type Executor = R;

    fn executor() -> R {
        R::current()
    }

    fn timer() -> SharedTimer {
        R::current().timer()
    }

    fn send(pool: Arc<Pool<F, B, Self>>, request: Request<B>) -> Self::Future {
        Box::pin(send(pool, request))
    }

    fn spawn(attempt: Attempt<F, B, Self>) {
        let task: Pin<Box<dyn Future<Output = ()>>> = Box::pin(drive(attempt));
        R::current().execute(task);
    }
}

impl<R> fmt::Debug for PerWorker<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PerWorker")
    }
}
