//! Who may connect, and who did: mode, owner, and the credentials of the peer.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::scene::{GRACE, Scene, connect, listen_to, who};
use anyport_core::{Body, ConnInfo, HttpOptions, PeerCred, Transport, serve_raw_with, serve_with};
use http::{Request, Response};
use rustix::process::{getegid, geteuid};
use std::{
    fs,
    future::ready,
    io::{self, Write},
    os::unix::fs::MetadataExt,
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
    let us = (geteuid().as_raw(), getegid().as_raw());
    let unix = scene.unix().with_owner(Some(us.0), Some(us.1));
    let _server = unix.open(1).unwrap();
    let file = fs::metadata(&scene.path).unwrap();
    assert_eq!((file.uid(), file.gid()), us);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raw_handler_learns_who_connected_and_where() {
    let scene = Scene::new();
    let handle = serve_raw_with(scene.unix(), who).start().unwrap();
    let place = format!("unix:{}", scene.path.display());
    assert_eq!(handle.endpoints()[0].to_string(), place);
    let us = PeerCred::new(geteuid().as_raw(), getegid().as_raw()).with_pid(std::process::id());
    let said = listen_to(connect(&scene.path).unwrap()).unwrap();
    assert_eq!(said, format!("unix: {place} {:?}", Some(us)));
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
    client
        .connect(&SockAddr::unix(&scene.path).unwrap())
        .unwrap();
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
