//! The names that the Unix connector connects to.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_core::{
    Connection,
    transport::{Connector, Target, UnixName},
};
use anyport_unix::{UnixConnection, UnixConnector};
use socket2::SockRef;
use std::{io, os::unix::net::UnixListener, path::Path};
use tempfile::TempDir;

async fn connect(name: UnixName) -> io::Result<UnixConnection> {
    UnixConnector::new()
        .connect(&Target::new(name))
        .await?
        .await
}

async fn refusal(path: &Path, kind: io::ErrorKind) -> String {
    let error = connect(UnixName::Path(path.into())).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    error.to_string()
}

#[tokio::test]
async fn invalid_paths_are_errors_with_advice() {
    let folder = TempDir::new().unwrap();
    let none = folder.path().join("none.sock");
    let text = refusal(&none, io::ErrorKind::NotFound).await;
    let begin = format!("cannot connect to unix:{}: ", none.display());
    assert!(text.starts_with(&begin), "{text}");
    let text = refusal(Path::new(""), io::ErrorKind::InvalidInput).await;
    assert!(text.contains("the path is empty"), "{text}");
    let long = folder.path().join("a".repeat(200));
    let text = refusal(&long, io::ErrorKind::InvalidInput).await;
    assert!(text.contains("bytes long, and the maximum is"), "{text}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn abstract_name_is_connected_to() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("anyport-connector-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let connection = connect(UnixName::Abstract(name.as_bytes().into()))
        .await
        .unwrap();
    assert_eq!(
        connection.info().peer().to_string(),
        format!("unix:@{name}")
    );
    let cred = connection.info().peer_cred().unwrap();
    assert_eq!(cred.pid, Some(std::process::id()));
}

#[tokio::test]
async fn full_queue_is_connection_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    SockRef::from(&listener).listen(1).unwrap();
    let mut queued = Vec::new();
    let error = loop {
        match connect(UnixName::Path(path.as_path().into())).await {
            Ok(connection) => queued.push(connection),
            Err(error) => break error,
        }
        assert!(queued.len() < 100, "the queue is never full");
    };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert!(
        error
            .to_string()
            .contains("the queue of the listening socket is full"),
        "{error}"
    );
}
