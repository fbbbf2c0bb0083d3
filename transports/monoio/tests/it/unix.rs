//! Unix sockets on monoio: who's at the other end, and what's left at the end.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::scene::{DRIVERS, GRACE, PATIENCE};
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

/// Tells each client its process, its user, and where it has connected.
fn who(unix: MonoioUnix, driver: Driver) -> Server {
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

fn ask(path: &Path) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

pub(crate) async fn a_client_is_known_and_the_path_is_gone_at_the_end() {
    for driver in DRIVERS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        let handle = who(MonoioUnix::bind(&path).with_mode(0o600), driver)
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
        assert_eq!(ask(&path), expected, "{driver}");
        let error = who(MonoioUnix::bind(&path), driver)
            .start()
            .unwrap_err()
            .to_string();
        assert!(error.contains("address already in use"), "{error}");
        handle.shutdown(GRACE).await.unwrap();
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "{driver}");
    }
}

pub(crate) async fn an_adopted_socket_is_not_shut_for_its_other_owners() {
    for driver in DRIVERS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        let owner = UnixListener::bind(&path).unwrap();
        let adopted = MonoioUnix::from_std(owner.try_clone().unwrap());
        let handle = who(adopted, driver).start().unwrap();
        assert!(
            ask(&path).ends_with(&format!("unix:{}", path.display())),
            "{driver}"
        );
        handle.shutdown(GRACE).await.unwrap();
        let _late = UnixStream::connect(&path).unwrap();
        owner.set_nonblocking(false).unwrap();
        owner.accept().unwrap();
    }
}

pub(crate) async fn an_abstract_name_is_free_again_at_once() {
    for driver in DRIVERS {
        let name = format!("anyport-monoio-{}-{driver}", process::id());
        for _ in 0..5 {
            let handle = who(MonoioUnix::bind_abstract(&name), driver)
                .start()
                .unwrap();
            handle.shutdown(GRACE).await.unwrap();
        }
    }
}
