//! As many idle keep-alive connections as a process may have: they're held with little memory each,
//! and are answered when they ask again.
//!
//! The server is in a process of its own: the descriptors of one process are not enough for both
//! ends, and its memory is to be measured.
use crate::scene::{GRACE, PATIENCE, addr_of, connect, hello};
use anyport_core::{Limits, serve_with};
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
/// Whatever else a process has open.
const OTHERS: u64 = 100;

/// Private memory for each connection that sleeps, at most. It's about 1 KiB with an allocator that
/// gives back what's free. The system's keeps most of it: what some thousand connections had that
/// were awake at the same time. One that's awake has more than 17 KiB.
const ASLEEP: usize = 4 * 1024;

const NAME: &str = "idle::nineteen_thousand_idle_connections_are_held_and_then_answered";

pub(crate) fn tests(tests: Tests) -> Tests {
    let most = getrlimit(Resource::Nofile).maximum;
    let missing = most.filter(|most| *most < CONNECTIONS as u64 + OTHERS);
    let missing = missing.map(|most| format!("`ulimit -Hn` is {most}"));
    tests.unless(
        missing,
        NAME,
        nineteen_thousand_idle_connections_are_held_and_then_answered,
    )
}

fn nineteen_thousand_idle_connections_are_held_and_then_answered() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let Some(mut server) = Process::start(NAME, serve) else {
        return;
    };
    let addr = server.said().next().unwrap();
    let mut first = connect(&addr).unwrap();
    ask(&mut first).unwrap();
    let before = private_memory(&server);

    let mut clients: Vec<TcpStream> = Vec::with_capacity(CONNECTIONS);
    while clients.len() < CONNECTIONS {
        let mut client = connect(&addr).unwrap();
        ask(&mut client).unwrap();
        clients.push(client);
    }
    let each = || private_memory(&server).saturating_sub(before) / CONNECTIONS;
    let by = Instant::now() + PATIENCE;
    while each() > ASLEEP {
        assert!(Instant::now() < by, "{} bytes each", each());
        // Each look walks through all of its memory.
        thread::sleep(Duration::from_millis(50));
    }
    for client in &mut clients {
        ask(client).unwrap();
    }
    clients.iter().chain([&first]).for_each(without_lingering);
    drop((clients, first));
    drop(server.child.stdin.take());
    assert_eq!(server.said().next().unwrap(), "0 aborted");
    assert!(server.child.wait().unwrap().success());
}

/// In the server's process: one worker, with the defaults.
fn serve(say: &mut dyn FnMut(&str)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let limits = Limits::default().with_connections(CONNECTIONS + 1);
        let server = serve_with(Tcp::bind("127.0.0.1:0"), hello()).limits(limits);
        let handle = server.start().unwrap();
        say(&addr_of(&handle).to_string());
        // Until the test closes it.
        let stdin = tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new()));
        stdin.await.unwrap().unwrap();
        let report = handle.shutdown(10 * GRACE).await.unwrap();
        say(&format!("{} aborted", report.aborted));
    });
}

/// One request, whose answer has to come whole.
fn ask(client: &mut TcpStream) -> io::Result<()> {
    client.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")?;
    let (mut answer, mut n) = ([0; 512], 0);
    while !answer[..n].ends_with(b"\r\n\r\nHello") {
        match client.read(&mut answer[n..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => n += read,
        }
    }
    Ok(())
}

/// When it's closed, that's by a reset, and its port is free at once (SO_LINGER of zero,
/// socket(7)).
fn without_lingering(client: &TcpStream) {
    let linger = socket2::SockRef::from(client).set_linger(Some(Duration::ZERO));
    linger.unwrap();
}

/// What no other process shares, in bytes (proc(5)).
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
