//! As many idle keep-alive connections as a process may have. Each takes little memory, and still
//! gets a response to its next request.
//!
//! The server has a process of its own: one process has too few descriptors for both ends, and the
//! test measures the server's memory.
use crate::fixture::{GRACE, TIMEOUT, addr_of, connect, hello};
use anyport_core::{Limits, Timeouts, serve_with};
use anyport_tcp::Tcp;
use anyport_testkit::{process::Process, requirements::Tests};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::{
    fs,
    io::{self, Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

const CONNECTIONS: usize = 19_000;
/// Descriptors that the process has open for other purposes.
const OTHER_DESCRIPTORS: u64 = 100;

/// The most private memory per hibernating connection. It is about 1 KiB with an allocator that
/// returns free memory. The system's allocator keeps most of what thousands of connections used
/// while they were active. An active connection takes more than 17 KiB.
const MAX_HIBERNATING_BYTES: usize = 4 * 1024;

const NAME: &str = "idle::nineteen_thousand_idle_connections_use_little_memory";

pub(crate) fn tests(tests: Tests) -> Tests {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let missing = maximum.filter(|maximum| *maximum < CONNECTIONS as u64 + OTHER_DESCRIPTORS);
    let missing = missing.map(|maximum| format!("`ulimit -Hn` is {maximum}"));
    tests.unless(
        missing,
        NAME,
        nineteen_thousand_idle_connections_use_little_memory,
    )
}

fn nineteen_thousand_idle_connections_use_little_memory() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let Some(mut server) = Process::start(NAME, serve) else {
        return;
    };
    let addr = server.lines().next().unwrap();
    let mut first = connect(&addr).unwrap();
    get(&mut first).unwrap();
    let before = private_memory(&server);

    let mut clients: Vec<TcpStream> = Vec::with_capacity(CONNECTIONS);
    while clients.len() < CONNECTIONS {
        let mut client = connect(&addr).unwrap();
        get(&mut client).unwrap();
        clients.push(client);
    }
    let each = || private_memory(&server).saturating_sub(before) / CONNECTIONS;
    let by = Instant::now() + TIMEOUT;
    while each() > MAX_HIBERNATING_BYTES {
        assert!(Instant::now() < by, "{} bytes each", each());
        // Each measurement walks through all of the server's memory.
        thread::sleep(Duration::from_millis(50));
    }
    for client in &mut clients {
        get(client).unwrap();
    }
    clients.iter().chain([&first]).for_each(reset_on_close);
    drop((clients, first));
    drop(server.child.stdin.take());
    assert_eq!(server.lines().next().unwrap(), "0 aborted");
    assert!(server.child.wait().unwrap().success());
}

/// Runs in the server's process: one worker, with the defaults.
fn serve(report: &mut dyn FnMut(&str)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let limits = Limits::default().with_connections(CONNECTIONS + 1);
        // On a busy machine, it takes minutes to open and ask them all.
        let timeouts = Timeouts::default().with_keep_alive(Duration::from_secs(3_600));
        let server = serve_with(Tcp::bind("127.0.0.1:0"), hello())
            .limits(limits)
            .timeouts(timeouts);
        let handle = server.start().unwrap();
        report(&addr_of(&handle).to_string());
        // The server runs until the test closes its stdin.
        let stdin = tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new()));
        stdin.await.unwrap().unwrap();
        let drained = handle.shutdown(10 * GRACE).await.unwrap();
        report(&format!("{} aborted", drained.aborted));
    });
}

/// Sends a request, and reads the whole response.
fn get(client: &mut TcpStream) -> io::Result<()> {
    client.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")?;
    let (mut response, mut n) = ([0; 512], 0);
    while !response[..n].ends_with(b"\r\n\r\nHello") {
        match client.read(&mut response[n..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => n += read,
        }
    }
    Ok(())
}

/// Closing the socket resets the connection, and its port is free at once (SO_LINGER of zero,
/// socket(7)).
fn reset_on_close(client: &TcpStream) {
    let linger = socket2::SockRef::from(client).set_linger(Some(Duration::ZERO));
    linger.unwrap();
}

/// The memory that no other process shares, in bytes (proc(5)).
fn private_memory(server: &Process) -> usize {
    let rollup = fs::read_to_string(server.proc("smaps_rollup")).unwrap();
    let lines = rollup.lines().filter(|line| line.starts_with("Private_"));
    lines
        .map(|line| {
            line.split_whitespace()
                .nth(1)
                .unwrap()
                .parse::<usize>()
                .unwrap()
                * 1024
        })
        .sum()
}
