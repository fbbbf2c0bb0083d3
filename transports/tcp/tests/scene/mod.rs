//! What the tests share: an app and a client.
#![allow(dead_code, unused_imports, reason = "each test uses some of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_core::{Connection, Handle};
pub(crate) use anyport_testkit::scene::{GRACE, PATIENCE, addr_of, hello};
use hyper_util::rt::TokioIo;
use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
};
use tokio::io::AsyncWriteExt;

/// A raw handler that says who connected, where, and to which worker, then closes:
/// `PEER LOCAL WORKER`.
pub(crate) async fn who(connection: impl Connection) {
    let info = connection.info();
    let line = format!("{} {} {}", info.peer(), info.local(), info.worker());
    say(connection, &line).await;
}

/// Sends one line and closes. A client that doesn't want it any more is its own affair.
pub(crate) async fn say(connection: impl Connection, line: &str) {
    let mut io = TokioIo::new(connection);
    let _ = io.write_all(line.as_bytes()).await;
    let _ = io.shutdown().await;
}

pub(crate) fn port_of(handle: &Handle) -> u16 {
    addr_of(handle).port()
}

pub(crate) fn connect(addr: impl ToSocketAddrs) -> io::Result<TcpStream> {
    let addr = addr.to_socket_addrs()?.next().unwrap();
    let stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// What the server says before it closes.
pub(crate) fn listen_to(mut stream: TcpStream) -> io::Result<String> {
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

/// The body of the answer to one request, on a connection of its own.
pub(crate) fn get(addr: impl ToSocketAddrs) -> io::Result<String> {
    let mut stream = connect(addr)?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
    let response = listen_to(stream)?;
    let (_, body) = response
        .split_once("\r\n\r\n")
        .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, response.clone()))?;
    Ok(body.to_owned())
}
