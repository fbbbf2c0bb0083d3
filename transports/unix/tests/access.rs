//! Who may connect, and who did: mode, owner, and the credentials of the peer.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod scene;

use anyport_core::{Body, ConnInfo, HttpOptions, PeerCred, Transport, serve_raw_with, serve_with};
use http::{Request, Response};
use rustix::process::{getegid, geteuid};
use scene::{GRACE, NOBODY, Scene, connect, error_at, is_root, listen_to, skipped, who, without_rights};
use std::{
    fs::{self, Permissions},
    future::ready,
    io::{self, Write},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::UnixStream,
    },
};

fn mode(scene: &Scene) -> u32 {
    fs::metadata(&scene.path).unwrap().mode() & 0o7777
}

#[test]
fn the_mode_is_what_was_asked_for_whatever_the_umask_is() {
    let scene = Scene::new();
    for wanted in [0o660, 0o666, 0o777, 0o600, 0] {
        let _server = scene.unix().with_mode(wanted).open(1).unwrap();
        assert_eq!(mode(&scene), wanted);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_mode_is_what_the_umask_leaves_by_default() {
    let scene = Scene::new();
    let _server = scene.unix().open(1).unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let umask = status
        .lines()
        .find_map(|line| line.strip_prefix("Umask:"))
        .unwrap();
    let umask = u32::from_str_radix(umask.trim(), 8).unwrap();
    assert_eq!(mode(&scene), 0o777 & !umask);
}

#[test]
fn the_lock_is_for_its_user_only() {
    let scene = Scene::new();
    let _server = scene.unix().open(1).unwrap();
    let lock = fs::metadata(scene.folder.path().join("app.sock.lock")).unwrap();
    assert_eq!(lock.mode() & 0o777, 0o600);
}

#[test]
fn the_owner_is_who_was_asked_for() {
    let scene = Scene::new();
    let owner = || {
        let file = fs::metadata(&scene.path).unwrap();
        (file.uid(), file.gid())
    };
    let us = (geteuid().as_raw(), getegid().as_raw());
    let with_owner = |user, group| scene.unix().with_owner(user, group).open(1).unwrap();
    let server = with_owner(Some(us.0), Some(us.1));
    assert_eq!(owner(), us);
    drop(server);
    if !is_root() {
        return skipped(
            "the_owner_is_who_was_asked_for",
            "only root gives files to others",
        );
    }
    for (user, group) in [(Some(NOBODY), None), (None, Some(NOBODY)), (Some(1), Some(2))] {
        let _server = with_owner(user, group);
        assert_eq!(owner(), (user.unwrap_or(us.0), group.unwrap_or(us.1)));
    }
}

#[test]
fn an_owner_that_this_user_may_not_choose_is_an_error_and_nothing_is_left() {
    let test = "an_owner_that_this_user_may_not_choose_is_an_error_and_nothing_is_left";
    let scene = Scene::new();
    fs::set_permissions(scene.folder.path(), Permissions::from_mode(0o777)).unwrap();
    let refused = || {
        error_at(
            &scene.path,
            &scene.unix().with_mode(0o660).with_owner(Some(0), Some(0)),
        )
    };
    if let Some(error) = without_rights(test, refused) {
        assert_eq!(
            error,
            "cannot give its file to user 0 and group 0: permission denied (only root gives files to others; a user can \
             choose among the groups it's in)"
        );
        assert_eq!(scene.files(), [""; 0]);
    }
}

#[test]
fn a_user_without_the_right_cannot_connect() {
    let test = "a_user_without_the_right_cannot_connect";
    if !is_root() {
        return skipped(test, "it takes two users");
    }
    let scene = Scene::new();
    fs::set_permissions(scene.folder.path(), Permissions::from_mode(0o755)).unwrap();
    for (mode, user, may) in [
        (0o660, None, false),
        (0o666, None, true),
        (0o600, Some(NOBODY), true),
    ] {
        let _server = scene
            .unix()
            .with_mode(mode)
            .with_owner(user, None)
            .open(1)
            .unwrap();
        let connected = without_rights(test, || UnixStream::connect(&scene.path).map(drop));
        if let Some(connected) = connected {
            let refused = connected.map_err(|e| e.kind());
            let expected = if may {
                Ok(())
            } else {
                Err(io::ErrorKind::PermissionDenied)
            };
            assert_eq!(refused, expected, "mode {mode:o}, user {user:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raw_handler_learns_who_connected_and_where() {
    let scene = Scene::new();
    let handle = serve_raw_with(scene.unix().with_mode(0o666), who)
        .start()
        .unwrap();
    let place = format!("unix:{}", scene.path.display());
    assert_eq!(handle.endpoints()[0].to_string(), place);
    let told = |cred: PeerCred| format!("unix: {place} {:?}", Some(cred));
    let cred = |uid, gid| PeerCred::new(uid, gid).with_pid(std::process::id());
    let us = cred(geteuid().as_raw(), getegid().as_raw());
    assert_eq!(listen_to(connect(&scene.path).unwrap()).unwrap(), told(us));

    // Another user, in the same process.
    fs::set_permissions(scene.folder.path(), Permissions::from_mode(0o755)).unwrap();
    let said = without_rights("a_raw_handler_learns_who_connected_and_where", || {
        listen_to(connect(&scene.path).unwrap()).unwrap()
    });
    if let Some(said) = said.filter(|_| is_root()) {
        assert_eq!(said, told(cred(NOBODY, NOBODY)));
    }
    handle.shutdown(GRACE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_has_a_name_is_named() {
    use socket2::{Domain, SockAddr, Socket, Type};
    let scene = Scene::new();
    let handle = serve_raw_with(scene.unix(), who).start().unwrap();
    let name = scene.folder.path().join("client.sock");
    let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    client.bind(&SockAddr::unix(&name).unwrap()).unwrap();
    client.connect(&SockAddr::unix(&scene.path).unwrap()).unwrap();
    let said = listen_to(client.into()).unwrap();
    assert!(
        said.starts_with(&format!("unix:{} unix:", name.display())),
        "{said}"
    );
    handle.shutdown(GRACE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_learns_who_asks() {
    let scene = Scene::new();
    let app = tower::service_fn(|request: Request<Body>| {
        let info = request.extensions().get::<ConnInfo>();
        let user = info.and_then(ConnInfo::peer_cred).map(|cred| cred.uid);
        ready(Ok::<_, io::Error>(Response::new(format!("{user:?}"))))
    });
    let server = serve_with(scene.unix(), app).http(HttpOptions::default().with_conn_info());
    let handle = server.start().unwrap();
    let mut client = connect(&scene.path).unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        .unwrap();
    let response = listen_to(client).unwrap();
    let user = format!("\r\n\r\n{:?}", Some(geteuid().as_raw()));
    assert!(response.ends_with(&user), "{response}");
    handle.shutdown(GRACE).await.unwrap();
}
