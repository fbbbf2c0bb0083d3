//! A client's socket, TCP or Unix alike; what's spoken over it is another's business.

use crate::Patience;
use anyhow::Context as _;
use anyport_bench_child::Address;
use socket2::{Domain, SockAddr, Socket, Type};

/// Connects, and waits for that no longer than the patience lasts. The socket is a blocking one.
pub(crate) fn connect(address: &Address, patience: &Patience) -> anyhow::Result<Socket> {
    patience.check()?;
    open(address, patience).with_context(|| format!("cannot connect to {address}"))
}

fn open(address: &Address, patience: &Patience) -> std::io::Result<Socket> {
    let socket = match address {
        Address::Tcp(address) | Address::Tls(address) => {
            let socket = Socket::new(Domain::for_address(*address), Type::STREAM, None)?;
            socket.set_tcp_nodelay(true)?;
            socket.connect_timeout(&(*address).into(), patience.silence())?;
            socket
        }
        Address::Unix(path) => {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            // A connect waits while the backlog is full, and this limits it, too.
            socket.set_write_timeout(Some(patience.silence()))?;
            socket.connect(&SockAddr::unix(path)?)?;
            socket
        }
    };
    socket.set_read_timeout(Some(patience.silence()))?;
    socket.set_write_timeout(Some(patience.silence()))?;
    Ok(socket)
}
