//! Programs that aren't ours, with an app over each transport: haproxy and nginx in front of it and
//! behind it, and clients of WebSockets in Python, for Node.js and in a browser.
//!
//! With a proxy, what arrives is what was sent, both ways: the answers are compared with those that
//! the app gives without. Where a program isn't installed, its tests are ignored, and say so.
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
mod site;
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
        app::tell,
        client::{Client, asks},
        forward::forwarder,
        proxy::{HAPROXY, NGINX, Program, Proxy},
        site::{SITES, Site},
        web_sockets::{self, CHROMIUM},
    };
    use anyport::{Tcp, serve_with, service_fn};
    use anyport_testkit::requirements::{Tests, block_on, needs_program};
    use std::{path::Path, time::Duration};
    use tokio::net::UnixStream;

    pub(crate) fn tests(mut tests: Tests) -> Tests {
        for program in [&HAPROXY, &NGINX] {
            let name = program.name;
            for site in SITES {
                tests = tests.unless(
                    needs_program(name),
                    &format!("{name}_in_front_of_{}", site.name),
                    || block_on(in_front_of(program, site)),
                );
            }
            tests = tests.unless(needs_program(name), &format!("{name}_behind"), || {
                block_on(behind(program));
            });
        }
        for (at, prefix) in [("/echo", ""), ("/ws", "anyport_ws_")] {
            for site in SITES {
                for client in web_sockets::CLIENTS {
                    let name = format!("{prefix}{}_over_{}", client.name, site.name);
                    tests = tests.unless(web_sockets::needs(client), &name, || {
                        block_on(web_socket(client, site, at));
                    });
                }
                if !site.is_unix() {
                    let name = format!("{prefix}chromium_over_{}", site.name);
                    let report = name.clone();
                    tests = tests.unless(web_sockets::needs(&CHROMIUM), &name, move || {
                        block_on(browser(site, report, at));
                    });
                }
            }
        }
        tests
    }

    async fn web_socket(
        client: &'static web_sockets::Client,
        site: &'static Site,
        at: &'static str,
    ) {
        let served = site.serve();
        web_sockets::talk(client, &served.place, at).await;
        served.ends().await;
    }

    async fn browser(site: &'static Site, report: String, at: &'static str) {
        let served = site.serve();
        web_sockets::browse(&served.place, &report, at).await;
        served.ends().await;
    }

    async fn in_front_of(program: &'static Program, site: &'static Site) {
        let served = site.serve();
        let proxy = Proxy::start(program, &served.place).await;
        for front in &proxy.fronts {
            same_as_direct(
                front,
                &format!("{} in front of {}", program.name, site.name),
            )
            .await;
        }
        served.ends().await;
    }

    /// A client, an app that forwards, the proxy, and the app.
    async fn behind(program: &'static Program) {
        let served = SITES[0].serve();
        let proxy = Proxy::start(program, &served.place).await;
        for front in &proxy.fronts {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("forwarder.sock");
            let forwards = serve_with(anyport::Unix::bind(&path), service_fn(forwarder(front)));
            let handle = forwards.start().unwrap();
            same_as_direct(&path, &format!("{} behind", program.name)).await;
            handle.shutdown(Duration::from_secs(10)).await.unwrap();
        }
        served.ends().await;
    }

    /// Asks at this path, and without anything in between; twice, since a connection that's kept
    /// may be out of step by then.
    async fn same_as_direct(path: &Path, way: &str) {
        let handle = serve_with(Tcp::bind("127.0.0.1:0"), service_fn(tell))
            .start()
            .unwrap();
        let addr = handle.endpoints()[0].socket_addr().unwrap();
        let mut direct = Client::new(move || Box::pin(tokio::net::TcpStream::connect(addr)));
        let path = path.to_owned();
        let mut proxied = Client::new(move || Box::pin(UnixStream::connect(path.clone())));
        for round in 0..2 {
            for ask in asks() {
                let (wanted, got) = (direct.ask(&ask).await, proxied.ask(&ask).await);
                assert_eq!(got, wanted, "{way}, round {round}: {ask:?}");
            }
        }
        drop((direct, proxied));
        handle.shutdown(Duration::from_secs(10)).await.unwrap();
    }
}
