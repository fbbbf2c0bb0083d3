//! The app over each transport that a proxy can reach.
use crate::{app::tell, proxy::Place};
use anyport::{
    Endpoint, Handle, Server, Tcp, TlsConfig, TlsExt, Unix, UnixName, serve_with, service_fn,
};
#[cfg(all(feature = "glommio", target_os = "linux"))]
use anyport::{Glommio, GlommioUnix};
#[cfg(all(feature = "monoio", target_os = "linux"))]
use anyport::{Monoio, MonoioUnix, monoio::Driver};
use std::{path::Path, time::Duration};
use tempfile::TempDir;

const LOCAL: &str = "127.0.0.1:0";

/// A transport.
pub(crate) struct Site {
    pub(crate) name: &'static str,
    /// Makes a server, on a path that's free if it takes one.
    server: fn(&Path) -> Server,
    is_secure: bool,
}

const fn plain(name: &'static str, server: fn(&Path) -> Server) -> Site {
    Site {
        name,
        server,
        is_secure: false,
    }
}

const fn secure(name: &'static str, server: fn(&Path) -> Server) -> Site {
    Site {
        name,
        server,
        is_secure: true,
    }
}

fn tls() -> TlsConfig {
    TlsConfig::self_signed(["localhost"])
}

pub(crate) const SITES: &[Site] = &[
    plain("tcp", |_| serve_with(Tcp::bind(LOCAL), service_fn(tell))),
    plain("tcp_per_core", |_| {
        serve_with(
            Tcp::bind(LOCAL).per_core().with_workers(2),
            service_fn(tell),
        )
    }),
    plain("unix", |path| {
        serve_with(Unix::bind(path), service_fn(tell))
    }),
    secure("tls", |_| {
        serve_with(Tcp::bind(LOCAL).tls(tls()), service_fn(tell))
    }),
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    plain("monoio", |_| {
        serve_with(Monoio::bind(LOCAL).with_workers(2), service_fn(tell))
    }),
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    plain("monoio_by_epoll", |_| {
        let monoio = Monoio::bind(LOCAL).with_workers(2);
        serve_with(monoio.with_driver(Driver::Epoll), service_fn(tell))
    }),
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    plain("monoio_unix", |path| {
        serve_with(MonoioUnix::bind(path).with_workers(2), service_fn(tell))
    }),
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    secure("tls_over_monoio", |_| {
        serve_with(
            Monoio::bind(LOCAL).with_workers(2).tls(tls()),
            service_fn(tell),
        )
    }),
    #[cfg(all(feature = "glommio", target_os = "linux"))]
    plain("glommio", |_| {
        serve_with(Glommio::bind(LOCAL).with_workers(2), service_fn(tell))
    }),
    #[cfg(all(feature = "glommio", target_os = "linux"))]
    plain("glommio_unix", |path| {
        serve_with(GlommioUnix::bind(path).with_workers(2), service_fn(tell))
    }),
    #[cfg(all(feature = "glommio", target_os = "linux"))]
    secure("tls_over_glommio", |_| {
        serve_with(
            Glommio::bind(LOCAL).with_workers(2).tls(tls()),
            service_fn(tell),
        )
    }),
];

/// The app, served.
pub(crate) struct Served {
    handle: Handle,
    pub(crate) place: Place,
    _folder: TempDir,
}

impl Site {
    pub(crate) fn is_unix(&self) -> bool {
        self.name.contains("unix")
    }

    pub(crate) fn serve(&self) -> Served {
        let folder = tempfile::tempdir().unwrap();
        let handle = (self.server)(&folder.path().join("app.sock"))
            .start()
            .unwrap();
        let place = match &handle.endpoints()[0] {
            Endpoint::Unix(UnixName::Path(path)) => Place::Unix(path.to_path_buf()),
            endpoint => Place::Tcp(endpoint.to_string(), self.is_secure),
        };
        Served {
            handle,
            place,
            _folder: folder,
        }
    }
}

impl Served {
    /// Nobody may have to be cut off.
    pub(crate) async fn ends(self) {
        let report = self.handle.shutdown(Duration::from_secs(10)).await.unwrap();
        assert_eq!(report.aborted, 0, "{report}");
    }
}
