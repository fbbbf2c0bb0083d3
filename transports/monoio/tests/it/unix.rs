//! Unix sockets on monoio: peer credentials, adopted sockets, and what remains after shutdown.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::fixture::{DRIVERS, GRACE, TIMEOUT};
use anyport_core::{Connection, Server, serve_raw_with};
use anyport_monoio::{Driver, MonoioUnix};
use hyper_util::rt::TokioIo;
use std::{
    fs,
    io::Read,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::Path,
    process,
};
use tokio::io::AsyncWriteExt;

/// Sends each client its process ID, its user ID and the local address.
fn server(unix: MonoioUnix, driver: Driver) -> Server {
    serve_raw_with(
        unix.with_driver(driver).with_workers(2),
        |connection| async move {
            let info = Connection::info(&connection);
            let cred = info.peer_cred().unwrap();
            let line = format!("{:?} {} {}", cred.pid, cred.uid, info.local());
            let mut io = TokioIo::new(connection);
            io.write_all(line.as_bytes()).await.unwrap();
            io.shutdown().await.unwrap();
        },
    )
}

fn read_reply(path: &Path) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

pub(crate) async fn peer_credentials_are_known_and_shutdown_removes_the_path() {
    for driver in DRIVERS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        let handle = server(MonoioUnix::bind(&path).with_mode(0o600), driver)
            .start()
            .unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let user = fs::metadata("/proc/self").map(|us| std::os::unix::fs::MetadataExt::uid(&us));
        let expected = format!(
            "Some({}) {} unix:{}",
            process::id(),
            user.unwrap(),
            path.display()
        );
        assert_eq!(read_reply(&path), expected, "{driver}");
        let error = server(MonoioUnix::bind(&path), driver)
            .start()
            .unwrap_err()
            .to_string();
        assert!(error.contains("address already in use"), "{error}");
        handle.shutdown(GRACE).await.unwrap();
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "{driver}");
    }
}

pub(crate) async fn adopted_socket_stays_open_for_its_other_owners() {
    for driver in DRIVERS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        let owner = UnixListener::bind(&path).unwrap();
        let adopted = MonoioUnix::from_std(owner.try_clone().unwrap());
        let handle = server(adopted, driver).start().unwrap();
        assert!(
            read_reply(&path).ends_with(&format!("unix:{}", path.display())),
            "{driver}"
        );
        handle.shutdown(GRACE).await.unwrap();
        let _in_flight = UnixStream::connect(&path).unwrap();
        owner.set_nonblocking(false).unwrap();
        owner.accept().unwrap();
    }
}

pub(crate) async fn abstract_name_is_free_after_shutdown() {
    for driver in DRIVERS {
        let name = format!("anyport-monoio-{}-{driver}", process::id());
        for _ in 0..5 {
            let handle = server(MonoioUnix::bind_abstract(&name), driver)
                .start()
                .unwrap();
            handle.shutdown(GRACE).await.unwrap();
        }
    }
}
