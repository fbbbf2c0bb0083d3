//! The behaviour suite over TLS over TCP, on glommio and on monoio.
#![cfg(target_os = "linux")]

#[path = "../../transports/tls/tests/client/mod.rs"]
mod client;
#[path = "../../transports/tls/tests/over_tcp/mod.rs"]
mod over_tcp;

use anyport_core::{protocol::Accepted, serve_raw_with};
use anyport_glommio::Glommio;
use anyport_monoio::{Driver, Monoio};
use anyport_testkit::{Suite, requirements::needs_start};
use client::Authority;
use over_tcp::{InnerTransport, OverTcp};
use std::{process::ExitCode, sync::Arc};

/// TCP on glommio.
struct OnGlommio;

impl InnerTransport for OnGlommio {
    const NAME: &str = "tls-glommio";
    type Transport = Glommio;

    fn bind() -> Self::Transport {
        Glommio::bind("127.0.0.1:0").with_workers(2)
    }

    fn unavailable() -> Option<String> {
        let glommio = Glommio::bind("127.0.0.1:0").with_workers(1);
        needs_start(serve_raw_with(glommio, |_: Accepted<_>| async {}))
    }
}

/// TCP on monoio, with epoll or with io_uring.
struct OnMonoio<const EPOLL: bool>;

impl<const EPOLL: bool> OnMonoio<EPOLL> {
    const DRIVER: Driver = match EPOLL {
        true => Driver::Epoll,
        false => Driver::IoUring,
    };
}

impl<const EPOLL: bool> InnerTransport for OnMonoio<EPOLL> {
    const NAME: &str = match EPOLL {
        true => "tls-monoio-epoll",
        false => "tls-monoio-io-uring",
    };
    type Transport = Monoio;

    fn bind() -> Self::Transport {
        Monoio::bind("127.0.0.1:0")
            .with_driver(Self::DRIVER)
            .with_workers(2)
    }

    fn unavailable() -> Option<String> {
        Self::DRIVER.check().err().map(|error| error.to_string())
    }
}

fn main() -> ExitCode {
    let authority = Arc::new(Authority::new());
    Suite::new()
        .with_local(OverTcp::<OnGlommio>::new(&authority))
        .with_local(OverTcp::<OnMonoio<false>>::new(&authority))
        .with_local(OverTcp::<OnMonoio<true>>::new(&authority))
        .run()
}
