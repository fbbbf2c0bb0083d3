//! Unix sockets on glommio: peer credentials, adopted sockets, and what remains after shutdown.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_core::{Connection, Handle, protocol::Accepted, serve_raw_with};
use anyport_glommio::{Glommio, GlommioConnection, GlommioUnix};
use hyper_util::rt::TokioIo;
use std::{
    io::{self, Read},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

const TIMEOUT: Duration = Duration::from_secs(60);

/// A server that sends each client its credentials.
fn serve(unix: GlommioUnix) -> anyport_core::Result<Handle> {
    let handler = |io: Accepted<GlommioConnection>| async move {
        let reply = format!("{:?}", io.info().peer_cred());
        let mut io = TokioIo::new(io);
        io.write_all(reply.as_bytes()).await.unwrap();
        io.shutdown().await.unwrap();
    };
    serve_raw_with(unix.with_workers(2), handler).start()
}

fn read_reply(mut client: UnixStream) -> String {
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut reply = String::new();
    client.read_to_string(&mut reply).unwrap();
    reply
}

/// The credentials of this process.
fn own_cred() -> String {
    let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
    let cred = anyport_core::transport::PeerCred::new(uid.as_raw(), gid.as_raw());
    format!("{:?}", Some(cred.with_pid(std::process::id())))
}

pub(crate) async fn peer_credentials_are_known_and_shutdown_removes_the_path() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("app.sock");
    for _ in 0..2 {
        let handle = serve(GlommioUnix::bind(&path)).unwrap();
        for _ in 0..4 {
            assert_eq!(read_reply(UnixStream::connect(&path).unwrap()), own_cred());
        }
        let error = serve(GlommioUnix::bind(&path)).unwrap_err().to_string();
        assert!(error.contains("address already in use"), "{error}");
        handle.shutdown(Duration::from_secs(1)).await.unwrap();
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}

pub(crate) async fn aborted_server_refuses_new_connections() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("app.sock");
    let handle = serve(GlommioUnix::bind(&path)).unwrap();
    read_reply(UnixStream::connect(&path).unwrap());
    handle.abort().await.unwrap();
    assert_eq!(
        UnixStream::connect(&path).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
}

/// The ring holds no reference to the listening socket, although the ring is torn down later.
pub(crate) async fn address_is_free_after_shutdown() {
    let name = format!("anyport-glommio-again-{}", std::process::id());
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for _ in 0..20 {
        let handle = serve(GlommioUnix::bind_abstract(&name)).unwrap();
        handle.abort().await.unwrap();
        let handler = |_: Accepted<GlommioConnection>| async {};
        let handle = serve_raw_with(Glommio::bind(port).with_workers(2), handler).start();
        handle.unwrap().abort().await.unwrap();
    }
}

pub(crate) async fn abstract_name_accepts_connections() {
    let name = format!("anyport-glommio-test-{}", std::process::id());
    let handle = serve(GlommioUnix::bind_abstract(&name)).unwrap();
    let addr = SocketAddr::from_abstract_name(&name).unwrap();
    assert_eq!(
        read_reply(UnixStream::connect_addr(&addr).unwrap()),
        own_cred()
    );
    handle.shutdown(Duration::from_secs(1)).await.unwrap();
    assert!(UnixStream::connect_addr(&addr).is_err());
}

pub(crate) async fn adopted_socket_stays_open_for_its_other_owners() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("app.sock");
    let owner = UnixListener::bind(&path).unwrap();
    let handle = serve(GlommioUnix::from_std(owner.try_clone().unwrap())).unwrap();
    assert_eq!(read_reply(UnixStream::connect(&path).unwrap()), own_cred());
    handle.shutdown(Duration::from_secs(1)).await.unwrap();
    let client = UnixStream::connect(&path).unwrap();
    drop(owner.accept().unwrap());
    assert_eq!(read_reply(client), "");
}
