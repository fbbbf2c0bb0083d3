//! Binding: an address that cannot be bound is an error of one line, in each way to run a server.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::fixture::{GRACE, addr_of, connect, describe_connection, get, hello, port_of, read_all};
use anyport_core::{
    Error, Server,
    error::ErrorKind,
    runtime::Workers,
    serve_raw_with, serve_with,
    socket::{BindAddr, SocketOptions, listen},
};
use anyport_tcp::Tcp;
use socket2::{Domain, Socket, Type};
use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    thread,
};
use tokio::sync::oneshot;

fn ambient<A: Into<BindAddr>>(address: A) -> Server {
    serve_with(Tcp::bind(address), hello())
}

fn two_workers<A: Into<BindAddr>>(address: A) -> Server {
    serve_with(Tcp::bind(address).per_core().with_workers(2), hello())
}

fn error_of(server: Server) -> Error {
    server.start().unwrap_err()
}

fn in_use(addr: SocketAddr) -> String {
    format!(
        "cannot bind {addr}: address already in use (find the listener: `ss -ltnp 'sport = :{}'`; \
         or bind port 0 for a free port)",
        addr.port()
    )
}

#[tokio::test]
async fn port_of_another_server_is_an_error_despite_reuseport() {
    let first = two_workers("127.0.0.1:0").start().unwrap();
    let addr = addr_of(&first);
    for second in [two_workers(addr), ambient(addr)] {
        let error = error_of(second);
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::Bind, in_use(addr))
        );
    }
    first.abort().await.unwrap();
}

#[tokio::test]
async fn port_of_a_foreign_socket_is_an_error_even_with_reuseport() {
    for share in [false, true] {
        let foreign = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        foreign.set_reuse_address(true).unwrap();
        #[cfg(target_os = "linux")]
        foreign.set_reuse_port(share).unwrap();
        foreign
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .unwrap();
        foreign.listen(1).unwrap();
        let addr = foreign.local_addr().unwrap().as_socket().unwrap();
        for ours in [two_workers(addr), ambient(addr)] {
            assert_eq!(error_of(ours).to_string(), in_use(addr), "shared: {share}");
        }
    }
}

#[tokio::test]
async fn bare_port_is_an_error_if_its_ipv4_port_is_in_use() {
    let foreign = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = foreign.local_addr().unwrap().port();
    let error = error_of(ambient(port)).to_string();
    assert!(error.contains("address already in use"), "{error}");
}

#[test]
fn bind_error_is_the_same_for_await_run_and_start() {
    let foreign = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = foreign.local_addr().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for server in [ambient::<SocketAddr>, two_workers::<SocketAddr>] {
        let server = move || server(addr);
        let awaited = runtime.block_on(async { server().await.unwrap_err() });
        let started = runtime.block_on(async { error_of(server()) });
        let run = thread::spawn(move || server().run().unwrap_err())
            .join()
            .unwrap();
        for error in [awaited, started, run] {
            assert_eq!(
                (error.kind(), error.to_string()),
                (ErrorKind::Bind, in_use(addr))
            );
        }
    }
    let started_outside = error_of(two_workers(addr)).to_string();
    assert_eq!(started_outside, in_use(addr));
}

#[test]
fn start_without_ambient_tokio_says_what_to_do() {
    let error = error_of(ambient("127.0.0.1:0"));
    assert_eq!(error.kind(), ErrorKind::Start);
    for way_out in ["`.run()`", "`#[tokio::main]`", "`.per_core()`"] {
        assert!(error.to_string().contains(way_out), "{error}");
    }
}

#[tokio::test]
async fn run_inside_a_runtime_says_what_to_do() {
    for server in [ambient("127.0.0.1:0"), two_workers("127.0.0.1:0")] {
        let error = server.run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            error.to_string().contains("`.await` the server instead"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn unresolvable_name_is_named() {
    let error = error_of(ambient("no-such-name.invalid:80"));
    assert_eq!(error.kind(), ErrorKind::Bind);
    let error = error.to_string();
    assert!(
        error.starts_with(
            "cannot bind no-such-name.invalid:80: cannot resolve `no-such-name.invalid`"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn address_of_no_interface_is_named() {
    // An address for documentation (RFC 5737), which no machine has.
    let error = error_of(two_workers("192.0.2.1:0")).to_string();
    let begin =
        "cannot bind 192.0.2.1:0: no interface of this machine has this address (`ip address`";
    assert!(error.starts_with(begin), "{error}");
}

#[tokio::test]
async fn workers_that_contradict_the_transport_are_an_error() {
    let per_core = || serve_with(Tcp::bind("127.0.0.1:0").per_core(), hello());
    let cases = [
        (ambient("127.0.0.1:0").workers(0), "zero workers"),
        (per_core().workers(0), "zero workers"),
        (
            serve_with(Tcp::bind("127.0.0.1:0").with_workers(0), hello()),
            "zero workers",
        ),
        (
            per_core().workers(Workers::Ambient),
            "use Workers::PerCore or Workers::Count(n)",
        ),
        (ambient("127.0.0.1:0").pinned(), "`.per_core()`"),
    ];
    for (server, what) in cases {
        let error = error_of(server);
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn run_works_on_a_plain_thread_with_either_tokio() {
    for per_core in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let server = thread::spawn(move || {
            let server = match Tcp::from_std(listener) {
                tcp if per_core => serve_with(tcp.per_core().with_workers(2), hello()),
                tcp => serve_with(tcp, hello()),
            };
            server
                .with_graceful_shutdown(async { ended.await.unwrap() })
                .run()
        });
        assert_eq!(get(addr).unwrap(), "Hello", "per core: {per_core}");
        end.send(()).unwrap();
        server.join().unwrap().unwrap();
    }
}

#[tokio::test]
async fn port_0_is_resolved_and_the_same_for_all_workers() {
    let sockets = listen(&"127.0.0.1:0".into(), &SocketOptions::default(), 3).unwrap();
    let ports: BTreeSet<_> = sockets
        .iter()
        .map(|s| s.local_addr().unwrap().port())
        .collect();
    assert_eq!((sockets.len(), ports.len()), (3, 1), "{ports:?}");
    assert!(!ports.contains(&0));

    let three = Tcp::bind("127.0.0.1:0").per_core().with_workers(3);
    let handle = serve_raw_with(three, describe_connection).start().unwrap();
    assert_ne!(port_of(&handle), 0);
    let mut reached = BTreeSet::new();
    // The kernel selects a worker by a hash of the ports: some hundred connections reach all three.
    for _ in 0..500 {
        let line = read_all(connect(addr_of(&handle)).unwrap()).unwrap();
        reached.insert(line.rsplit(' ').next().unwrap().to_owned());
        if reached.len() == 3 {
            break;
        }
    }
    assert_eq!(reached.into_iter().collect::<Vec<_>>(), ["0", "1", "2"]);
    handle.shutdown(GRACE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listening_socket_is_adopted_by_any_number_of_workers() {
    for workers in [1, 3] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        // This client is queued before the server exists.
        let early = connect(addr).unwrap();
        let tcp = Tcp::from_std(listener).per_core().with_workers(workers);
        let handle = serve_raw_with(tcp, describe_connection).start().unwrap();
        assert_eq!(addr_of(&handle), addr);
        let me = early.local_addr().unwrap();
        let line = read_all(early).unwrap();
        assert!(line.starts_with(&format!("{me} {addr} ")), "{line}");
        for _ in 0..20 {
            read_all(connect(addr).unwrap()).unwrap();
        }
        handle.shutdown(GRACE).await.unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let handle = serve_with(Tcp::from_std(listener), hello())
        .start()
        .unwrap();
    assert_eq!(get(addr_of(&handle)).unwrap(), "Hello");
    handle.shutdown(GRACE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adopted_socket_stays_open_for_its_other_owners() {
    let owner = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = owner.local_addr().unwrap();
    // Each server is another owner of the same socket.
    for workers in [1, 3, 1] {
        let tcp = Tcp::from_std(owner.try_clone().unwrap());
        let server = serve_with(tcp.per_core().with_workers(workers), hello());
        let handle = server.start().unwrap();
        assert_eq!(get(addr).unwrap(), "Hello", "{workers} workers");
        handle.shutdown(GRACE).await.unwrap();
    }
    let late = connect(addr).unwrap();
    owner.set_nonblocking(false).unwrap();
    assert_eq!(owner.accept().unwrap().1, late.local_addr().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn port_is_free_after_shutdown_despite_time_wait() {
    for server in [ambient::<SocketAddr>, two_workers::<SocketAddr>] {
        let first = server((Ipv4Addr::LOCALHOST, 0).into()).start().unwrap();
        let addr = addr_of(&first);
        // The server closes first, so its end of the connection enters TIME-WAIT.
        assert_eq!(get(addr).unwrap(), "Hello");
        first.shutdown(GRACE).await.unwrap();
        #[cfg(target_os = "linux")]
        assert!(has_time_wait(addr.port()), "the test proves nothing");
        let second = server(addr).start().unwrap();
        assert_eq!(get(addr).unwrap(), "Hello");
        second.shutdown(GRACE).await.unwrap();
    }
}

/// Whether a connection of this local port is in TIME-WAIT (state 06 in /proc/net/tcp, proc(5)).
#[cfg(target_os = "linux")]
fn has_time_wait(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let local = format!(":{port:04X}");
    table.lines().any(|line| {
        let mut columns = line.split_whitespace();
        columns.nth(1).is_some_and(|addr| addr.ends_with(&local)) && columns.nth(1) == Some("06")
    })
}
