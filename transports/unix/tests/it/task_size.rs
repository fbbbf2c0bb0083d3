//! The size of a connection's task. Most connections of a busy server are idle, and have nothing
//! but their task.
use anyport_core::{
    Body, Listener, Protocol,
    bounds::ConnTask,
    error::BoxError,
    protocol::{Accepted, Http},
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

/// tokio adds its own fields: together they take 256 bytes, a size class of allocators.
const SLOT_BYTES: usize = 160;
/// The limit for any app that consists of a few pointers.
const BUDGET_BYTES: usize = 384;

/// An app of `N` pointers. axum's router has one.
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

/// The size of a connection's task with this app, on either kind of tokio.
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
fn task_with_a_function_fits_its_slot() {
    let app = service_fn(|_: Request<Body>| async {
        Ok::<_, BoxError>(Response::new(Body::from("Hello")))
    });
    assert_sizes("a function", sizes(&app), SLOT_BYTES);
}

#[test]
fn task_with_a_router_fits_its_slot() {
    assert_sizes("a pointer", sizes(&Pointers::<1>::new()), SLOT_BYTES);
}

/// The task contains the app twice: the app itself, and the service that it makes for the worker.
#[test]
fn task_with_a_large_app_stays_in_its_budget() {
    assert_sizes("two pointers", sizes(&Pointers::<2>::new()), BUDGET_BYTES);
    assert_sizes("eight pointers", sizes(&Pointers::<8>::new()), BUDGET_BYTES);
}
