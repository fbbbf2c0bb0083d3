//! How do I write a transport of my own?
//! `cargo run --example custom_transport -- app.sock`, then
//! `curl --unix-socket app.sock http://localhost/`.
//! This one serves over Unix sockets. `tests/custom_transport.rs` runs the behaviour suite over it.
use anyport::runtime::{Tokio, TokioIo, Worker, shutdown};
use anyport::transport::{Conn, Connecting, Endpoint};
use anyport::{Body, ConnInfo, Error, Listener, Request, Response, Result, Transport};
use anyport::{serve_with, service_fn};
use anyport_examples::{exit_code, print_curl};
use clap::Parser;
use std::{convert::Infallible, future::Ready, os::unix::net, path::PathBuf, process::ExitCode};
use std::{fs, io, task::Context, task::Poll};
use tokio::net::{UnixListener, UnixStream};

#[derive(Clone)]
pub(crate) struct UnixSocket(pub(crate) PathBuf);

impl Transport for UnixSocket {
    type Runtime = Tokio;
    type Socket = (net::UnixListener, SocketFile);
    type Listener = Sockets;

    /// Runs on the thread that starts the server, so that an error fails the start. This runtime
    /// has one worker, which needs one socket.
    fn open(&self, _workers: usize) -> Result<Vec<Self::Socket>> {
        let listener = net::UnixListener::bind(&self.0)
            .map_err(|e| Error::bind(format_args!("unix:{}", self.0.display()), e))?;
        Ok(vec![(listener, SocketFile(self.0.clone()))])
    }

    fn endpoint(&self, (listener, _): &Self::Socket) -> io::Result<Endpoint> {
        Ok(listener.local_addr()?.into())
    }

    /// Runs on the worker, inside its runtime.
    fn listen(&self, (listener, file): Self::Socket, _: &Worker) -> io::Result<Sockets> {
        listener.set_nonblocking(true)?;
        Ok(Sockets {
            local: listener.local_addr()?.into(),
            listener: UnixListener::from_std(listener)?,
            _file: file,
        })
    }
}

pub(crate) struct Sockets {
    listener: UnixListener,
    local: Endpoint,
    _file: SocketFile,
}

impl Listener for Sockets {
    /// A ready-made connection: a stream with its facts.
    type Connection = Conn<TokioIo<UnixStream>>;
    /// No handshake precedes the first byte.
    type Handshake = Ready<io::Result<Self::Connection>>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        self.listener.poll_accept(cx).map_ok(|(stream, peer)| {
            let info = ConnInfo::new(net::SocketAddr::from(peer), self.local.clone());
            Connecting::ready(Conn::new(TokioIo::new(stream), info))
        })
    }
}

/// Removes the file of a socket. `anyport::Unix` also checks that no other server has replaced it.
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[derive(Parser)]
#[command(about = "Serves over a transport of its own: Unix sockets")]
struct Options {
    /// The file of the socket, which must not exist.
    path: PathBuf,
}

async fn hello(_: Request<Body>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("Hello over my own transport!\n".into()))
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    exit_code(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<()> {
    let server = serve_with(UnixSocket(options.path), service_fn(hello));
    let running = server.with_graceful_shutdown(shutdown::signal()).start()?;
    print_curl(&running, "http");
    running.wait().await.map(drop)
}
