//! A proxy in a process of its own, which listens on a free port of 127.0.0.1.
use crate::server::LIMIT;
use rustix::io::{FdFlags, fcntl_setfd};
use std::{
    fs,
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// A running proxy; killed when it is dropped.
pub(crate) struct Proxy {
    child: Child,
    front: Front,
}

/// A proxy that is about to be started.
pub(crate) struct Front {
    addr: SocketAddr,
    socket: OwnedFd,
    folder: TempDir,
}

impl Front {
    /// A listening socket, for a proxy that takes over a descriptor.
    pub(crate) fn listening() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        fcntl_setfd(&listener, FdFlags::empty()).unwrap();
        let addr = listener.local_addr().unwrap();
        Self::new(addr, listener.into())
    }

    /// Reserves a port until a proxy binds it with SO_REUSEPORT.
    pub(crate) fn reserved() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseport(true).unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let addr = socket.local_addr().unwrap();
        Self::new(addr, socket.as_fd().try_clone_to_owned().unwrap())
    }

    fn new(addr: SocketAddr, socket: OwnedFd) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            addr,
            socket,
            folder,
        }
    }

    pub(crate) fn descriptor(&self) -> i32 {
        self.socket.as_raw_fd()
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn start(self, command: &mut Command) -> Proxy {
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        Proxy { child, front: self }
    }
}

impl Proxy {
    pub(crate) fn path(&self, name: &str) -> String {
        self.front.path(name)
    }

    /// A connection from this address.
    pub(crate) async fn connect_from(&self, from: Ipv4Addr) -> TcpStream {
        let connected = async {
            loop {
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind((from, 0).into()).unwrap();
                match socket.connect(self.front.addr).await {
                    Ok(stream) => break stream,
                    // The proxy does not listen yet.
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                        tokio::task::yield_now().await;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        };
        let stream = timeout(LIMIT, connected).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
