//! The behaviour suite over glommio: over TCP, and over Unix sockets.
#![cfg_attr(not(target_os = "linux"), allow(unused))]

#[cfg(target_os = "linux")]
mod subjects {
    use anyport_core::{
        protocol::Accepted,
        serve_raw_with,
        transport::{Endpoint, UnixName},
    };
    use anyport_glommio::{Glommio, GlommioUnix};
    use anyport_testkit::{Capabilities, Capability, Subject, requirements::needs_start};
    use std::{
        io,
        path::PathBuf,
        sync::atomic::{AtomicUsize, Ordering},
    };
    use tempfile::TempDir;
    use tokio::net::{TcpStream, UnixStream};

    pub(super) struct Tcp;
    pub(super) struct Unix(pub(super) Paths);

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

    impl Subject for Tcp {
        const NAME: &str = "glommio";
        type Transport = Glommio;
        type Stream = TcpStream;

        fn transport(&self) -> Glommio {
            Glommio::bind("127.0.0.1:0").with_workers(2)
        }

        async fn connect(&self, endpoint: &Endpoint) -> io::Result<TcpStream> {
            let addr = endpoint.socket_addr().ok_or(io::ErrorKind::InvalidInput)?;
            let stream = TcpStream::connect(addr).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }

        fn reset_on_drop(&self, stream: &TcpStream) -> io::Result<()> {
            stream.set_zero_linger()
        }

        fn unavailable(&self) -> Option<String> {
            unavailable()
        }
    }

    impl Subject for Unix {
        const NAME: &str = "glommio-unix";
        type Transport = GlommioUnix;
        type Stream = UnixStream;

        fn transport(&self) -> GlommioUnix {
            GlommioUnix::bind(self.0.next()).with_workers(2)
        }

        async fn connect(&self, endpoint: &Endpoint) -> io::Result<UnixStream> {
            match endpoint {
                Endpoint::Unix(UnixName::Path(path)) => UnixStream::connect(path).await,
                _ => Err(io::ErrorKind::InvalidInput.into()),
            }
        }

        fn unavailable(&self) -> Option<String> {
            unavailable()
        }

        fn capabilities(&self) -> Capabilities {
            Capabilities::all()
                .without(Capability::PortZero)
                .without(Capability::Reset)
        }
    }

    /// The reason why no worker can start on this machine, if none can.
    fn unavailable() -> Option<String> {
        let glommio = Glommio::bind("127.0.0.1:0").with_workers(1);
        needs_start(serve_raw_with(glommio, |_: Accepted<_>| async {}))
    }
}

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<std::process::ExitCode> {
    use subjects::{Paths, Tcp, Unix};
    let suite = anyport_testkit::Suite::new()
        .with_local(Tcp)
        .with_local(Unix(Paths::new()?));
    Ok(suite.run())
}

#[cfg(not(target_os = "linux"))]
fn main() {}
