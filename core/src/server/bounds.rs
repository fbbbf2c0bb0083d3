//! The bounds that join a transport, a runtime and an app. The compiler reports each as one bound,
//! at the user's call.
//!
//! Their order, and `do_not_recommend` on some of them, decide what the compiler reports. The
//! package in tests/compile_fail tests that.
use super::{ConnectionOf, served_transport::ServedTransport};
use crate::{
    app::{App, HttpService, RequestService},
    engine::{AcceptLoop, Accepted, ConnTask, Protocol},
    http::{Http, HttpConnection},
    runtime::{Launch, Runtime},
    transport::{Listener, Transport},
};
use http_body::Body as HttpBody;
use hyper::rt::Executor;
use std::{
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

/// An app that can be served over a transport: the bound of [`serve_with`](crate::serve_with). It
/// holds if the transport's runtime implements [`RuntimeFor`] it.
// It is a trait of the app, so that the compiler's message points at the app.
pub trait AppOver<T, R = <T as Transport>::Runtime>: App {
    #[doc(hidden)]
    fn into_served(transport: T, app: Self) -> ServedTransport;
}

impl<A, T, R> AppOver<T, R> for A
where
    A: App,
    R: RuntimeFor<T, A>,
{
    fn into_served(transport: T, app: A) -> ServedTransport {
        R::serve_http(transport, app)
    }
}

/// A runtime that can serve an app over a transport.
///
/// It holds for every [`App`] whose service and futures the runtime can run. On a runtime that
/// moves tasks between threads, such as [`Tokio`](crate::runtime::Tokio), they must be `Send`.
pub trait RuntimeFor<T, A>: Runtime {
    #[doc(hidden)]
    fn serve_http(transport: T, app: A) -> ServedTransport;
}

impl<R, T, A> RuntimeFor<T, A> for R
where
    R: Runtime,
    A: App,
    DataOf<A>: AppBounds<R, T, A>,
{
    fn serve_http(transport: T, app: A) -> ServedTransport {
        DataOf::<A>::serve_app(transport, app)
    }
}

type FutOf<A> = <<A as App>::Service as RequestService>::Fut;
type BodyOf<A> = <<A as App>::Service as HttpService>::ResBody;
type DataOf<A> = <BodyOf<A> as HttpBody>::Data;

/// The bounds that are checked after `A` is known to be an app, because only then is the type of
/// its response data known.
///
/// The compiler stops at the first failed bound. So it reports what the app lacks, and not the
/// errors that follow from it in types made of the app.
// For a future, the compiler's own message is the best one: it names the value and the `.await`
// that make it `!Send`. So that bound has no trait with a message. The compiler shows the line of
// the bound in `serve_with` and similar functions. A comment on that line says what to do.
pub trait AppBounds<R, T, A> {
    #[doc(hidden)]
    fn serve_app(transport: T, app: A) -> ServedTransport;
}

impl<D, R, T, A> AppBounds<R, T, A> for D
where
    A: App<Service: SpawnOn<R>>,
    BodyOf<A>: SpawnOn<R>,
    R: Executor<TaskWith<FutOf<A>>> + HttpRuntime<T, A>,
{
    fn serve_app(transport: T, app: A) -> ServedTransport {
        R::serve_app(transport, app)
    }
}

/// A runtime that can run the HTTP connections of an app. On any sound runtime it follows from the
/// other bounds of [`AppBounds`], so its message is rarely shown.
#[diagnostic::on_unimplemented(
    message = "this app cannot be served on the runtime `{Self}`",
    label = "the runtime cannot run the connections of this app",
    note = "the runtime's `Executor` and `Launch` require more of a future than `Send`"
)]
pub trait HttpRuntime<T, A>: Runtime {
    #[doc(hidden)]
    fn serve_app(transport: T, app: A) -> ServedTransport;
}

#[diagnostic::do_not_recommend]
impl<R, T, A> HttpRuntime<T, A> for R
where
    T: Transport<Runtime = R>,
    A: App,
    ConnectionOf<T>: HttpConnection<A, R>,
    R: ProtocolRuntime<T::Listener, Http<A, R>>,
{
    fn serve_app(transport: T, app: A) -> ServedTransport {
        ConnectionOf::<T>::prepare();
        ServedTransport::new(transport, true, move |worker, runtime| {
            Http::new(app.clone(), worker, runtime)
        })
    }
}

/// A value of an app that the runtime `R` can keep in a task. On a runtime that moves tasks between
/// threads, it must be `Send`.
#[diagnostic::on_unimplemented(
    message = "this app cannot be served on the runtime `{R}`, because it is not `Send`",
    label = "`{Self}` is not `Send`, but this transport's runtime moves tasks between threads",
    note = "either make the app `Send`: an `Arc` for each `Rc`, an atomic or a `Mutex` for each `Cell` and `RefCell`",
    note = "or make an app for each worker, which may be `!Send`, on threads of their own: `serve_with(Tcp::bind(3000).per_core(), per_worker(|worker| app))`"
)]
pub trait SpawnOn<R> {}

#[diagnostic::do_not_recommend]
impl<X, R: Executor<TaskWith<X>>> SpawnOn<R> for X {}

/// A future that is never made. A runtime that can run it can run any task that contains an `X`.
#[derive(Debug)]
pub struct TaskWith<X>(PhantomData<X>);

impl<X> Future for TaskWith<X> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// A protocol that can be served over a transport: the bound of
/// [`serve_protocol_with`](crate::protocol::serve_protocol_with). It holds if the transport's
/// runtime is a [`ProtocolRuntime`] for it.
// It is a trait of the protocol, so that the compiler's message points at the handler.
pub trait ProtocolOver<T, R = <T as Transport>::Runtime>: Sized {
    #[doc(hidden)]
    fn into_served(transport: T, protocol: Self) -> ServedTransport;
}

impl<P, T, R> ProtocolOver<T, R> for P
where
    T: Transport<Runtime = R>,
    P: Protocol<Accepted<ConnectionOf<T>>> + Send,
    P::Task: TaskBounds<R, T, P>,
{
    fn into_served(transport: T, protocol: P) -> ServedTransport {
        P::Task::run(transport, protocol)
    }
}

/// The bounds that are checked after the type of a protocol's task is known: see [`AppBounds`].
pub trait TaskBounds<R, T, P> {
    #[doc(hidden)]
    fn run(transport: T, protocol: P) -> ServedTransport;
}

impl<K, R, T, P> TaskBounds<R, T, P> for K
where
    T: Transport<Runtime = R>,
    P: Protocol<Accepted<ConnectionOf<T>>> + Send,
    R: Executor<TaskWith<K>> + ProtocolRuntime<T::Listener, P>,
{
    fn run(transport: T, protocol: P) -> ServedTransport {
        R::serve_protocol(transport, protocol)
    }
}

/// A runtime that can run a listener with a protocol: it can spawn the task of a connection and
/// launch an accept loop.
#[diagnostic::on_unimplemented(
    message = "this handler cannot be run on `{Self}`",
    label = "the handler's future, or the transport's connections, are not `Send`, but this transport's runtime moves tasks between threads",
    note = "either make the future `Send` (an `Arc` for each `Rc`, and no guard of a lock held over an `.await`)",
    note = "or give each worker a thread of its own, with a transport like `Tcp::bind(addr).per_core()`"
)]
pub trait ProtocolRuntime<L: Listener, P: Protocol<Accepted<L::Connection>>>:
    Launch<AcceptLoop<L, P, Self>> + Executor<ConnTask<L::Handshake, P, L::Connection>>
{
    #[doc(hidden)]
    fn serve_protocol<T>(transport: T, protocol: P) -> ServedTransport
    where
        T: Transport<Runtime = Self, Listener = L>,
        P: Send;
}

#[diagnostic::do_not_recommend]
impl<R, L, P> ProtocolRuntime<L, P> for R
where
    R: Launch<AcceptLoop<L, P, R>> + Executor<ConnTask<L::Handshake, P, L::Connection>>,
    L: Listener,
    P: Protocol<Accepted<L::Connection>>,
{
    fn serve_protocol<T>(transport: T, protocol: P) -> ServedTransport
    where
        T: Transport<Runtime = Self, Listener = L>,
        P: Send,
    {
        ServedTransport::new(transport, false, move |_, _| protocol.clone())
    }
}
