//! The app over each transport that a proxy can reach.
use crate::{app::describe, proxy::Upstream};
#[cfg(all(feature = "glommio", target_os = "linux"))]
use anyport::{Glommio, GlommioUnix};
use anyport::{
    Handle, Server, Tcp, Unix, serve_with, service_fn,
    tls::{TlsConfig, TlsExt},
    transport::{Endpoint, UnixName},
};
#[cfg(all(feature = "monoio", target_os = "linux"))]
use anyport::{Monoio, MonoioUnix, transport::monoio::Driver};
use std::{path::Path, time::Duration};
use tempfile::TempDir;

const LOCAL: &str = "127.0.0.1:0";

/// A transport.
pub(crate) struct TestTransport {
    pub(crate) name: &'static str,
    /// Creates a server; the path is free for a Unix socket.
    server: fn(&Path) -> Server,
    is_tls: bool,
}

const fn plain(name: &'static str, server: fn(&Path) -> Server) -> TestTransport {
    TestTransport {
        name,
        server,
        is_tls: false,
    }
}

const fn with_tls(name: &'static str, server: fn(&Path) -> Server) -> TestTransport {
    TestTransport {
        name,
        server,
        is_tls: true,
    }
}

fn tls() -> TlsConfig {
    TlsConfig::self_signed(["localhost"])
}

pub(crate) const TRANSPORTS: &[TestTransport] = &[
    plain("tcp", |_| {
        serve_with(Tcp::bind(LOCAL), service_fn(describe))
    }),
    plain("tcp_per_core", |_| {
        serve_with(
            Tcp::bind(LOCAL).per_core().with_workers(2),
            service_fn(describe),
        )
    }),
    plain("unix", |path| {
        serve_with(Unix::bind(path), service_fn(describe))
    }),
    with_tls("tls", |_| {
        serve_with(Tcp::bind(LOCAL).tls(tls()), service_fn(describe))
    }),
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    plain("monoio", |_| {
        serve_with(Monoio::bind(LOCAL).with_workers(2), service_fn(describe))
    }),
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    plain("monoio_by_epoll", |_| {
        let monoio = Monoio::bind(LOCAL).with_workers(2);
        serve_with(monoio.with_driver(Driver::Epoll), service_fn(describe))
    }),
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    plain("monoio_unix", |path| {
        serve_with(MonoioUnix::bind(path).with_workers(2), service_fn(describe))
    }),
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    with_tls("tls_over_monoio", |_| {
        serve_with(
            Monoio::bind(LOCAL).with_workers(2).tls(tls()),
            service_fn(describe),
        )
    }),
    #[cfg(all(feature = "glommio", target_os = "linux"))]
    plain("glommio", |_| {
        serve_with(Glommio::bind(LOCAL).with_workers(2), service_fn(describe))
    }),
    #[cfg(all(feature = "glommio", target_os = "linux"))]
    plain("glommio_unix", |path| {
        serve_with(
            GlommioUnix::bind(path).with_workers(2),
            service_fn(describe),
        )
    }),
    #[cfg(all(feature = "glommio", target_os = "linux"))]
    with_tls("tls_over_glommio", |_| {
        serve_with(
            Glommio::bind(LOCAL).with_workers(2).tls(tls()),
            service_fn(describe),
        )
    }),
];

/// A running server of the app.
pub(crate) struct Served {
    handle: Handle,
    pub(crate) upstream: Upstream,
    _folder: TempDir,
}

impl TestTransport {
    pub(crate) fn is_unix(&self) -> bool {
        self.name.contains("unix")
    }

    pub(crate) fn serve(&self) -> Served {
        let folder = tempfile::tempdir().unwrap();
        let handle = (self.server)(&folder.path().join("app.sock"))
            .start()
            .unwrap();
        let upstream = match &handle.endpoints()[0] {
            Endpoint::Unix(UnixName::Path(path)) => Upstream::Unix(path.to_path_buf()),
            endpoint => Upstream::Tcp(endpoint.to_string(), self.is_tls),
        };
        Served {
            handle,
            upstream,
            _folder: folder,
        }
    }
}

impl Served {
    /// Shuts down, and asserts that no connection is aborted.
    pub(crate) async fn shut_down(self) {
        let report = self.handle.shutdown(Duration::from_secs(60)).await.unwrap();
        assert_eq!(report.aborted, 0, "{report}");
    }
}
