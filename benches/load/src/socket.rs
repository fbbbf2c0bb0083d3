//! A client's socket, TCP or Unix alike; what's spoken over it is another's business.

use crate::Patience;
use anyhow::Context as _;
use anyport_bench_child::Address;
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use std::path::Path;

const IN_PROGRESS: i32 = Errno::INPROGRESS.raw_os_error();

/// Connects, and waits for that no longer than the patience lasts. The socket is a blocking one.
pub(crate) fn connect(address: &Address, patience: &Patience) -> anyhow::Result<Socket> {
    patience.check()?;
    open(address, patience).with_context(|| format!("cannot connect to {address}"))
}

/// Begins to connect, and doesn't wait for the server, but for room in the backlog of a Unix
/// socket. The socket is a nonblocking one.
pub(crate) fn begin(address: &Address, patience: &Patience) -> anyhow::Result<Socket> {
    patience.check()?;
    begin_to_open(address, patience).with_context(|| format!("cannot connect to {address}"))
}

fn begin_to_open(address: &Address, patience: &Patience) -> std::io::Result<Socket> {
    match address {
        Address::Tcp(address) | Address::Tls(address) => {
            let socket = Socket::new(
                Domain::for_address(*address),
                Type::STREAM.nonblocking(),
                None,
            )?;
            socket.set_tcp_nodelay(true)?;
            match socket.connect(&(*address).into()) {
                Err(error) if error.raw_os_error() == Some(IN_PROGRESS) => {}
                connected => connected?,
            }
            Ok(socket)
        }
        Address::Unix(path) => {
            let socket = unix(path, patience)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        }
    }
}

/// A connect waits while the backlog is full, but not longer than the patience lasts.
fn unix(path: &Path, patience: &Patience) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(patience.silence()))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket)
}

fn open(address: &Address, patience: &Patience) -> std::io::Result<Socket> {
    let socket = match address {
        Address::Tcp(address) | Address::Tls(address) => {
            let socket = Socket::new(Domain::for_address(*address), Type::STREAM, None)?;
            socket.set_tcp_nodelay(true)?;
            socket.connect_timeout(&(*address).into(), patience.silence())?;
            socket
        }
        Address::Unix(path) => unix(path, patience)?,
    };
    socket.set_read_timeout(Some(patience.silence()))?;
    socket.set_write_timeout(Some(patience.silence()))?;
    Ok(socket)
}
