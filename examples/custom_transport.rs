//! How do I write a transport of my own? This one is Unix sockets:
//! `cargo run --example custom_transport -- app.sock`, then
//! `curl --unix-socket app.sock http://localhost/`.
//!
//! A [`Transport`] says where to listen, a [`Listener`] hands out connections; no line of it is
//! about a runtime. SIGTERM or Ctrl-C drains the server and removes the socket's file.
//! `tests/custom_transport.rs` has it tested as anyport's own transports are.
use anyport::{
    Body, Conn, ConnInfo, Endpoint, Error, Incoming, Listener, Request, Response, Result, TokioIo,
    Transport, Worker, runtime::Tokio, serve_with, service_fn, shutdown,
};
use clap::Parser;
use std::{
    convert::Infallible,
    fs,
    future::Ready,
    io,
    os::unix::{fs::MetadataExt, net},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::net::{UnixListener, UnixStream};

/// Where to listen. It's cloned to each worker.
#[derive(Clone)]
pub(crate) struct UnixSocket(pub(crate) PathBuf);

impl Transport for UnixSocket {
    type Runtime = Tokio;
    type Socket = (net::UnixListener, Arc<SocketFile>);
    type Listener = Sockets;

    /// On the thread that starts the server: whatever can't be bound, shows here.
    fn open(&self, workers: usize) -> Result<Vec<Self::Socket>> {
        let open = || -> io::Result<Vec<_>> {
            let listener = net::UnixListener::bind(&self.0)?;
            let file = Arc::new(SocketFile::of(&self.0)?);
            listener.set_nonblocking(true)?;
            (0..workers)
                .map(|_| Ok((listener.try_clone()?, Arc::clone(&file))))
                .collect()
        };
        open().map_err(|e| Error::bind(format_args!("unix:{}", self.0.display()), e))
    }

    fn endpoint(&self, (listener, _): &Self::Socket) -> io::Result<Endpoint> {
        Ok(listener.local_addr()?.into())
    }

    /// On the worker, inside its runtime.
    fn listen(&self, (listener, file): Self::Socket, _: &Worker) -> io::Result<Sockets> {
        Ok(Sockets {
            local: listener.local_addr()?.into(),
            listener: UnixListener::from_std(listener)?,
            _file: file,
        })
    }
}

/// The listening socket of one worker.
pub(crate) struct Sockets {
    listener: UnixListener,
    local: Endpoint,
    /// The last worker to stop removes it.
    _file: Arc<SocketFile>,
}

impl Listener for Sockets {
    /// The ready-made connection: any stream, and what's known about it.
    type Connection = Conn<TokioIo<UnixStream>>;
    /// Nothing has to happen before a connection can be used.
    type Handshake = Ready<io::Result<Self::Connection>>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming<Self::Handshake>>> {
        self.listener.poll_accept(cx).map_ok(|(stream, peer)| {
            let info = ConnInfo::new(net::SocketAddr::from(peer), self.local.clone());
            Incoming::ready(Conn::new(TokioIo::new(stream), info))
        })
    }
}

/// The file of a socket that this process bound. Binding fails where there's one already, so it's
/// never somebody else's.
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl SocketFile {
    fn of(path: &PathBuf) -> io::Result<Self> {
        let (path, file) = (path.clone(), fs::metadata(path)?);
        let inode = (file.dev(), file.ino());
        Ok(Self { path, inode })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Unless it has been replaced meanwhile, by a newer server perhaps.
        if fs::metadata(&self.path).is_ok_and(|file| (file.dev(), file.ino()) == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[derive(Parser)]
#[command(about = "Serves over a transport of its own: Unix sockets")]
struct Options {
    /// The socket's file, which must not exist.
    path: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<()> {
    let app = service_fn(|request: Request<Body>| async move {
        let text = format!(
            "Hello over a transport of my own: {}\n",
            request.uri().path()
        );
        Ok::<_, Infallible>(Response::new(text))
    });
    let server = serve_with(UnixSocket(options.path.clone()), app);
    let running = server.with_graceful_shutdown(shutdown::signal()).start()?;
    for endpoint in running.endpoints() {
        let path = options.path.display();
        println!("listening on {endpoint} (try: curl --unix-socket {path} http://localhost/)");
    }
    println!("{}", running.wait().await?);
    Ok(())
}
