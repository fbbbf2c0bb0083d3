//! A wrapper with a name of its own says how it maps a connection.
use anyport::{Body, Connection, Request, Response, Tcp, serve_with, service_fn};
use anyport::transport::{Intercept, MapConnection};

#[derive(Clone)]
struct Counter;

impl<C: Connection> Intercept<C> for Counter {}

fn main() {
    let app = service_fn(|_: Request<Body>| async { Ok::<_, std::io::Error>(Response::new(Body::empty())) });
    let _ = serve_with(MapConnection::new(Tcp::bind(3000), Counter), app);
}
