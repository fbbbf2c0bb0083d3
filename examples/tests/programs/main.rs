//! Foreign programs with an app over each transport: haproxy and nginx in front of it and behind
//! it, and WebSocket clients in Python, Node.js and a browser.
//!
//! Responses through a proxy are compared with direct responses of the app. Where a program is not
//! installed, its tests are ignored with the reason.
#![cfg_attr(
    unix,
    expect(
        clippy::unwrap_used,
        reason = "a helper that unwraps fails with a line number, as a test does"
    )
)]

#[cfg(unix)]
mod app;
#[cfg(unix)]
mod client;
#[cfg(unix)]
mod forward;
#[cfg(unix)]
mod proxy;
#[cfg(unix)]
mod transports;
#[cfg(unix)]
mod web_sockets;

use anyport_testkit::requirements::Tests;
use std::process::ExitCode;

fn main() -> ExitCode {
    let tests = Tests::default();
    #[cfg(unix)]
    let tests = unix::tests(tests);
    tests.run()
}

#[cfg(unix)]
mod unix {
    use crate::{
        app::describe,
        client::{Client, requests},
        forward::forwarder,
        proxy::{HAPROXY, NGINX, Program, Proxy},
        transports::{TRANSPORTS, TestTransport},
        web_sockets::{self, CHROMIUM},
    };
    use anyport::{Tcp, serve_with, service_fn};
    use anyport_testkit::requirements::{Tests, block_on, needs_program};
    use std::{path::Path, time::Duration};
    use tokio::net::UnixStream;

    pub(crate) fn tests(mut tests: Tests) -> Tests {
        for program in [&HAPROXY, &NGINX] {
            let name = program.name;
            for transport in TRANSPORTS {
                tests = tests.unless(
                    needs_program(name),
                    &format!("{name}_in_front_of_{}", transport.name),
                    || block_on(in_front_of(program, transport)),
                );
            }
            tests = tests.unless(needs_program(name), &format!("{name}_behind"), || {
                block_on(behind(program));
            });
        }
        for (at, prefix) in [("/echo", ""), ("/ws", "anyport_ws_")] {
            for transport in TRANSPORTS {
                for client in web_sockets::CLIENTS {
                    let name = format!("{prefix}{}_over_{}", client.name, transport.name);
                    tests = tests.unless(web_sockets::needs(client), &name, || {
                        block_on(web_socket(client, transport, at));
                    });
                }
                if !transport.is_unix() {
                    let name = format!("{prefix}chromium_over_{}", transport.name);
                    let report = name.clone();
                    tests = tests.unless(web_sockets::needs(&CHROMIUM), &name, move || {
                        block_on(browser(transport, report, at));
                    });
                }
            }
        }
        tests
    }

    async fn web_socket(
        client: &'static web_sockets::Client,
        transport: &'static TestTransport,
        at: &'static str,
    ) {
        let served = transport.serve();
        web_sockets::run_client(client, &served.upstream, at).await;
        served.shut_down().await;
    }

    async fn browser(transport: &'static TestTransport, report: String, at: &'static str) {
        let served = transport.serve();
        web_sockets::run_browser(&served.upstream, &report, at).await;
        served.shut_down().await;
    }

    async fn in_front_of(program: &'static Program, transport: &'static TestTransport) {
        let served = transport.serve();
        let proxy = Proxy::start(program, &served.upstream).await;
        for front in &proxy.frontends {
            assert_same_as_direct(
                front,
                &format!("{} in front of {}", program.name, transport.name),
            )
            .await;
        }
        served.shut_down().await;
    }

    /// The chain is a client, an app that forwards, the proxy, and the app.
    async fn behind(program: &'static Program) {
        let served = TRANSPORTS[0].serve();
        let proxy = Proxy::start(program, &served.upstream).await;
        for front in &proxy.frontends {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("forwarder.sock");
            let forwards = serve_with(anyport::Unix::bind(&path), service_fn(forwarder(front)));
            let handle = forwards.start().unwrap();
            assert_same_as_direct(&path, &format!("{} behind", program.name)).await;
            handle.shutdown(Duration::from_secs(10)).await.unwrap();
        }
        served.shut_down().await;
    }

    /// Compares the responses at this path with direct responses. Repeats that, because a
    /// kept-alive connection may be out of step after the first time.
    async fn assert_same_as_direct(path: &Path, way: &str) {
        let handle = serve_with(Tcp::bind("127.0.0.1:0"), service_fn(describe))
            .start()
            .unwrap();
        let addr = handle.endpoints()[0].socket_addr().unwrap();
        let mut direct = Client::new(move || Box::pin(tokio::net::TcpStream::connect(addr)));
        let path = path.to_owned();
        let mut proxied = Client::new(move || Box::pin(UnixStream::connect(path.clone())));
        for round in 0..2 {
            for ask in requests() {
                let (wanted, got) = (
                    direct.send_and_read(&ask).await,
                    proxied.send_and_read(&ask).await,
                );
                assert_eq!(got, wanted, "{way}, round {round}: {ask:?}");
            }
        }
        drop((direct, proxied));
        handle.shutdown(Duration::from_secs(10)).await.unwrap();
    }
}
