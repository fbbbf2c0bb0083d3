//! The behaviour suite over monoio: on io_uring and on epoll, over TCP and over Unix sockets.
#![cfg_attr(not(target_os = "linux"), allow(unused))]

#[cfg(target_os = "linux")]
mod subjects {
    use anyport_core::transport::{Endpoint, UnixName};
    use anyport_monoio::{Driver, Monoio, MonoioUnix};
    use anyport_testkit::{Capabilities, Capability, Subject};
    use std::{
        io,
        path::PathBuf,
        sync::atomic::{AtomicUsize, Ordering},
    };
    use tempfile::TempDir;
    use tokio::net::{TcpStream, UnixStream};

    pub(super) struct IoUring;
    pub(super) struct Epoll;
    pub(super) struct UnixIoUring(pub(super) Paths);
    pub(super) struct UnixEpoll(pub(super) Paths);

    /// A folder with a path for each server.
    pub(super) struct Paths(TempDir, AtomicUsize);

    impl Paths {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self(TempDir::new()?, AtomicUsize::new(0)))
        }

        fn next(&self) -> PathBuf {
            let number = self.1.fetch_add(1, Ordering::Relaxed);
            self.0.path().join(number.to_string())
        }
    }

    impl Subject for IoUring {
        const NAME: &str = "monoio-io-uring";
        type Transport = Monoio;
        type Stream = TcpStream;

        fn transport(&self) -> Monoio {
            tcp(Driver::IoUring)
        }

        async fn connect(&self, endpoint: &Endpoint) -> io::Result<TcpStream> {
            connect(endpoint).await
        }

        fn reset_on_drop(&self, stream: &TcpStream) -> io::Result<()> {
            stream.set_zero_linger()
        }

        fn unavailable(&self) -> Option<String> {
            Driver::IoUring.check().err().map(|error| error.to_string())
        }
    }

    impl Subject for Epoll {
        const NAME: &str = "monoio-epoll";
        type Transport = Monoio;
        type Stream = TcpStream;

        fn transport(&self) -> Monoio {
            tcp(Driver::Epoll)
        }

        async fn connect(&self, endpoint: &Endpoint) -> io::Result<TcpStream> {
            connect(endpoint).await
        }

        fn reset_on_drop(&self, stream: &TcpStream) -> io::Result<()> {
            stream.set_zero_linger()
        }
    }

    impl Subject for UnixIoUring {
        const NAME: &str = "monoio-unix-io-uring";
        type Transport = MonoioUnix;
        type Stream = UnixStream;

        fn transport(&self) -> MonoioUnix {
            unix(&self.0, Driver::IoUring)
        }

        async fn connect(&self, endpoint: &Endpoint) -> io::Result<UnixStream> {
            connect_unix(endpoint).await
        }

        fn unavailable(&self) -> Option<String> {
            Driver::IoUring.check().err().map(|error| error.to_string())
        }

        fn capabilities(&self) -> Capabilities {
            Capabilities::all()
                .without(Capability::PortZero)
                .without(Capability::Reset)
        }
    }

    impl Subject for UnixEpoll {
        const NAME: &str = "monoio-unix-epoll";
        type Transport = MonoioUnix;
        type Stream = UnixStream;

        fn transport(&self) -> MonoioUnix {
            unix(&self.0, Driver::Epoll)
        }

        async fn connect(&self, endpoint: &Endpoint) -> io::Result<UnixStream> {
            connect_unix(endpoint).await
        }

        fn capabilities(&self) -> Capabilities {
            Capabilities::all()
                .without(Capability::PortZero)
                .without(Capability::Reset)
        }
    }

    fn tcp(driver: Driver) -> Monoio {
        Monoio::bind("127.0.0.1:0")
            .with_driver(driver)
            .with_workers(2)
    }

    fn unix(paths: &Paths, driver: Driver) -> MonoioUnix {
        MonoioUnix::bind(paths.next())
            .with_driver(driver)
            .with_workers(2)
    }

    async fn connect(endpoint: &Endpoint) -> io::Result<TcpStream> {
        let addr = endpoint.socket_addr().ok_or(io::ErrorKind::InvalidInput)?;
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn connect_unix(endpoint: &Endpoint) -> io::Result<UnixStream> {
        match endpoint {
            Endpoint::Unix(UnixName::Path(path)) => UnixStream::connect(path).await,
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<std::process::ExitCode> {
    use subjects::{Epoll, IoUring, Paths, UnixEpoll, UnixIoUring};
    Ok(anyport_testkit::Suite::new()
        .with_local(IoUring)
        .with_local(Epoll)
        .with_local(UnixIoUring(Paths::new()?))
        .with_local(UnixEpoll(Paths::new()?))
        .run())
}

#[cfg(not(target_os = "linux"))]
fn main() {}
