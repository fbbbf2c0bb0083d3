//! While one worker keeps a server in its lame-duck stage, idle workers accept as well, since the
//! kernel still assigns clients to them.

use crate::fixture::{TIMEOUT, addr_of, connect, hello, read_all};
use anyport_core::serve_with;
use anyport_tcp::Tcp;
use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

const GRACE: Duration = Duration::from_secs(20);
/// A quarter of the grace period, at most one second.
const LAME_DUCK: Duration = Duration::from_secs(1);
/// The kernel completes a connect at once, even on a busy machine. A refused client would retry its
/// SYN after a second.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn idle_workers_keep_accepting_in_the_lame_duck_stage() {
    let tcp = Tcp::bind("127.0.0.1:0").per_core().with_workers(2);
    let handle = serve_with(tcp, hello()).start().unwrap();
    let addr = addr_of(&handle);
    // The connection has been used, so it counts, and it is idle now.
    let mut client = connect(addr).unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        .unwrap();
    assert!(client.read(&mut [0; 1024]).unwrap() > 0);

    let begin = Instant::now();
    let ended = handle.shutdown(GRACE);
    let mut served = 0;
    // The kernel selects a worker by a hash: this many clients reach both workers.
    while served < 200 && begin.elapsed() < LAME_DUCK / 2 {
        match TcpStream::connect_timeout(&addr, CONNECT_TIMEOUT) {
            Ok(stream) => match is_served(stream) {
                Ok(true) => {}
                // A client that is late may be closed before it has sent a request.
                other => assert!(
                    begin.elapsed() >= LAME_DUCK,
                    "after {served} clients: {other:?}"
                ),
            },
            Err(e) => assert!(begin.elapsed() >= LAME_DUCK, "after {served} clients: {e}"),
        }
        served += 1;
    }
    assert_eq!(ended.await.unwrap().aborted, 0);
}

fn is_served(mut stream: TcpStream) -> io::Result<bool> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
    Ok(read_all(stream)?.ends_with("Hello"))
}
