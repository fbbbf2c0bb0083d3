//! The behaviour suite for connectors on glommio, over TCP and to Unix sockets.
#![cfg_attr(not(target_os = "linux"), allow(unused))]

#[cfg(target_os = "linux")]
mod subjects {
    use anyport_core::{
        Result, Runtime,
        runtime::block_on,
        transport::{Endpoint, Target},
    };
    use anyport_glommio::{GlommioConnector, GlommioPerCore};
    use anyport_testkit::connectors::{ConnectorSubject, SilentListener, TcpPeers, UnixPeers};
    use std::{
        any::Any,
        future::Future,
        io,
        path::PathBuf,
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
    };
    use tempfile::TempDir;

    pub(super) struct Tcp;

    /// A folder with a path for each listener.
    pub(super) struct Unix(TempDir, AtomicUsize);

    impl Unix {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self(TempDir::new()?, AtomicUsize::new(0)))
        }

        fn next(&self) -> PathBuf {
            self.0.path().join(self.1.fetch_add(1, Relaxed).to_string())
        }
    }

    fn missing() -> Option<String> {
        GlommioPerCore::check().err().map(|error| error.to_string())
    }

    impl ConnectorSubject for Tcp {
        const NAME: &str = "glommio";
        type Connector = GlommioConnector;
        type Peers = TcpPeers;

        async fn listen(&self) -> io::Result<TcpPeers> {
            TcpPeers::listen().await
        }

        fn connector(&self, _: &Target) -> GlommioConnector {
            GlommioConnector::new()
        }

        fn run<F>(&self, make: impl FnOnce() -> F + Send + 'static) -> Result<F::Output>
        where
            F: Future<Output: Send + 'static> + 'static,
        {
            block_on::<GlommioPerCore, _>(None, make)
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
            missing()
        }
    }

    impl ConnectorSubject for Unix {
        const NAME: &str = "glommio-unix";
        type Connector = GlommioConnector;
        type Peers = UnixPeers;

        async fn listen(&self) -> io::Result<UnixPeers> {
            UnixPeers::bind(&self.next())
        }

        fn connector(&self, _: &Target) -> GlommioConnector {
            GlommioConnector::new()
        }

        fn run<F>(&self, make: impl FnOnce() -> F + Send + 'static) -> Result<F::Output>
        where
            F: Future<Output: Send + 'static> + 'static,
        {
            block_on::<GlommioPerCore, _>(None, make)
        }

        fn refusing(&self) -> Target {
            UnixPeers::refusing(&self.next())
        }

        fn unsupported(&self) -> Target {
            Target::new(Endpoint::custom("vsock:3:9"))
        }

        fn unavailable(&self) -> Option<String> {
            missing()
        }
    }
}

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<std::process::ExitCode> {
    use subjects::{Tcp, Unix};
    Ok(anyport_testkit::connectors::ConnectorSuite::new()
        .with(Tcp)
        .with(Unix::new()?)
        .run())
}

#[cfg(not(target_os = "linux"))]
fn main() {}
