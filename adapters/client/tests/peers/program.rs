//! A server in a process of its own, with a folder for its files.
use crate::{kit::Kit, server};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;
use tokio::net::TcpSocket;

/// The folder and the ports of a program.
pub(crate) struct Program {
    folder: TempDir,
    /// For plain connections.
    pub(crate) http: SocketAddr,
    /// For TLS.
    pub(crate) https: SocketAddr,
    /// They reserve the ports, until the program binds them with SO_REUSEPORT.
    _reserved: [TcpSocket; 2],
    child: Option<Child>,
}

impl Program {
    pub(crate) fn new() -> Self {
        let reserve = || {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseport(true).unwrap();
            socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
            socket
        };
        let reserved = [reserve(), reserve()];
        let program = Self {
            folder: tempfile::tempdir().unwrap(),
            http: reserved[0].local_addr().unwrap(),
            https: reserved[1].local_addr().unwrap(),
            _reserved: reserved,
            child: None,
        };
        let (chain, key) = server::certificate();
        program.file("pem", &format!("{chain}{key}"));
        program
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Starts the program, and waits until it listens.
    pub(crate) async fn start<K: Kit>(&mut self, kit: K, command: &mut Command) {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        let listens = |addr| TcpStream::connect(addr).is_ok();
        let (http, https) = (self.http, self.https);
        kit.wait_until("the program listens", || listens(http) && listens(https))
            .await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().map(Pid::from_child).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Program {
    /// The main process ends its workers. If it cannot, the test waits for longer than its limit.
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
            let _ = child.wait();
        }
    }
}
