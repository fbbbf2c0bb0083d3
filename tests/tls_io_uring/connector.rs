//! The behaviour suite for connectors, over TLS over TCP, on glommio and on monoio.
#![cfg(target_os = "linux")]

#[path = "../../transports/tls/tests/client/mod.rs"]
mod client;
#[path = "../../transports/tls/tests/connect_over_tcp/mod.rs"]
mod connect_over_tcp;

use anyport_core::{Result, Runtime, runtime::block_on};
use anyport_glommio::{GlommioConnector, GlommioPerCore};
use anyport_monoio::{Driver, MonoioConnector, MonoioPerCore};
use anyport_testkit::connectors::ConnectorSuite;
use client::Authority;
use connect_over_tcp::{ConnectOverTcp, InnerConnector};
use std::{future::Future, process::ExitCode, sync::Arc};

struct OnGlommio;

impl InnerConnector for OnGlommio {
    const NAME: &str = "tls-glommio";
    type Connector = GlommioConnector;

    fn connector() -> GlommioConnector {
        GlommioConnector::new()
    }

    fn run<F>(make: impl FnOnce() -> F + Send + 'static) -> Result<F::Output>
    where
        F: Future<Output: Send + 'static> + 'static,
    {
        block_on::<GlommioPerCore, _>(None, make)
    }

    fn missing() -> Option<String> {
        GlommioPerCore::check().err().map(|error| error.to_string())
    }
}

/// With epoll or with io_uring.
struct OnMonoio<const EPOLL: bool>;

impl<const EPOLL: bool> OnMonoio<EPOLL> {
    const DRIVER: Driver = match EPOLL {
        true => Driver::Epoll,
        false => Driver::IoUring,
    };
}

impl<const EPOLL: bool> InnerConnector for OnMonoio<EPOLL> {
    const NAME: &str = match EPOLL {
        true => "tls-monoio-epoll",
        false => "tls-monoio-io-uring",
    };
    type Connector = MonoioConnector;

    fn connector() -> MonoioConnector {
        MonoioConnector::new()
    }

    fn run<F>(make: impl FnOnce() -> F + Send + 'static) -> Result<F::Output>
    where
        F: Future<Output: Send + 'static> + 'static,
    {
        block_on::<MonoioPerCore, _>(Some(Arc::new(Self::DRIVER)), make)
    }

    fn missing() -> Option<String> {
        Self::DRIVER.check().err().map(|error| error.to_string())
    }
}

fn main() -> ExitCode {
    let authority = Authority::new();
    ConnectorSuite::new()
        .with(ConnectOverTcp::<OnGlommio>::new(&authority))
        .with(ConnectOverTcp::<OnMonoio<false>>::new(&authority))
        .with(ConnectOverTcp::<OnMonoio<true>>::new(&authority))
        .run()
}
