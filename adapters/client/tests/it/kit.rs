//! The runtimes and their connectors.
use crate::server;
use anyport_client::{
    Ambient, Builder, Client, ClientRuntime, Error, MakeConnection, Names, PerWorker,
};
use anyport_connect::{Answer, HappyEyeballs, Resolve};
use anyport_core::{
    Body, Runtime,
    runtime::{SharedTimer, Tokio, TokioPerCore},
    transport::Connector,
};
use anyport_glommio::{GlommioConnector, GlommioPerCore};
use anyport_monoio::{MonoioConnector, MonoioPerCore};
use anyport_tcp::TcpConnector;
use anyport_tls::{Roots, TlsClientConfig, TlsConnector, TlsConnectorExt};
use futures_util::stream;
use http::Request;
use http_body_util::BodyExt;
use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::Duration,
};

pub(crate) type Factory<C> = Names<C, TlsConnector<C>, LocalHosts>;
pub(crate) type KitClient<K> = Client<Factory<<K as Kit>::Connector>, Body, <K as Kit>::Mode>;

/// `a.test` and `b.test` have this address, until it is changed.
#[derive(Clone)]
pub(crate) struct LocalHosts(Arc<Mutex<Ipv4Addr>>);

impl LocalHosts {
    pub(crate) fn change(&self, address: Ipv4Addr) {
        *self.0.lock().unwrap() = address;
    }
}

impl Default for LocalHosts {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Ipv4Addr::LOCALHOST)))
    }
}

impl Resolve for LocalHosts {
    type Answers = stream::Iter<std::array::IntoIter<Answer, 2>>;

    fn resolve(&self, host: &str) -> Self::Answers {
        assert!(["a.test", "b.test"].contains(&host), "{host}");
        let address = *self.0.lock().unwrap();
        stream::iter([Answer::Aaaa(Ok(Vec::new())), Answer::A(Ok(vec![address]))])
    }
}

/// A runtime, and what a client needs of it.
pub(crate) trait Kit: Copy + 'static {
    type Connector: Connector;
    type Mode: ClientRuntime<Factory<Self::Connector>, Body>;

    fn connector(self) -> Self::Connector;
    fn timer(self) -> SharedTimer;
    fn build(self, builder: Builder<Factory<Self::Connector>>) -> KitClient<Self>;

    /// A builder whose hosts are `a.test` and `b.test`: this machine.
    fn builder(self) -> Builder<Factory<Self::Connector>> {
        self.builder_with_alpn(["h2", "http/1.1"])
    }

    fn builder_with_alpn<const N: usize>(
        self,
        alpn: [&str; N],
    ) -> Builder<Factory<Self::Connector>> {
        self.builder_with(LocalHosts::default(), alpn)
    }

    fn builder_with<const N: usize>(
        self,
        hosts: LocalHosts,
        alpn: [&str; N],
    ) -> Builder<Factory<Self::Connector>> {
        let config = TlsClientConfig::new(Roots::pem(server::certificate().0.clone()));
        let tls = self.connector().tls(config.with_alpn(alpn)).unwrap();
        let http = HappyEyeballs::new(self.connector(), self.timer()).with_resolver(hosts.clone());
        let https = HappyEyeballs::new(tls, self.timer()).with_resolver(hosts);
        Builder::new(Names::new(http).with_https(https))
    }

    fn client(self) -> KitClient<Self> {
        self.build(self.builder())
    }

    /// Waits until this holds, for at least a minute.
    async fn wait_until(self, what: &str, mut holds: impl FnMut() -> bool) {
        for _ in 0..6000 {
            if holds() {
                return;
            }
            self.timer().sleep(Duration::from_millis(10)).await;
        }
        panic!("not within a minute: {what}");
    }

    /// Waits until no connection is in use. On several threads, the connection of HTTP/1.1 may
    /// become free a moment after its response has been read.
    async fn wait_until_free(self, client: &KitClient<Self>) {
        self.wait_until("the connection is free", || client.counts().active == 0)
            .await;
    }

    /// Waits until the server's end of each connection has come.
    async fn wait_until_closed(self, client: &KitClient<Self>) {
        self.wait_until("each connection is closed", || {
            let counts = client.counts();
            counts.active + counts.idle == 0
        })
        .await;
    }
}

pub(crate) fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(Body::empty()).unwrap()
}

/// Sends a request, and collects the response's body.
pub(crate) async fn text<F: MakeConnection, M: ClientRuntime<F, Body>>(
    client: &Client<F, Body, M>,
    request: Request<Body>,
) -> Result<String, Error> {
    let response = client.send(request).await?;
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

macro_rules! kits {
    ($($kit:ident, $connector:ty, $mode:ty, $build:ident, $timer:expr;)+) => {$(
        #[derive(Clone, Copy)]
        pub(crate) struct $kit;

        impl Kit for $kit {
            type Connector = $connector;
            type Mode = $mode;

            fn connector(self) -> $connector {
                <$connector>::new()
            }

            fn timer(self) -> SharedTimer {
                $timer.timer()
            }

            fn build(self, builder: Builder<Factory<$connector>>) -> KitClient<Self> {
                builder.$build()
            }
        }
    )+};
}

kits! {
    OnTokio, TcpConnector, Ambient, build, Tokio::current();
    OnTokioPerCore, TcpConnector, PerWorker<TokioPerCore>, build_per_worker, TokioPerCore::current();
    OnMonoio, MonoioConnector, PerWorker<MonoioPerCore>, build_per_worker, MonoioPerCore::current();
    OnGlommio, GlommioConnector, PerWorker<GlommioPerCore>, build_per_worker, GlommioPerCore::current();
}

/// Adds each test for each runtime, unless something is missing. On tokio it is spawned, so its
/// futures must be `Send`.
macro_rules! on_every_runtime {
    ($tests:expr; $($rest:tt)+) => {
        $crate::kit::on_every_runtime!($tests, None::<String>; $($rest)+)
    };
    ($tests:expr, $missing:expr; $($module:ident::$name:ident),+ $(,)?) => {{
        let missing: Option<String> = $missing;
        let monoio = anyport_monoio::Driver::IoUring.check().err().map(|e| e.to_string());
        let glommio = <anyport_glommio::GlommioPerCore as anyport_core::Runtime>::check().err().map(|e| e.to_string());
        $tests$(
            .unless(missing.clone(), concat!(stringify!($name), "_on_tokio"), || {
                $crate::kit::on_tokio(|| $module::$name($crate::kit::OnTokio));
            })
            .unless(missing.clone(), concat!(stringify!($name), "_on_tokio_per_core"), || {
                anyport_core::runtime::block_on::<anyport_core::runtime::TokioPerCore, _>(None, || {
                    $module::$name($crate::kit::OnTokioPerCore)
                })
                .unwrap();
            })
            .unless(missing.clone().or(monoio.clone()), concat!(stringify!($name), "_on_monoio"), || {
                anyport_core::runtime::block_on::<anyport_monoio::MonoioPerCore, _>(None, || {
                    $module::$name($crate::kit::OnMonoio)
                })
                .unwrap();
            })
            .unless(missing.clone().or(glommio.clone()), concat!(stringify!($name), "_on_glommio"), || {
                anyport_core::runtime::block_on::<anyport_glommio::GlommioPerCore, _>(None, || {
                    $module::$name($crate::kit::OnGlommio)
                })
                .unwrap();
            })
        )+
    }};
}

pub(crate) use on_every_runtime;

pub(crate) fn on_tokio<T: Future<Output = ()> + Send + 'static>(test: impl FnOnce() -> T) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::spawn(test()).await.unwrap() });
}
