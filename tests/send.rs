//! Code that must compile: apps of all kinds, and servers that move to another thread.
#![cfg(feature = "tcp")]
use anyport::{
    Body, Handle, Request, Response, Result, Server, Tcp, bounds::Wait, per_worker, serve_raw_with,
    serve_with, service_fn, transport::tcp::listen,
};
use std::{cell::Cell, convert::Infallible, future::ready, rc::Rc};

async fn hello(_: Request<Body>) -> std::result::Result<Response<String>, Infallible> {
    Ok(Response::new("Hello!".into()))
}

fn is_send<T: Send>(_: T) {}

fn serve_rc() -> Server {
    let app = per_worker(|_| {
        let seen = Rc::new(Cell::new(0));
        service_fn(move |_: Request<Body>| {
            let seen = Rc::clone(&seen);
            async move {
                tokio::task::yield_now().await;
                seen.set(seen.get() + 1);
                Ok::<_, Infallible>(Response::new(format!("{} so far", seen.get())))
            }
        })
    });
    serve_with(Tcp::bind("127.0.0.1:0").per_core().with_workers(1), app)
}

fn serve_hello() -> Server {
    serve_with(Tcp::bind("127.0.0.1:0"), service_fn(hello))
}

#[test]
fn a_server_its_handle_and_its_waits_are_send() {
    is_send(serve_hello());
    is_send(serve_rc());
    is_send(async { serve_hello().await });
    is_send(async { serve_rc().await });
    fn both<T: Send + 'static>() {}
    both::<Handle>();
    both::<Wait>();
}

#[tokio::test]
async fn a_server_is_spawned_even_if_its_app_is_not_send() {
    for server in [serve_hello(), serve_rc()] {
        let server = server.with_graceful_shutdown(ready(()));
        let ended = tokio::spawn(async { server.await }).await;
        assert!(matches!(ended, Ok(Ok(_))), "{ended:?}");
    }
}

#[test]
fn functions_closures_layers_and_routers_are_apps() {
    let address = "127.0.0.1:0";
    let closure = service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(Body::from("Hello!")))
    });
    let layered = tower::ServiceBuilder::new()
        .map_response(|response: Response<String>| response.map(Body::from))
        .service_fn(hello);
    let router = axum::Router::new().route("/", axum::routing::get(async || "Hello!"));
    let all: [Server; 5] = [
        listen(address, service_fn(hello)),
        listen(address, closure),
        listen(address, layered),
        listen(address, router.clone()),
        serve_with(Tcp::bind(address).per_core(), router)
            .and(Tcp::bind(address), service_fn(hello))
            .and_raw(Tcp::bind(address), |_| async {}),
    ];
    is_send(all);
    is_send(serve_raw_with(
        Tcp::bind(address).per_core(),
        |connection| async move {
            let here = Rc::new(connection);
            tokio::task::yield_now().await;
            drop(here);
        },
    ));
}

/// Generic code needs only one bound.
#[expect(dead_code, reason = "it has to compile")]
fn serve_anything<T: anyport::Transport, A: anyport::bounds::AppOver<T>>(
    transport: T,
    app: A,
) -> Result<Handle> {
    serve_with(transport, app).start()
}
