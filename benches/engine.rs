//! The engine alone: requests over pipes in memory, on one thread, without a kernel between client
//! and server.
//!
//! `cargo bench -p anyport-benches --bench engine`
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that can't go on should stop"
)]

use anyport::{
    Body, Handle, HttpOptions, Memory, Request, Response, serve_with, service_fn,
    transport::memory::{Connector, MemoryStream},
};
use divan::counter::ItemsCount;
use std::{convert::Infallible, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::{Builder, Runtime},
};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const BODY: &[u8] = b"Hello, World!";
const BURST: usize = 16;

fn main() {
    divan::main();
}

async fn hello(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::from("Hello, World!")))
}

/// A server, and the thread's runtime that both it and the clients run on.
struct Scene {
    runtime: Runtime,
    connector: Connector,
    running: Handle,
}

impl Scene {
    fn new() -> Self {
        Self::with(HttpOptions::default())
    }

    fn with(http: HttpOptions) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let memory = Memory::new();
        let connector = memory.connector();
        let running = runtime
            .block_on(async { serve_with(memory, service_fn(hello)).http(http).start() })
            .unwrap();
        Self {
            runtime,
            connector,
            running,
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.runtime.block_on(self.running.abort());
    }
}

/// Reads so many responses, all of which have the same body.
async fn read(stream: &mut MemoryStream, responses: usize) {
    let mut answer = [0; 4096];
    let (mut filled, mut length) = (0, None);
    while length.is_none_or(|length| filled < responses * length) {
        match stream.read(&mut answer[filled..]).await.unwrap() {
            0 => panic!("the server closed the connection"),
            n => filled += n,
        }
        if length.is_none() {
            let body = answer[..filled]
                .windows(BODY.len())
                .position(|window| window == BODY);
            length = body.map(|at| at + BODY.len());
        }
    }
}

/// One request on a connection that's kept alive.
#[divan::bench(sample_size = 100)]
fn kept_alive(bencher: divan::Bencher) {
    request_after_request(bencher, &Scene::new());
}

/// One request on a connection that falls asleep after each: what sleeping costs, is what this
/// takes longer than `kept_alive`.
#[divan::bench(sample_size = 100)]
fn asleep(bencher: divan::Bencher) {
    let at_once = HttpOptions::default().with_hibernate_after(Duration::ZERO);
    request_after_request(bencher, &Scene::with(at_once));
}

fn request_after_request(bencher: divan::Bencher, scene: &Scene) {
    let mut stream = scene.connector.connect().unwrap();
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        scene.runtime.block_on(async {
            stream.write_all(REQUEST).await.unwrap();
            read(&mut stream, 1).await;
        });
    });
}

/// A connection, one request, and the end.
#[divan::bench(sample_size = 100)]
fn new_connection(bencher: divan::Bencher) {
    let scene = Scene::new();
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        scene.runtime.block_on(async {
            let mut stream = scene.connector.connect().unwrap();
            stream.write_all(REQUEST).await.unwrap();
            read(&mut stream, 1).await;
        });
    });
}

/// Sixteen requests at once on a connection that's kept alive.
#[divan::bench(sample_size = 100)]
fn pipelined(bencher: divan::Bencher) {
    let scene = Scene::new();
    let burst = REQUEST.repeat(BURST);
    let mut stream = scene.connector.connect().unwrap();
    bencher.counter(ItemsCount::new(BURST)).bench_local(|| {
        scene.runtime.block_on(async {
            stream.write_all(&burst).await.unwrap();
            read(&mut stream, BURST).await;
        });
    });
}
