//! The bounds that join a transport, a runtime and what's served; each is reported as one, where the user wrote the call.
use super::part::Part;
use crate::{
    App, Listener, Protocol, Runtime, Transport,
    engine::{AcceptLoop, Accepted, ConnTask},
    http::{Http, SpawnStreams, Streams},
    runtime::Launch,
};
use hyper::rt::Executor;

/// A runtime that can serve an app over a transport.
///
/// Holds for every [`App`] whose service and futures the runtime can run: on a runtime that moves tasks between threads ([`Tokio`](crate::runtime::Tokio)),
/// they must be `Send`.
#[diagnostic::on_unimplemented(
    message = "this app can't be served on `{Self}`",
    label = "the app, or a future or a body of it, is not `Send`, but this transport's runtime moves tasks between threads",
    note = "either make the app `Send` (an `Arc` for each `Rc`, a `Mutex` for each `RefCell`, and no guard of a lock held over an `.await`)",
    note = "or give each worker a thread and an app of its own: `serve_with(Tcp::bind(addr).per_core(), per_worker(|worker| app))`"
)]
pub trait Serves<T: Transport, A>: Runtime {
    #[doc(hidden)]
    fn serve_http(transport: T, app: A) -> Part;
}

#[diagnostic::do_not_recommend]
impl<R, T, A> Serves<T, A> for R
where
    R: Drives<T::Listener, Http<A, R>>,
    T: Transport<Runtime = R>,
    A: App,
    Streams<R>: SpawnStreams<A::Service>,
{
    fn serve_http(transport: T, app: A) -> Part {
        Part::new(transport, true, move |worker, runtime| {
            Http::new(app.clone(), worker, runtime)
        })
    }
}

/// A runtime that can drive a listener and a protocol: it can spawn the task of a connection, and launch an accept loop.
#[diagnostic::on_unimplemented(
    message = "this handler can't be run on `{Self}`",
    label = "the handler's future, or the transport's connections, are not `Send`, but this transport's runtime moves tasks between threads",
    note = "either make the future `Send` (an `Arc` for each `Rc`, and no guard of a lock held over an `.await`)",
    note = "or give each worker a thread of its own, with a transport like `Tcp::bind(addr).per_core()`"
)]
pub trait Drives<L: Listener, P: Protocol<Accepted<L::Connection>>>:
    Launch<AcceptLoop<L, P, Self>> + Executor<ConnTask<L::Handshake, P, L::Connection>>
{
    #[doc(hidden)]
    fn serve_protocol<T>(transport: T, protocol: P) -> Part
    where
        T: Transport<Runtime = Self, Listener = L>,
        P: Send;
}

#[diagnostic::do_not_recommend]
impl<R, L, P> Drives<L, P> for R
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
