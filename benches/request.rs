//! One request over loopback TCP: on a kept-alive connection, and on a new one each time.
//!
//! `cargo bench -p anyport-benches`
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that can't go on should stop"
)]

use anyport::{Body, Handle, Request, Response, Tcp, serve_with, service_fn};
use std::{
    convert::Infallible,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const LAST: &[u8] = b"Hello, World!";

fn main() {
    divan::main();
}

async fn hello(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::from("Hello, World!")))
}

fn server() -> (Handle, SocketAddr) {
    let tcp = Tcp::bind("127.0.0.1:0").per_core().with_workers(1);
    let running = serve_with(tcp, service_fn(hello)).start().unwrap();
    let address = running.endpoints()[0].socket_addr().unwrap();
    (running, address)
}

fn exchange(stream: &mut TcpStream) {
    stream.write_all(REQUEST).unwrap();
    let mut answer = [0; 1024];
    let mut filled = 0;
    while !answer[..filled].ends_with(LAST) {
        match stream.read(&mut answer[filled..]).unwrap() {
            0 => panic!("the server closed the connection"),
            n => filled += n,
        }
    }
}

#[divan::bench]
fn kept_alive(bencher: divan::Bencher) {
    let (running, address) = server();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    bencher.bench_local(|| exchange(&mut stream));
    drop(running.abort());
}

#[divan::bench]
fn new_connection(bencher: divan::Bencher) {
    let (running, address) = server();
    bencher.bench_local(|| exchange(&mut TcpStream::connect(address).unwrap()));
    drop(running.abort());
}
