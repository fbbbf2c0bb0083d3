//! The size of a connection's task: it's what most connections of a busy server have, and all that
//! they have, since most of them are idle.
use anyport_core::{
    Accepted, Body, BoxError, Listener, Protocol,
    engine::ConnTask,
    http::Http,
    runtime::{Tokio, TokioPerCore},
};
use anyport_unix::{UnixConnection, UnixListener};
use http::{Request, Response};
use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};
use tower::{Service, service_fn};

/// With what tokio adds to it, 256 bytes: a size that allocators have.
const SLOT: usize = 160;
/// What it may have with any app that's shared by a few pointers.
const BUDGET: usize = 384;

/// An app of so many pointers; axum's router is one.
#[derive(Clone)]
struct Pointers<const N: usize>([Arc<()>; N]);

impl<const N: usize> Pointers<N> {
    fn new() -> Self {
        Self(std::array::from_fn(|_| Arc::default()))
    }
}

impl<const N: usize> Service<Request<Body>> for Pointers<N> {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Ready<Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        ready(Ok(Response::new(Body::empty())))
    }
}

type TaskOf<P> = ConnTask<<UnixListener as Listener>::Handshake, P, UnixConnection>;

/// The size of a connection's task with such an app, on either kind of tokio.
fn sizes<A>(_: &A) -> [usize; 2]
where
    A: anyport_core::App,
    Http<A, Tokio>: Protocol<Accepted<UnixConnection>>,
    Http<A, TokioPerCore>: Protocol<Accepted<UnixConnection>>,
{
    [
        size_of::<TaskOf<Http<A, Tokio>>>(),
        size_of::<TaskOf<Http<A, TokioPerCore>>>(),
    ]
}

fn assert_sizes(app: &str, sizes: [usize; 2], limit: usize) {
    println!("{app}: {sizes:?} bytes");
    for size in sizes {
        assert!(size <= limit, "{app}: {size} bytes are more than {limit}");
    }
}

#[test]
fn with_a_function_a_task_fits_its_slot() {
    let app = service_fn(|_: Request<Body>| async {
        Ok::<_, BoxError>(Response::new(Body::from("Hello")))
    });
    assert_sizes("a function", sizes(&app), SLOT);
}

#[test]
fn with_a_router_a_task_fits_its_slot() {
    assert_sizes("a pointer", sizes(&Pointers::<1>::new()), SLOT);
}

/// The app is in it twice: as it was given, and as it's made for the worker.
#[test]
fn with_a_large_app_a_task_keeps_its_budget() {
    assert_sizes("two pointers", sizes(&Pointers::<2>::new()), BUDGET);
    assert_sizes("eight pointers", sizes(&Pointers::<8>::new()), BUDGET);
}
