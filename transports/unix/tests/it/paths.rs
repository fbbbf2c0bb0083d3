//! Who owns a path: one server at a time, which replaces what another one left behind, and cleans
//! up after itself, and never touches anything else.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::scene::{GRACE, Scene, connect, in_use, listen_to, who};
use anyport_core::{Endpoint, Transport, UnixName, serve_raw_with};
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

/// The socket of a server that's gone.
fn leave_a_socket(path: &Path) {
    // std removes nothing.
    drop(UnixListener::bind(path).unwrap());
}

#[test]
fn a_socket_that_nobody_listens_at_is_replaced() {
    let scene = Scene::new();
    leave_a_socket(&scene.path);
    let _server = scene.unix().open(1).unwrap();
    connect(&scene.path).unwrap();
}

#[test]
fn a_killed_server_is_replaced() {
    let scene = Scene::new();
    leave_a_socket(&scene.path);
    fs::write(scene.folder.path().join("app.sock.lock"), "").unwrap();
    let server = scene.unix().open(1).unwrap();
    connect(&scene.path).unwrap();
    drop(server);
    assert_eq!(scene.files(), [""; 0]);
}

#[test]
fn whatever_is_no_socket_is_an_error_and_stays() {
    let rule = "is there, and only a socket that nobody listens at is replaced (choose another path, or remove it)";
    let scene = Scene::new();
    let path = &scene.path;
    let refused = |what: &str| {
        assert_eq!(scene.error(), format!("{what} {rule}"));
        // Nor is a lock left beside it.
        assert_eq!(
            scene
                .files()
                .iter()
                .filter(|name| name.ends_with(".lock"))
                .count(),
            0
        );
    };

    fs::write(path, "dear to somebody").unwrap();
    refused("a regular file");
    assert_eq!(fs::read_to_string(path).unwrap(), "dear to somebody");
    fs::remove_file(path).unwrap();

    fs::create_dir(path).unwrap();
    refused("a directory");
    assert!(path.is_dir());
    fs::remove_dir(path).unwrap();

    // Not even if it leads to a socket that could be replaced, or nowhere.
    let elsewhere = scene.folder.path().join("elsewhere");
    for exists in [false, true] {
        if exists {
            leave_a_socket(&elsewhere);
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
fn a_socket_that_somebody_listens_at_is_in_use() {
    let scene = Scene::new();
    let path = &scene.path;

    let ours = scene.unix().open(1).unwrap();
    assert_eq!(scene.error(), in_use(path));
    connect(path).unwrap();
    drop(ours);

    // Somebody who knows nothing of the lock.
    let theirs = UnixListener::bind(path).unwrap();
    assert_eq!(scene.error(), in_use(path));
    connect(path).unwrap();
    drop(theirs);
    fs::remove_file(path).unwrap();

    let other_kind = UnixDatagram::bind(path).unwrap();
    assert_eq!(scene.error(), in_use(path));
    drop(other_kind);
    assert_eq!(scene.files(), ["app.sock"]);
}

#[test]
fn a_socket_whose_queue_is_full_is_in_use() {
    let scene = Scene::new();
    let address = SockAddr::unix(&scene.path).unwrap();
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
    assert_eq!(scene.error(), in_use(&scene.path));
}

#[test]
fn the_last_worker_removes_both_files() {
    let scene = Scene::new();
    let mut sockets = scene.unix().open(3).unwrap();
    while let Some(socket) = sockets.pop() {
        assert_eq!(scene.files(), ["app.sock", "app.sock.lock"]);
        connect(&scene.path).unwrap();
        drop(socket);
    }
    assert_eq!(scene.files(), [""; 0]);
}

#[test]
fn what_is_at_the_paths_by_then_and_not_ours_stays() {
    let scene = Scene::new();
    let server = scene.unix().open(1).unwrap();
    for name in ["app.sock", "app.sock.lock"] {
        fs::remove_file(scene.folder.path().join(name)).unwrap();
    }
    // Another server that knew no better, and everything again by this one.
    let next = scene.unix().open(1).unwrap();
    drop(server);
    assert_eq!(scene.files(), ["app.sock", "app.sock.lock"]);
    assert_eq!(scene.error(), in_use(&scene.path));
    connect(&scene.path).unwrap();

    for name in ["app.sock", "app.sock.lock"] {
        let path = scene.folder.path().join(name);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "dear to somebody").unwrap();
    }
    drop(next);
    assert_eq!(scene.files(), ["app.sock", "app.sock.lock"]);
}

#[test]
fn a_lock_file_with_something_in_it_is_locked_and_stays() {
    let scene = Scene::new();
    let lock = scene.folder.path().join("app.sock.lock");
    fs::write(&lock, "dear to somebody").unwrap();
    let server = scene.unix().open(1).unwrap();
    assert_eq!(scene.error(), in_use(&scene.path));
    drop(server);
    assert_eq!(scene.files(), ["app.sock.lock"]);
    assert_eq!(fs::read_to_string(&lock).unwrap(), "dear to somebody");
}

#[test]
fn of_servers_that_race_for_a_path_exactly_one_gets_it() {
    const RACERS: usize = 8;
    let scene = Scene::new();
    for round in 0..100 {
        if round % 2 == 0 {
            leave_a_socket(&scene.path);
        }
        let start = Barrier::new(RACERS);
        let race = || {
            start.wait();
            scene.unix().open(1)
        };
        let results: Vec<_> = thread::scope(|scope| {
            let racers: Vec<_> = (0..RACERS).map(|_| scope.spawn(race)).collect();
            racers
                .into_iter()
                .map(|racer| racer.join().unwrap())
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
        connect(&scene.path).unwrap();
        drop(won);
        assert_eq!(scene.files(), [""; 0], "round {round}");
    }
}

#[test]
fn servers_that_come_and_go_never_share_a_path() {
    let scene = Scene::new();
    let (taken, times) = (AtomicBool::new(false), AtomicUsize::new(0));
    let come_and_go = || {
        while times.load(SeqCst) < 500 {
            match scene.unix().open(1) {
                Ok(server) => {
                    assert!(!taken.swap(true, SeqCst), "two have it");
                    connect(&scene.path).unwrap();
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
            scope.spawn(come_and_go);
        }
    });
    assert_eq!(scene.files(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_is_bound_again_right_after_the_shutdown() {
    let scene = Scene::new();
    for _ in 0..10 {
        for server in [
            serve_raw_with(scene.unix(), who),
            serve_raw_with(scene.unix().per_core().with_workers(2), who),
        ] {
            let handle = server.start().unwrap();
            listen_to(connect(&scene.path).unwrap()).unwrap();
            handle.shutdown(GRACE).await.unwrap();
            assert_eq!(scene.files(), [""; 0]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aborted_server_removes_its_files_too() {
    let scene = Scene::new();
    let handle = serve_raw_with(scene.unix(), who).start().unwrap();
    listen_to(connect(&scene.path).unwrap()).unwrap();
    handle.abort().await.unwrap();
    assert_eq!(scene.files(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adopted_socket_is_left_to_its_other_owners() {
    let scene = Scene::new();
    let owner = UnixListener::bind(&scene.path).unwrap();
    for workers in [1, 3] {
        // It's queued before there's a server.
        let early = connect(&scene.path).unwrap();
        let adopted = Unix::from_std(owner.try_clone().unwrap());
        let server = serve_raw_with(adopted.per_core().with_workers(workers), who);
        let handle = server.start().unwrap();
        assert_eq!(
            handle.endpoints(),
            [Endpoint::Unix(UnixName::Path(scene.path.as_path().into()))]
        );
        assert!(listen_to(early).unwrap().contains("unix:/"));
        handle.shutdown(GRACE).await.unwrap();
        assert_eq!(scene.files(), ["app.sock"]);
    }
    let _late = connect(&scene.path).unwrap();
    owner.accept().unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abstract_name_is_served_and_free_again_at_once() {
    use std::os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixStream},
    };
    let name = format!("anyport-test-{}\0\x01", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let place = format!("unix:@anyport-test-{}\\x00\\x01", std::process::id());
    for _ in 0..3 {
        let handle = serve_raw_with(Unix::bind_abstract(&name), who)
            .start()
            .unwrap();
        assert_eq!(handle.endpoints()[0].to_string(), place);
        let said = listen_to(UnixStream::connect_addr(&address).unwrap()).unwrap();
        assert!(
            said.starts_with(&format!("unix: {place} Some(PeerCred")),
            "{said}"
        );
        let error = crate::scene::error_of(&Unix::bind_abstract(&name));
        assert!(
            error.starts_with(&format!("cannot bind {place}: address already in use (see")),
            "{error}"
        );
        handle.shutdown(GRACE).await.unwrap();
    }
}
