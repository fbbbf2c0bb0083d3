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

/// Long enough for all that's done before it.
const DEADLINE: Duration = Duration::from_secs(4);

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

fn a_crowd_holds_nobody_up(name: &str, server: impl FnOnce(&Authority) -> Server) {
    // An answer takes a millisecond or two here; one turn of another process on the same core takes several.
    const NOISE: Duration = Duration::from_millis(50);
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let authority = Authority::new();
    // A process's first runtime opens what stays open.
    Served::start(over_tcp(authority.server())).ends();
    let before = descriptors();
    let timeouts = Timeouts::default().with_handshake(DEADLINE);
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
        client.read_exact(&mut [0; 5]).unwrap();
    }
    let beside = handshake(&authority, &served);
    assert!(
        began.elapsed() < DEADLINE,
        "the crowd was gone before the end of the measurement"
    );
    assert_eq!(served.log.told().failed.len(), 0);
    println!(
        "{name}: a handshake takes {alone:?} alone, {beside:?} beside the crowd, {first:?} when it just arrived"
    );
    assert!(
        beside <= (4 * alone).max(NOISE),
        "{beside:?} beside the crowd, {alone:?} alone"
    );
    // It waits for 300 signatures at the most.
    assert!(
        first <= 4 * alone * EACH as u32 + NOISE,
        "{first:?} when the crowd just arrived"
    );

    until("all are let go", || is(4 * EACH, served.log.told().failed.len()));
    assert!(began.elapsed() >= DEADLINE);
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
    until("all descriptors are closed", || is(before, descriptors()));
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
