//! The bounds that join a transport, a runtime and an app. The compiler reports each as one bound,
//! at the user's call.
//!
//! Their order, and `do_not_recommend` on some of them, decide what the compiler reports. The
//! package in tests/compile_fail tests that.
use super::{ConnectionOf, part::Part};
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

/// An app that can be served over a transport. Holds if the transport's runtime [`Serves`] it.
// On the app, so that the compiler's message points at the app.
pub trait AppOver<T, R = <T as Transport>::Runtime>: App {
    #[doc(hidden)]
    fn serve(transport: T, app: Self) -> Part;
}

impl<A, T, R> AppOver<T, R> for A
where
    A: App,
    R: RuntimeFor<T, A>,
{
    fn serve(transport: T, app: A) -> Part {
        R::serve_http(transport, app)
    }
}

/// A runtime that can serve an app over a transport.
///
/// Holds for every [`App`] whose service and futures the runtime can run: on a runtime that moves
/// tasks between threads ([`Tokio`](crate::runtime::Tokio)), they must be `Send`.
pub trait RuntimeFor<T, A>: Runtime {
    #[doc(hidden)]
    fn serve_http(transport: T, app: A) -> Part;
}

impl<R, T, A> RuntimeFor<T, A> for R
where
    R: Runtime,
    A: App,
    DataOf<A>: AppBounds<R, T, A>,
{
    fn serve_http(transport: T, app: A) -> Part {
        DataOf::<A>::serve_app(transport, app)
    }
}

type FutOf<A> = <<A as App>::Service as RequestService>::Fut;
type BodyOf<A> = <<A as App>::Service as HttpService>::ResBody;
type DataOf<A> = <BodyOf<A> as HttpBody>::Data;

/// What's asked for once it's clear that `A` is an app: the compiler can't know the data of its
/// responses before.
///
/// It stops there, and so says what the app lacks, and not what all the types that are made of the
/// app lack in consequence.
// Of a future, the compiler itself says best why it isn't `Send`: which value, across which
// `.await`. So that bound has no trait of its own with a message; what to do about it is said in
// the comments on the bounds that are shown then, of `serve_with` and its like.
pub trait AppBounds<R, T, A> {
    #[doc(hidden)]
    fn serve_app(transport: T, app: A) -> Part;
}

impl<D, R, T, A> AppBounds<R, T, A> for D
where
    A: App<Service: SpawnOn<R>>,
    BodyOf<A>: SpawnOn<R>,
    R: Executor<TaskWith<FutOf<A>>> + HttpRuntime<T, A>,
{
    fn serve_app(transport: T, app: A) -> Part {
        R::serve_app(transport, app)
    }
}

/// What follows from [`AppBounds`]'s other bounds on any sound runtime, so that its message is
/// hardly ever seen.
#[diagnostic::on_unimplemented(
    message = "this app can't be served on the runtime `{Self}`",
    label = "the runtime can't run the connections of this app",
    note = "the runtime's `Executor` and `Launch` ask more of a future than that it's `Send`"
)]
pub trait HttpRuntime<T, A>: Runtime {
    #[doc(hidden)]
    fn serve_app(transport: T, app: A) -> Part;
}

#[diagnostic::do_not_recommend]
impl<R, T, A> HttpRuntime<T, A> for R
where
    T: Transport<Runtime = R>,
    A: App,
    ConnectionOf<T>: HttpConnection<A, R>,
    R: ProtocolRuntime<T::Listener, Http<A, R>>,
{
    fn serve_app(transport: T, app: A) -> Part {
        ConnectionOf::<T>::prepare();
        Part::new(transport, true, move |worker, runtime| {
            Http::new(app.clone(), worker, runtime)
        })
    }
}

/// A part of an app that a runtime can run: on one that moves tasks between threads, it has to be
/// `Send`.
#[diagnostic::on_unimplemented(
    message = "this app can't be served on the runtime `{R}`, because it's not `Send`",
    label = "`{Self}` is not `Send`, but this transport's runtime moves tasks between threads",
    note = "either make the app `Send`: an `Arc` for each `Rc`, an atomic or a `Mutex` for each `Cell` and `RefCell`",
    note = "or make an app for each worker, which may be `!Send`, on threads of their own: `serve_with(Tcp::bind(3000).per_core(), per_worker(|worker| app))`"
)]
pub trait SpawnOn<R> {}

#[diagnostic::do_not_recommend]
impl<X, R: Executor<TaskWith<X>>> SpawnOn<R> for X {}

/// A future that's never made: a runtime that can run it can run whatever has an `X` in it.
#[derive(Debug)]
pub struct TaskWith<X>(PhantomData<X>);

impl<X> Future for TaskWith<X> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// A protocol that can be spoken over a transport. Holds if the transport's runtime
/// [`ProtocolRuntime`] it.
// On the protocol, so that the compiler's message points at the handler.
pub trait ProtocolOver<T, R = <T as Transport>::Runtime>: Sized {
    #[doc(hidden)]
    fn speak(transport: T, protocol: Self) -> Part;
}

impl<P, T, R> ProtocolOver<T, R> for P
where
    T: Transport<Runtime = R>,
    P: Protocol<Accepted<ConnectionOf<T>>> + Send,
    P::Task: TaskBounds<R, T, P>,
{
    fn speak(transport: T, protocol: P) -> Part {
        P::Task::run(transport, protocol)
    }
}

/// What's asked for once it's clear what a protocol's task is: see [`AppBounds`].
pub trait TaskBounds<R, T, P> {
    #[doc(hidden)]
    fn run(transport: T, protocol: P) -> Part;
}

impl<K, R, T, P> TaskBounds<R, T, P> for K
where
    T: Transport<Runtime = R>,
    P: Protocol<Accepted<ConnectionOf<T>>> + Send,
    R: Executor<TaskWith<K>> + ProtocolRuntime<T::Listener, P>,
{
    fn run(transport: T, protocol: P) -> Part {
        R::serve_protocol(transport, protocol)
    }
}

/// A runtime that can drive a listener and a protocol: it can spawn the task of a connection, and
/// launch an accept loop.
#[diagnostic::on_unimplemented(
    message = "this handler can't be run on `{Self}`",
    label = "the handler's future, or the transport's connections, are not `Send`, but this transport's runtime moves tasks between threads",
    note = "either make the future `Send` (an `Arc` for each `Rc`, and no guard of a lock held over an `.await`)",
    note = "or give each worker a thread of its own, with a transport like `Tcp::bind(addr).per_core()`"
)]
pub trait ProtocolRuntime<L: Listener, P: Protocol<Accepted<L::Connection>>>:
    Launch<AcceptLoop<L, P, Self>> + Executor<ConnTask<L::Handshake, P, L::Connection>>
{
    #[doc(hidden)]
    fn serve_protocol<T>(transport: T, protocol: P) -> Part
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
    fn serve_protocol<T>(transport: T, protocol: P) -> Part
    where
        T: Transport<Runtime = Self, Listener = L>,
        P: Send,
    {
        Part::new(transport, false, move |_, _| protocol.clone())
    }
}
