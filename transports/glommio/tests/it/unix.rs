//! Unix sockets: who connected, and what becomes of the name.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_core::{Accepted, Connection, Handle, serve_raw_with};
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

const PATIENCE: Duration = Duration::from_secs(60);

/// A server that tells each client who it is.
fn serve(unix: GlommioUnix) -> anyport_core::Result<Handle> {
    let handler = |io: Accepted<GlommioConnection>| async move {
        let said = format!("{:?}", io.info().peer_cred());
        let mut io = TokioIo::new(io);
        io.write_all(said.as_bytes()).await.unwrap();
        io.shutdown().await.unwrap();
    };
    serve_raw_with(unix.with_workers(2), handler).start()
}

fn hears(mut client: UnixStream) -> String {
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut said = String::new();
    client.read_to_string(&mut said).unwrap();
    said
}

/// This process.
fn own_cred() -> String {
    let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
    let cred = anyport_core::PeerCred::new(uid.as_raw(), gid.as_raw());
    format!("{:?}", Some(cred.with_pid(std::process::id())))
}

pub(crate) async fn it_knows_who_connected_and_leaves_no_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("app.sock");
    for _ in 0..2 {
        let handle = serve(GlommioUnix::bind(&path)).unwrap();
        for _ in 0..4 {
            assert_eq!(hears(UnixStream::connect(&path).unwrap()), own_cred());
        }
        let error = serve(GlommioUnix::bind(&path)).unwrap_err().to_string();
        assert!(error.contains("address already in use"), "{error}");
        handle.shutdown(Duration::from_secs(1)).await.unwrap();
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}

pub(crate) async fn a_server_that_is_aborted_lets_nobody_in() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("app.sock");
    let handle = serve(GlommioUnix::bind(&path)).unwrap();
    hears(UnixStream::connect(&path).unwrap());
    handle.abort().await.unwrap();
    assert_eq!(
        UnixStream::connect(&path).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
}

/// The kernel holds nothing of the socket for the ring, which hears of the end a little later.
pub(crate) async fn an_address_is_free_as_soon_as_its_server_has_ended() {
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

pub(crate) async fn a_name_in_the_abstract_namespace_is_served() {
    let name = format!("anyport-glommio-test-{}", std::process::id());
    let handle = serve(GlommioUnix::bind_abstract(&name)).unwrap();
    let addr = SocketAddr::from_abstract_name(&name).unwrap();
    assert_eq!(hears(UnixStream::connect_addr(&addr).unwrap()), own_cred());
    handle.shutdown(Duration::from_secs(1)).await.unwrap();
    assert!(UnixStream::connect_addr(&addr).is_err());
}

pub(crate) async fn an_adopted_socket_stays_open_for_its_other_owners() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("app.sock");
    let owner = UnixListener::bind(&path).unwrap();
    let handle = serve(GlommioUnix::from_std(owner.try_clone().unwrap())).unwrap();
    assert_eq!(hears(UnixStream::connect(&path).unwrap()), own_cred());
    handle.shutdown(Duration::from_secs(1)).await.unwrap();
    let client = UnixStream::connect(&path).unwrap();
    drop(owner.accept().unwrap());
    assert_eq!(hears(client), "");
}
