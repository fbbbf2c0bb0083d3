//! The transports under test.
use crate::{
    over,
    peer::{Peer, server},
    subject::Subject,
};
use anyport_core::{
    Server,
    runtime::{Tokio, TokioPerCore, block_on},
};
use anyport_memory::{Memory, MemoryConnector};
use anyport_tcp::{Tcp, TcpConnector};
use anyport_testkit::requirements::Tests;
use anyport_tls::{
    Certificate, Roots, TlsClientConfig, TlsConfig, TlsConnector, TlsConnectorExt, TlsExt,
};
use anyport_unix::{Unix, UnixConnector};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::{future::Future, path::Path, sync::LazyLock};

const LOCAL: &str = "127.0.0.1:0";

/// A certificate for `localhost`, and its key.
static CERTIFICATE: LazyLock<(String, String)> = LazyLock::new(|| {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (cert.pem(), signing_key.serialize_pem())
});

fn server_config() -> TlsConfig {
    let (chain, key) = &*CERTIFICATE;
    TlsConfig::new(Certificate::pem(chain.clone(), key.clone()))
}

fn client_config(alpn: &'static str) -> TlsClientConfig {
    TlsClientConfig::new(Roots::pem(CERTIFICATE.0.clone())).with_alpn([alpn])
}

/// Defines a transport whose client runs on workers with threads of their own.
macro_rules! subject {
    (
        $subject:ident, $name:literal, $runtime:ty, $connector:ty,
        |$folder:ident| $transport:expr, $connect:expr
        $(, $constant:ident = $value:expr)* $(; missing $missing:expr)?
    ) => {
        pub(crate) struct $subject;

        impl Subject for $subject {
            const NAME: &str = $name;
            $(const $constant: bool = $value;)*
            type Runtime = $runtime;
            type Connector = $connector;

            fn server(peer: Peer, $folder: &Path) -> (Server, $connector) {
                (server!($transport, peer), $connect)
            }

            fn run<F>(make: impl FnOnce() -> F + Send + 'static) -> F::Output
            where
                F: Future<Output: Send + 'static> + 'static,
            {
                block_on::<$runtime, _>(None, make).unwrap()
            }

            $(fn missing() -> Option<String> {
                $missing
            })?
        }
    };
}

/// The ambient tokio: the client runs on the runtime of the test.
struct OnTokio;

impl Subject for OnTokio {
    const NAME: &str = "tcp";
    type Runtime = Tokio;
    type Connector = TcpConnector;

    fn server(peer: Peer, _: &Path) -> (Server, TcpConnector) {
        (server!(Tcp::bind(LOCAL), peer), TcpConnector::new())
    }

    fn run<F>(make: impl FnOnce() -> F + Send + 'static) -> F::Output
    where
        F: Future<Output: Send + 'static> + 'static,
    {
        run_on_tokio(make)
    }
}

/// Memory on the ambient tokio.
struct OnMemory<const HTTP2: bool>;

impl<const HTTP2: bool> Subject for OnMemory<HTTP2> {
    const NAME: &str = if HTTP2 { "memory_http2" } else { "memory" };
    const IS_HTTP2: bool = HTTP2;
    const IS_PRIOR_KNOWLEDGE: bool = HTTP2;
    type Runtime = Tokio;
    type Connector = MemoryConnector;

    fn server(peer: Peer, _: &Path) -> (Server, MemoryConnector) {
        let memory = Memory::new();
        let connector = memory.connector();
        (server!(memory, peer), connector)
    }

    fn run<F>(make: impl FnOnce() -> F + Send + 'static) -> F::Output
    where
        F: Future<Output: Send + 'static> + 'static,
    {
        run_on_tokio(make)
    }
}

fn run_on_tokio<F: Future>(make: impl FnOnce() -> F) -> F::Output {
    tokio::runtime::Handle::current().block_on(make())
}

subject!(
    OnTokioPerCore,
    "tcp_per_core",
    TokioPerCore,
    TcpConnector,
    |_folder| Tcp::bind(LOCAL).per_core().with_workers(1),
    TcpConnector::new()
);
subject!(
    OnUnix,
    "unix",
    TokioPerCore,
    UnixConnector,
    |folder| Unix::bind(folder.join("socket")),
    UnixConnector::new()
);
subject!(
    OverTls,
    "tls",
    TokioPerCore,
    TlsConnector<TcpConnector>,
    |_folder| Tcp::bind(LOCAL).tls(server_config()),
    TcpConnector::new().tls(client_config("http/1.1")).unwrap(),
    IS_TLS = true
);
subject!(
    OverTlsHttp2,
    "tls_http2",
    TokioPerCore,
    TlsConnector<TcpConnector>,
    |_folder| Tcp::bind(LOCAL).tls(server_config()),
    TcpConnector::new().tls(client_config("h2")).unwrap(),
    IS_TLS = true,
    IS_HTTP2 = true
);
subject!(
    OverHttp2,
    "tcp_http2",
    TokioPerCore,
    TcpConnector,
    |_folder| Tcp::bind(LOCAL),
    TcpConnector::new(),
    IS_HTTP2 = true,
    IS_PRIOR_KNOWLEDGE = true
);

pub(crate) fn all(tests: Tests) -> Tests {
    let tests = over::<OnTokio>(tests);
    let tests = over::<OnTokioPerCore>(tests);
    let tests = over::<OnUnix>(tests);
    let tests = over::<OverTls>(tests);
    let tests = over::<OverTlsHttp2>(tests);
    let tests = over::<OverHttp2>(tests);
    let tests = over::<OnMemory<false>>(tests);
    over::<OnMemory<true>>(tests)
}

#[cfg(target_os = "linux")]
pub(crate) use linux::linux;

/// The transports on io_uring.
#[cfg(target_os = "linux")]
mod linux {
    use super::*;
    use anyport_core::Runtime;
    use anyport_glommio::{Glommio, GlommioConnector, GlommioPerCore, GlommioUnix};
    use anyport_monoio::{Monoio, MonoioConnector, MonoioPerCore, MonoioUnix};

    fn glommio() -> Option<String> {
        GlommioPerCore::check().err().map(|error| error.to_string())
    }

    subject!(
        OnMonoio,
        "monoio",
        MonoioPerCore,
        MonoioConnector,
        |_folder| Monoio::bind(LOCAL).with_workers(1),
        MonoioConnector::new()
    );
    subject!(
        OnMonoioUnix,
        "monoio_unix",
        MonoioPerCore,
        MonoioConnector,
        |folder| MonoioUnix::bind(folder.join("socket")).with_workers(1),
        MonoioConnector::new()
    );
    subject!(
        OnMonoioTls,
        "monoio_tls_http2",
        MonoioPerCore,
        TlsConnector<MonoioConnector>,
        |_folder| Monoio::bind(LOCAL).with_workers(1).tls(server_config()),
        MonoioConnector::new().tls(client_config("h2")).unwrap(),
        IS_TLS = true,
        IS_HTTP2 = true
    );
    subject!(OnGlommio, "glommio", GlommioPerCore, GlommioConnector,
        |_folder| Glommio::bind(LOCAL).with_workers(1), GlommioConnector::new(); missing glommio());
    subject!(OnGlommioUnix, "glommio_unix", GlommioPerCore, GlommioConnector,
        |folder| GlommioUnix::bind(folder.join("socket")).with_workers(1), GlommioConnector::new();
        missing glommio());
    subject!(OnGlommioTls, "glommio_tls_http2", GlommioPerCore, TlsConnector<GlommioConnector>,
        |_folder| Glommio::bind(LOCAL).with_workers(1).tls(server_config()),
        GlommioConnector::new().tls(client_config("h2")).unwrap(), IS_TLS = true, IS_HTTP2 = true;
        missing glommio());

    pub(crate) fn linux(tests: Tests) -> Tests {
        let tests = over::<OnMonoio>(tests);
        let tests = over::<OnMonoioUnix>(tests);
        let tests = over::<OnMonoioTls>(tests);
        let tests = over::<OnGlommio>(tests);
        let tests = over::<OnGlommioUnix>(tests);
        over::<OnGlommioTls>(tests)
    }
}
