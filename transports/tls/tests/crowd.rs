//! Crowds of clients that don't finish their handshakes: the next one isn't held up, and they're all let go at the deadline.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod client;
mod scene;
mod wire;

use anyport_core::{Server, Timeouts, serve_with};
use anyport_tcp::Tcp;
use anyport_tls::TlsExt;
use client::Authority;
use scene::{PATIENCE, Served, app, is, over_tcp, until};
use std::{
    fs,
    io::{self, Read, Write},
    net::TcpStream,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use wire::hello;

/// Descriptors and cores are the process's.
static ALONE: Mutex<()> = Mutex::new(());

/// How many of each kind there are.
const EACH: usize = 300;

#[test]
fn a_crowd_holds_nobody_up_on_the_ambient_tokio() {
    a_crowd_holds_nobody_up("ambient", |authority| over_tcp(authority.server()));
}

#[test]
fn a_crowd_holds_nobody_up_on_one_worker() {
    a_crowd_holds_nobody_up("one worker", |authority| {
        let tcp = Tcp::bind("127.0.0.1:0").per_core().with_workers(1);
        serve_with(tcp.tls(authority.server()), app())
    });
}

fn a_crowd_holds_nobody_up(name: &str, server: impl Fn(&Authority) -> Server) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // A process's first runtime opens what stays open.
    Served::start(over_tcp(Authority::new().server())).ends();
    let before = descriptors();
    // All has to be measured before the crowd is let go. On a machine that's too busy for that, it stays longer.
    let deadlines = [3, 15].map(Duration::from_secs);
    let is_measured = |&deadline: &Duration| beside_a_crowd(name, deadline, &server);
    assert!(deadlines.iter().any(is_measured), "the crowd was gone too soon");
    until("all descriptors are closed", || is(before, descriptors()));
}

/// None of it counts if the crowd is gone too soon.
fn beside_a_crowd(name: &str, deadline: Duration, server: impl Fn(&Authority) -> Server) -> bool {
    // A handshake takes a millisecond or two here, one turn of another process on the same core takes several, and what waits for the crowd takes seconds.
    const NOISE: Duration = Duration::from_millis(100);
    let authority = Authority::new();
    let timeouts = Timeouts::default().with_handshake(deadline);
    let served = Served::start(server(&authority).timeouts(timeouts));
    let hello = hello(&authority);

    let alone = handshake(&authority, &served);
    let began = Instant::now();
    let mut crowd = Vec::new();
    for begin in [&hello[..0], &hello[..1], &hello[..hello.len() / 2], &hello[..]] {
        crowd.extend((0..EACH).map(|_| silent(&served, begin)));
    }
    // Its hellos have just arrived, and wait for their answers.
    let first = once(&authority, &served);
    // Whoever said hello has got an answer.
    for client in &mut crowd[3 * EACH..] {
        if client.read_exact(&mut [0; 5]).is_err() {
            return false;
        }
    }
    let beside = handshake(&authority, &served);
    if !served.log.told().failed.is_empty() || began.elapsed() > deadline {
        return false;
    }
    println!(
        "{name}: a handshake takes {alone:?} alone, {beside:?} beside the crowd, {first:?} when it just arrived"
    );
    assert!(
        beside <= (4 * alone).max(NOISE),
        "{beside:?} beside the crowd, {alone:?} alone"
    );

    until("all are let go", || is(4 * EACH, served.log.told().failed.len()));
    assert!(began.elapsed() >= deadline);
    for (_, kind, _) in &served.log.told().failed {
        assert_eq!(*kind, io::ErrorKind::TimedOut);
    }
    for mut client in crowd {
        // Some are sent an alert, some are reset: they've sent what nobody has read.
        let _ = client.read_to_end(&mut Vec::new());
    }
    let good = served.log.told().established.len();
    served.log.closed(4 * EACH + good);
    served.ends();
    true
}

fn silent(served: &Served, begin: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(served.addr()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(begin).unwrap();
    client
}

/// How long one handshake takes.
fn once(authority: &Authority, served: &Served) -> Duration {
    let client = authority.client();
    served.run(async {
        let stream = served.connect().await;
        let began = Instant::now();
        client.connect(stream).await.unwrap();
        began.elapsed()
    })
}

/// The median of some.
fn handshake(authority: &Authority, served: &Served) -> Duration {
    let mut times: Vec<_> = (0..31).map(|_| once(authority, served)).collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}
