//! Servers on a tokio of their own: anyport's, and scripts that send any bytes.
use anyport_core::{Body, Handle, Server, Transport, bounds::AppOver, serve_with};
use anyport_tcp::Tcp;
use anyport_tls::{Certificate, TlsConfig, TlsExt};
use http::{Request, Response};
use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    runtime::Runtime,
    sync::Barrier,
    task::{JoinHandle, JoinSet},
};
use tower::{service_fn, util::BoxCloneService};

/// The runtime of all servers.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(2).enable_all().build().unwrap()
    })
}

/// The certificate of `a.test` and `b.test`, and its key.
pub(crate) fn certificate() -> &'static (String, String) {
    static CERTIFICATE: OnceLock<(String, String)> = OnceLock::new();
    CERTIFICATE.get_or_init(|| {
        let names = ["a.test".to_owned(), "b.test".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    })
}

/// How many requests to `/together` are answered at once.
pub(crate) const TOGETHER: usize = 6;

/// A server of anyport.
pub(crate) struct Served {
    pub(crate) handle: Handle,
}

/// Answers with the request's body. `/never` is not answered.
async fn answer(
    barrier: Arc<Barrier>,
    request: Request<Body>,
) -> Result<Response<Body>, Infallible> {
    match request.uri().path() {
        "/together" => {
            barrier.wait().await;
        }
        "/never" => std::future::pending().await,
        _ => {}
    }
    Ok(Response::new(request.into_body()))
}

impl Served {
    pub(crate) fn http() -> Self {
        Self::start(Tcp::bind("127.0.0.1:0"), |server| server)
    }

    /// HTTP/1.1 and HTTP/2 over TLS.
    pub(crate) fn https(settings: impl FnOnce(Server) -> Server) -> Self {
        let (chain, key) = certificate().clone();
        let tls = TlsConfig::new(Certificate::pem(chain, key));
        Self::start(Tcp::bind("127.0.0.1:0").tls(tls), settings)
    }

    pub(crate) fn start<T: Transport>(transport: T, settings: impl FnOnce(Server) -> Server) -> Self
    where
        App: AppOver<T>,
    {
        let barrier = Arc::new(Barrier::new(TOGETHER));
        let app: App = {
            BoxCloneService::new(service_fn(move |request| {
                answer(Arc::clone(&barrier), request)
            }))
        };
        let _entered = runtime().enter();
        let handle = settings(serve_with(transport, app)).start().unwrap();
        Self { handle }
    }

    pub(crate) fn port(&self) -> u16 {
        self.handle.endpoints()[0].socket_addr().unwrap().port()
    }

    pub(crate) fn uri(&self, path: &str) -> String {
        format!("http://a.test:{}{path}", self.port())
    }

    pub(crate) fn secure_uri(&self, path: &str) -> String {
        format!("https://a.test:{}{path}", self.port())
    }
}

type App = BoxCloneService<Request<Body>, Response<Body>, Infallible>;

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.handle.shutdown(Duration::ZERO));
    }
}

/// A server that does what a script says, for each connection.
pub(crate) struct Script {
    pub(crate) address: SocketAddr,
    /// How many connections there have been.
    pub(crate) accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Script {
    /// The script gets each connection and its number, from zero.
    pub(crate) fn start<F: Future<Output = io::Result<()>> + Send + 'static>(
        script: impl Fn(TcpStream, usize) -> F + Send + 'static,
    ) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), script)
    }

    pub(crate) fn at<F: Future<Output = io::Result<()>> + Send + 'static>(
        address: SocketAddr,
        script: impl Fn(TcpStream, usize) -> F + Send + 'static,
    ) -> Self {
        let _entered = runtime().enter();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        let listener = socket.listen(64).unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let task = runtime().spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(script(stream, count.fetch_add(1, Ordering::SeqCst)));
            }
        });
        Self {
            address,
            accepted,
            task,
        }
    }

    pub(crate) fn uri(&self, path: &str) -> String {
        format!("http://a.test:{}{path}", self.address.port())
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Ends it. From now on, its address refuses.
    pub(crate) async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A port of 127.0.0.1 that refuses, and that nobody else gets while the socket is kept.
pub(crate) fn refusing_port() -> (u16, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    (socket.local_addr().unwrap().port(), socket)
}

/// Reads the head of a request.
pub(crate) async fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8(head).unwrap())
}

pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Answers each request of a connection.
pub(crate) async fn answer_all(mut stream: TcpStream) -> io::Result<()> {
    loop {
        read_head(&mut stream).await?;
        stream.write_all(OK).await?;
    }
}
