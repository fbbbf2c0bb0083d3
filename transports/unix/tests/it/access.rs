//! Access rights and peer credentials: mode, owner, and who has connected.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::fixture::{Fixture, GRACE, connect, describe_connection, read_all};
use anyport_core::{
    Body, ConnInfo, HttpOptions, Transport, serve_raw_with, serve_with, transport::PeerCred,
};
use http::{Request, Response};
use rustix::process::{getegid, geteuid};
use std::{
    fs,
    future::ready,
    io::{self, Write},
    os::unix::fs::MetadataExt,
};

fn mode(fixture: &Fixture) -> u32 {
    fs::metadata(&fixture.path).unwrap().mode() & 0o7777
}

#[test]
fn mode_is_independent_of_the_umask() {
    let fixture = Fixture::new();
    for wanted in [0o660, 0o666, 0o777, 0o600, 0] {
        let _server = fixture.unix().with_mode(wanted).open(1).unwrap();
        assert_eq!(mode(&fixture), wanted);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn default_mode_follows_the_umask() {
    let fixture = Fixture::new();
    let _server = fixture.unix().open(1).unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let umask = status
        .lines()
        .find_map(|line| line.strip_prefix("Umask:"))
        .unwrap();
    let umask = u32::from_str_radix(umask.trim(), 8).unwrap();
    assert_eq!(mode(&fixture), 0o777 & !umask);
}

#[test]
fn lock_is_private_to_its_user() {
    let fixture = Fixture::new();
    let _server = fixture.unix().open(1).unwrap();
    let lock = fs::metadata(fixture.folder.path().join("app.sock.lock")).unwrap();
    assert_eq!(lock.mode() & 0o777, 0o600);
}

#[test]
fn owner_is_set() {
    let fixture = Fixture::new();
    let us = (geteuid().as_raw(), getegid().as_raw());
    let unix = fixture.unix().with_owner(Some(us.0), Some(us.1));
    let _server = unix.open(1).unwrap();
    let file = fs::metadata(&fixture.path).unwrap();
    assert_eq!((file.uid(), file.gid()), us);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_handler_sees_peer_and_local_address() {
    let fixture = Fixture::new();
    let handle = serve_raw_with(fixture.unix(), describe_connection)
        .start()
        .unwrap();
    let address = format!("unix:{}", fixture.path.display());
    assert_eq!(handle.endpoints()[0].to_string(), address);
    let us = PeerCred::new(geteuid().as_raw(), getegid().as_raw()).with_pid(std::process::id());
    let line = read_all(connect(&fixture.path).unwrap()).unwrap();
    assert_eq!(line, format!("unix: {address} {:?}", Some(us)));
    handle.shutdown(GRACE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn address_of_a_bound_client_is_known() {
    use socket2::{Domain, SockAddr, Socket, Type};
    let fixture = Fixture::new();
    let handle = serve_raw_with(fixture.unix(), describe_connection)
        .start()
        .unwrap();
    let name = fixture.folder.path().join("client.sock");
    let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    client.bind(&SockAddr::unix(&name).unwrap()).unwrap();
    client
        .connect(&SockAddr::unix(&fixture.path).unwrap())
        .unwrap();
    let line = read_all(client.into()).unwrap();
    assert!(
        line.starts_with(&format!("unix:{} unix:", name.display())),
        "{line}"
    );
    handle.shutdown(GRACE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn app_sees_the_peer_credentials() {
    let fixture = Fixture::new();
    let app = tower::service_fn(|request: Request<Body>| {
        let info = request.extensions().get::<ConnInfo>();
        let user = info.and_then(ConnInfo::peer_cred).map(|cred| cred.uid);
        ready(Ok::<_, io::Error>(Response::new(format!("{user:?}"))))
    });
    let server = serve_with(fixture.unix(), app).http(HttpOptions::default().with_conn_info());
    let handle = server.start().unwrap();
    let mut client = connect(&fixture.path).unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        .unwrap();
    let response = read_all(client).unwrap();
    let user = format!("\r\n\r\n{:?}", Some(geteuid().as_raw()));
    assert!(response.ends_with(&user), "{response}");
    handle.shutdown(GRACE).await.unwrap();
}
