//! Crowds of clients that don't finish their handshakes: the next one isn't held up, and they're
//! all let go at the deadline.
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
    a_crowd_holds_nobody_up(|authority| over_tcp(authority.server()));
}

#[test]
fn a_crowd_holds_nobody_up_on_one_worker() {
    a_crowd_holds_nobody_up(|authority| {
        let tcp = Tcp::bind("127.0.0.1:0").per_core().with_workers(1);
        serve_with(tcp.tls(authority.server()), app())
    });
}

fn a_crowd_holds_nobody_up(server: impl Fn(&Authority) -> Server) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // A process's first runtime opens what stays open.
    Served::start(over_tcp(Authority::new().server())).ends();
    let before = descriptors();
    // All has to be done before the crowd is let go. On a machine that's too busy for that, it
    // stays longer.
    let deadlines = [2, 10, 40].map(Duration::from_secs);
    let is_there = |&deadline: &Duration| beside_a_crowd(deadline, &server);
    assert!(
        deadlines.iter().any(is_there),
        "the crowd was gone too soon"
    );
    until("all descriptors are closed", || is(before, descriptors()));
}

/// While the crowd is there, others are served. None of it counts if it's gone too soon.
fn beside_a_crowd(deadline: Duration, server: impl Fn(&Authority) -> Server) -> bool {
    const OTHERS: usize = 31;
    let authority = Authority::new();
    let timeouts = Timeouts::default().with_handshake(deadline);
    let served = Served::start(server(&authority).timeouts(timeouts));
    let hello = hello(&authority);

    let began = Instant::now();
    let mut crowd = Vec::new();
    for begin in [
        &hello[..0],
        &hello[..1],
        &hello[..hello.len() / 2],
        &hello[..],
    ] {
        crowd.extend((0..EACH).map(|_| silent(&served, begin)));
    }
    // Its hellos have just arrived, and wait for their answers.
    let first = shakes_hands(&authority, &served);
    // Whoever said hello has got an answer.
    let mut answers = crowd[3 * EACH..].iter_mut();
    let answered = answers.try_for_each(|client| client.read_exact(&mut [0; 5]));
    let others = (0..OTHERS).try_for_each(|_| shakes_hands(&authority, &served));
    if !served.log.told().failed.is_empty() {
        return false;
    }
    first.and(answered).and(others).unwrap();

    until("all are let go", || {
        is(4 * EACH, served.log.told().failed.len())
    });
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
    // An error says that it has been let go already.
    let _ = client.write_all(begin);
    client
}

fn shakes_hands(authority: &Authority, served: &Served) -> io::Result<()> {
    let client = authority.client();
    served.run(async {
        let stream = served.connect().await;
        client.connect(stream).await.map(drop)
    })
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}
