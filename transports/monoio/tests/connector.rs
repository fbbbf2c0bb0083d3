//! The behaviour suite for connectors on monoio: on io_uring and on epoll, over TCP and to Unix
//! sockets.
#![cfg_attr(not(target_os = "linux"), allow(unused))]

#[cfg(target_os = "linux")]
mod subjects {
    use anyport_core::{
        Result,
        runtime::block_on,
        transport::{Endpoint, Target},
    };
    use anyport_monoio::{Driver, MonoioConnector, MonoioPerCore};
    use anyport_testkit::connectors::{ConnectorSubject, SilentListener, TcpPeers, UnixPeers};
    use std::{
        any::Any,
        future::Future,
        io,
        net::Ipv4Addr,
        path::PathBuf,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::Relaxed},
        },
    };
    use tempfile::TempDir;

    pub(super) struct Tcp<const EPOLL: bool>;

    /// With an option that is set before the socket connects.
    pub(super) struct TcpWithLocalAddress;

    /// A folder with a path for each listener.
    pub(super) struct Unix<const EPOLL: bool>(TempDir, AtomicUsize);

    impl<const EPOLL: bool> Unix<EPOLL> {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self(TempDir::new()?, AtomicUsize::new(0)))
        }

        fn next(&self) -> PathBuf {
            self.0.path().join(self.1.fetch_add(1, Relaxed).to_string())
        }
    }

    fn driver(epoll: bool) -> Driver {
        match epoll {
            true => Driver::Epoll,
            false => Driver::IoUring,
        }
    }

    fn run<F>(epoll: bool, make: impl FnOnce() -> F + Send + 'static) -> Result<F::Output>
    where
        F: Future<Output: Send + 'static> + 'static,
    {
        block_on::<MonoioPerCore, _>(Some(Arc::new(driver(epoll))), make)
    }

    fn missing(epoll: bool) -> Option<String> {
        driver(epoll).check().err().map(|error| error.to_string())
    }

    impl<const EPOLL: bool> ConnectorSubject for Tcp<EPOLL> {
        const NAME: &str = if EPOLL {
            "monoio-epoll"
        } else {
            "monoio-io-uring"
        };
        type Connector = MonoioConnector;
        type Peers = TcpPeers;

        async fn listen(&self) -> io::Result<TcpPeers> {
            TcpPeers::listen().await
        }

        fn connector(&self, _: &Target) -> MonoioConnector {
            MonoioConnector::new()
        }

        fn run<F>(&self, make: impl FnOnce() -> F + Send + 'static) -> Result<F::Output>
        where
            F: Future<Output: Send + 'static> + 'static,
        {
            run(EPOLL, make)
        }

        fn refusing(&self) -> Target {
            TcpPeers::refusing()
        }

        fn unsupported(&self) -> Target {
            Target::new(Endpoint::custom("vsock:3:9"))
        }

        fn silent(&self) -> Option<(Target, Box<dyn Any + Send>)> {
            SilentListener::with_target()
        }

        fn unavailable(&self) -> Option<String> {
            missing(EPOLL)
        }
    }

    impl ConnectorSubject for TcpWithLocalAddress {
        const NAME: &str = "monoio-io-uring-local-address";
        type Connector = MonoioConnector;
        type Peers = TcpPeers;

        async fn listen(&self) -> io::Result<TcpPeers> {
            TcpPeers::listen().await
        }

        fn connector(&self, _: &Target) -> MonoioConnector {
            MonoioConnector::new().with_local_address(Ipv4Addr::LOCALHOST)
        }

        fn run<F>(&self, make: impl FnOnce() -> F + Send + 'static) -> Result<F::Output>
        where
            F: Future<Output: Send + 'static> + 'static,
        {
            run(false, make)
        }

        fn refusing(&self) -> Target {
            TcpPeers::refusing()
        }

        fn unsupported(&self) -> Target {
            Target::new(Endpoint::custom("vsock:3:9"))
        }

        fn silent(&self) -> Option<(Target, Box<dyn Any + Send>)> {
            SilentListener::with_target()
        }

        fn unavailable(&self) -> Option<String> {
            missing(false)
        }
    }

    impl<const EPOLL: bool> ConnectorSubject for Unix<EPOLL> {
        const NAME: &str = if EPOLL {
            "monoio-unix-epoll"
        } else {
            "monoio-unix-io-uring"
        };
        type Connector = MonoioConnector;
        type Peers = UnixPeers;

        async fn listen(&self) -> io::Result<UnixPeers> {
            UnixPeers::bind(&self.next())
        }

        fn connector(&self, _: &Target) -> MonoioConnector {
            MonoioConnector::new()
        }

        fn run<F>(&self, make: impl FnOnce() -> F + Send + 'static) -> Result<F::Output>
        where
            F: Future<Output: Send + 'static> + 'static,
        {
            run(EPOLL, make)
        }

        fn refusing(&self) -> Target {
            UnixPeers::refusing(&self.next())
        }

        fn unsupported(&self) -> Target {
            Target::new(Endpoint::custom("vsock:3:9"))
        }

        fn unavailable(&self) -> Option<String> {
            missing(EPOLL)
        }
    }
}

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<std::process::ExitCode> {
    use subjects::{Tcp, TcpWithLocalAddress, Unix};
    Ok(anyport_testkit::connectors::ConnectorSuite::new()
        .with(Tcp::<false>)
        .with(Tcp::<true>)
        .with(TcpWithLocalAddress)
        .with(Unix::<false>::new()?)
        .with(Unix::<true>::new()?)
        .run())
}

#[cfg(not(target_os = "linux"))]
fn main() {}
