//! A path belongs to one server at a time. A server replaces what a dead one left behind, removes
//! its own files, and touches no other file.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::fixture::{Fixture, GRACE, connect, describe_connection, in_use, read_all};
use anyport_core::{
    Transport, serve_raw_with,
    transport::{Endpoint, UnixName},
};
use anyport_unix::Unix;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use socket2::{Domain, SockAddr, Socket, Type};
use std::{
    fs, io,
    os::unix::{
        fs::symlink,
        net::{UnixDatagram, UnixListener},
    },
    path::Path,
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

/// Leaves the socket file of a server that has ended.
fn leave_stale_socket(path: &Path) {
    // std does not remove the file.
    drop(UnixListener::bind(path).unwrap());
}

#[test]
fn stale_socket_is_replaced() {
    let fixture = Fixture::new();
    leave_stale_socket(&fixture.path);
    let _server = fixture.unix().open(1).unwrap();
    connect(&fixture.path).unwrap();
}

#[test]
fn files_of_a_killed_server_are_replaced() {
    let fixture = Fixture::new();
    leave_stale_socket(&fixture.path);
    fs::write(fixture.folder.path().join("app.sock.lock"), "").unwrap();
    let server = fixture.unix().open(1).unwrap();
    connect(&fixture.path).unwrap();
    drop(server);
    assert_eq!(fixture.files(), [""; 0]);
}

#[test]
fn other_file_types_are_errors_and_stay() {
    let rule = "exists, and only a socket without a listener is replaced (choose another path, or remove it)";
    let fixture = Fixture::new();
    let path = &fixture.path;
    let refused = |what: &str| {
        assert_eq!(fixture.error(), format!("{what} {rule}"));
        // No lock file is left beside it.
        assert_eq!(
            fixture
                .files()
                .iter()
                .filter(|name| name.ends_with(".lock"))
                .count(),
            0
        );
    };

    fs::write(path, "precious").unwrap();
    refused("a regular file");
    assert_eq!(fs::read_to_string(path).unwrap(), "precious");
    fs::remove_file(path).unwrap();

    fs::create_dir(path).unwrap();
    refused("a directory");
    assert!(path.is_dir());
    fs::remove_dir(path).unwrap();

    // A link is an error even if it leads to a stale socket, or nowhere.
    let elsewhere = fixture.folder.path().join("elsewhere");
    for exists in [false, true] {
        if exists {
            leave_stale_socket(&elsewhere);
        }
        symlink(&elsewhere, path).unwrap();
        refused("a symbolic link");
        assert_eq!(elsewhere.exists(), exists);
        assert_eq!(fs::read_link(path).unwrap(), elsewhere);
        fs::remove_file(path).unwrap();
    }

    mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).unwrap();
    refused("a device or a pipe");
    assert!(path.exists());
}

#[test]
fn listening_socket_is_in_use() {
    let fixture = Fixture::new();
    let path = &fixture.path;

    let ours = fixture.unix().open(1).unwrap();
    assert_eq!(fixture.error(), in_use(path));
    connect(path).unwrap();
    drop(ours);

    // This server does not use the lock.
    let theirs = UnixListener::bind(path).unwrap();
    assert_eq!(fixture.error(), in_use(path));
    connect(path).unwrap();
    drop(theirs);
    fs::remove_file(path).unwrap();

    let other_kind = UnixDatagram::bind(path).unwrap();
    assert_eq!(fixture.error(), in_use(path));
    drop(other_kind);
    assert_eq!(fixture.files(), ["app.sock"]);
}

#[test]
fn socket_with_a_full_queue_is_in_use() {
    let fixture = Fixture::new();
    let address = SockAddr::unix(&fixture.path).unwrap();
    let busy = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    busy.bind(&address).unwrap();
    busy.listen(0).unwrap();
    let mut queued = Vec::new();
    loop {
        let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        client.set_nonblocking(true).unwrap();
        match client.connect(&address) {
            Ok(()) => queued.push(client),
            Err(e) => break assert_eq!(e.kind(), io::ErrorKind::WouldBlock),
        }
    }
    assert_eq!(fixture.error(), in_use(&fixture.path));
}

#[test]
fn last_worker_removes_both_files() {
    let fixture = Fixture::new();
    let mut sockets = fixture.unix().open(3).unwrap();
    while let Some(socket) = sockets.pop() {
        assert_eq!(fixture.files(), ["app.sock", "app.sock.lock"]);
        connect(&fixture.path).unwrap();
        drop(socket);
    }
    assert_eq!(fixture.files(), [""; 0]);
}

#[test]
fn foreign_files_at_the_paths_stay() {
    let fixture = Fixture::new();
    let server = fixture.unix().open(1).unwrap();
    for name in ["app.sock", "app.sock.lock"] {
        fs::remove_file(fixture.folder.path().join(name)).unwrap();
    }
    // Another server binds the removed path, and creates both files again.
    let next = fixture.unix().open(1).unwrap();
    drop(server);
    assert_eq!(fixture.files(), ["app.sock", "app.sock.lock"]);
    assert_eq!(fixture.error(), in_use(&fixture.path));
    connect(&fixture.path).unwrap();

    for name in ["app.sock", "app.sock.lock"] {
        let path = fixture.folder.path().join(name);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
    }
    drop(next);
    assert_eq!(fixture.files(), ["app.sock", "app.sock.lock"]);
}

#[test]
fn nonempty_lock_file_is_locked_and_stays() {
    let fixture = Fixture::new();
    let lock = fixture.folder.path().join("app.sock.lock");
    fs::write(&lock, "precious").unwrap();
    let server = fixture.unix().open(1).unwrap();
    assert_eq!(fixture.error(), in_use(&fixture.path));
    drop(server);
    assert_eq!(fixture.files(), ["app.sock.lock"]);
    assert_eq!(fs::read_to_string(&lock).unwrap(), "precious");
}

#[test]
fn exactly_one_of_racing_servers_gets_the_path() {
    const SERVERS: usize = 8;
    let fixture = Fixture::new();
    for round in 0..100 {
        if round % 2 == 0 {
            leave_stale_socket(&fixture.path);
        }
        let start = Barrier::new(SERVERS);
        let race = || {
            start.wait();
            fixture.unix().open(1)
        };
        let results: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..SERVERS).map(|_| scope.spawn(race)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1, "round {round}: {lost:?}");
        for error in lost {
            let error = error.unwrap_err().to_string();
            assert!(
                error.contains("address already in use"),
                "round {round}: {error}"
            );
        }
        connect(&fixture.path).unwrap();
        drop(won);
        assert_eq!(fixture.files(), [""; 0], "round {round}");
    }
}

#[test]
fn concurrent_servers_never_share_a_path() {
    let fixture = Fixture::new();
    let (taken, times) = (AtomicBool::new(false), AtomicUsize::new(0));
    let serve_repeatedly = || {
        while times.load(SeqCst) < 500 {
            match fixture.unix().open(1) {
                Ok(server) => {
                    assert!(!taken.swap(true, SeqCst), "two servers have it");
                    connect(&fixture.path).unwrap();
                    times.fetch_add(1, SeqCst);
                    taken.store(false, SeqCst);
                    drop(server);
                }
                Err(e) => assert!(e.to_string().contains("address already in use"), "{e}"),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(serve_repeatedly);
        }
    });
    assert_eq!(fixture.files(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn path_is_free_after_shutdown() {
    let fixture = Fixture::new();
    for _ in 0..10 {
        for server in [
            serve_raw_with(fixture.unix(), describe_connection),
            serve_raw_with(
                fixture.unix().per_core().with_workers(2),
                describe_connection,
            ),
        ] {
            let handle = server.start().unwrap();
            read_all(connect(&fixture.path).unwrap()).unwrap();
            handle.shutdown(GRACE).await.unwrap();
            assert_eq!(fixture.files(), [""; 0]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aborted_server_removes_its_files() {
    let fixture = Fixture::new();
    let handle = serve_raw_with(fixture.unix(), describe_connection)
        .start()
        .unwrap();
    read_all(connect(&fixture.path).unwrap()).unwrap();
    handle.abort().await.unwrap();
    assert_eq!(fixture.files(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adopted_socket_stays_open_for_its_other_owners() {
    let fixture = Fixture::new();
    let owner = UnixListener::bind(&fixture.path).unwrap();
    for workers in [1, 3] {
        // This client is queued before the server exists.
        let early = connect(&fixture.path).unwrap();
        let adopted = Unix::from_std(owner.try_clone().unwrap());
        let server = serve_raw_with(
            adopted.per_core().with_workers(workers),
            describe_connection,
        );
        let handle = server.start().unwrap();
        assert_eq!(
            handle.endpoints(),
            [Endpoint::Unix(UnixName::Path(
                fixture.path.as_path().into()
            ))]
        );
        assert!(read_all(early).unwrap().contains("unix:/"));
        handle.shutdown(GRACE).await.unwrap();
        assert_eq!(fixture.files(), ["app.sock"]);
    }
    let _late = connect(&fixture.path).unwrap();
    owner.accept().unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abstract_name_is_served_and_free_after_shutdown() {
    use std::os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixStream},
    };
    let name = format!("anyport-test-{}\0\x01", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let endpoint = format!("unix:@anyport-test-{}\\x00\\x01", std::process::id());
    for _ in 0..3 {
        let handle = serve_raw_with(Unix::bind_abstract(&name), describe_connection)
            .start()
            .unwrap();
        assert_eq!(handle.endpoints()[0].to_string(), endpoint);
        let line = read_all(UnixStream::connect_addr(&address).unwrap()).unwrap();
        assert!(
            line.starts_with(&format!("unix: {endpoint} Some(PeerCred")),
            "{line}"
        );
        let error = crate::fixture::error_of(&Unix::bind_abstract(&name));
        assert!(
            error.starts_with(&format!(
                "cannot bind {endpoint}: address already in use (find"
            )),
            "{error}"
        );
        handle.shutdown(GRACE).await.unwrap();
    }
}
