//! While a server still accepts because one worker has somebody to tell, its idle workers do, too:
//! the kernel goes on giving them clients.

use crate::scene::{PATIENCE, addr_of, connect, hello, listen_to};
use anyport_core::serve_with;
use anyport_tcp::Tcp;
use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

const GRACE: Duration = Duration::from_secs(20);
/// A quarter of the grace, one second at most.
const LAME_DUCK: Duration = Duration::from_secs(1);
/// The kernel connects at once, however busy the machine is; a client that's kept out would try
/// again after a second.
const KEPT_OUT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_half_idle_server_keeps_accepting() {
    let two = Tcp::bind("127.0.0.1:0").per_core().with_workers(2);
    let handle = serve_with(two, hello()).start().unwrap();
    let addr = addr_of(&handle);
    // Served, so it's counted; idle, but there.
    let mut one = connect(addr).unwrap();
    one.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        .unwrap();
    assert!(one.read(&mut [0; 1024]).unwrap() > 0);

    let ended = handle.shutdown(GRACE);
    let begin = Instant::now();
    let mut served = 0;
    // The kernel chooses by a hash: so many reach both workers.
    while served < 200 && begin.elapsed() < LAME_DUCK / 2 {
        match TcpStream::connect_timeout(&addr, KEPT_OUT) {
            Ok(stream) => assert!(is_served(stream).unwrap(), "after {served} clients"),
            Err(e) => assert!(begin.elapsed() >= LAME_DUCK, "after {served} clients: {e}"),
        }
        served += 1;
    }
    assert_eq!(ended.await.unwrap().aborted, 0);
}

fn is_served(mut stream: TcpStream) -> io::Result<bool> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
    Ok(listen_to(stream)?.ends_with("Hello"))
}
