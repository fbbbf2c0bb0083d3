//! Large bodies through the proxy, and its memory meanwhile.
use super::{
    OVER_TCP, ProxyUnderTest,
    target::{accept, read_head},
};
use crate::example::TIMEOUT;
use std::{
    fs,
    io::{self, BufReader, Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

/// The size of a body. `ANYPORT_BODY_MIB=1024 cargo test .. bodies_pass` sends 1 GiB.
fn size() -> u64 {
    let mib = std::env::var("ANYPORT_BODY_MIB").map_or(256, |mib| mib.parse().unwrap());
    mib << 20
}

/// The largest resident memory of a process so far, in bytes (proc_pid_status(5)).
fn peak_memory(proxy: &ProxyUnderTest) -> u64 {
    let status = format!("/proc/{}/status", proxy.example.child.id());
    let status = fs::read_to_string(status).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib << 10
}

/// How much the peak may grow by a body: buffers of two connections and of the allocator.
const GROWTH: u64 = 16 << 20;

pub(crate) fn bodies_pass_in_constant_memory() {
    for transport in OVER_TCP {
        bodies_pass_over(transport);
    }
}

fn bodies_pass_over(transport: &str) {
    let size = size();
    let (addr, connections) = accept();
    let target = thread::spawn(move || {
        for connection in connections {
            let mut reader = BufReader::new(&connection);
            while let Some(request) = read_head(&mut reader) {
                let is_upload = request.line.starts_with("POST ");
                let sent = if is_upload {
                    discard(&mut reader, size)
                } else {
                    0
                };
                let length = if is_upload { 0 } else { size };
                let mut writer = &connection;
                write!(
                    writer,
                    "HTTP/1.1 200 OK\r\nX-Read: {sent}\r\nContent-Length: {length}\r\n\r\n"
                )
                .unwrap();
                send(writer, length).unwrap();
            }
        }
    });
    let proxy = ProxyUnderTest::on(transport, &format!("http://{addr}"));
    let before = peak_memory(&proxy);
    let mut client = BufReader::new(proxy.example.connect());
    write!(
        client.get_ref(),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
    )
    .unwrap();
    send(client.get_ref(), size).unwrap();
    let answer = read_head(&mut client).unwrap();
    assert_eq!(
        answer.field("x-read"),
        Some(&*size.to_string()),
        "{answer:?}"
    );
    let after_upload = peak_memory(&proxy);
    write!(client.get_ref(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let answer = read_head(&mut client).unwrap();
    assert_eq!(
        answer.field("content-length"),
        Some(&*size.to_string()),
        "{answer:?}"
    );
    assert_eq!(discard(&mut client, size), size);
    let after_download = peak_memory(&proxy);
    println!(
        "{transport}: peak {before} B, after the upload {after_upload} B, after the download {after_download} B"
    );
    assert!(
        after_download < before + GROWTH,
        "{before} B grew to {after_upload}, {after_download} B"
    );
    drop((client, target));
    proxy.end();
}

/// Writes bytes that tell their place.
fn send(mut to: impl Write, size: u64) -> io::Result<()> {
    let block: Vec<u8> = (0..251 * 256_u32).map(|i| (i % 251) as u8).collect();
    let mut left = size;
    while left > 0 {
        let n = left.min(block.len() as u64);
        to.write_all(&block[..usize::try_from(n).unwrap()])?;
        left -= n;
    }
    Ok(())
}

/// Reads these bytes and checks them. Returns how many came.
fn discard(from: &mut impl Read, size: u64) -> u64 {
    let mut buffer = vec![0; 1 << 16];
    let mut read = 0;
    while read < size {
        let most = (size - read).min(buffer.len() as u64);
        let n = from
            .read(&mut buffer[..usize::try_from(most).unwrap()])
            .unwrap();
        if n == 0 {
            break;
        }
        assert_eq!(u64::from(buffer[0]), read % 251, "at {read}");
        assert_eq!(
            u64::from(buffer[n - 1]),
            (read + n as u64 - 1) % 251,
            "at {read}"
        );
        read += n as u64;
    }
    read
}

/// A client that reads nothing stops the target, so the proxy holds little.
pub(crate) fn slow_reader_slows_the_target_down() {
    for transport in OVER_TCP {
        slow_reader_over(transport);
    }
}

fn slow_reader_over(transport: &str) {
    let size = size();
    let (addr, connections) = accept();
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let target = thread::spawn(move || {
        let mut connection: TcpStream = connections.recv_timeout(TIMEOUT).unwrap();
        read_head(&mut BufReader::new(&connection)).unwrap();
        write!(
            connection,
            "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"
        )
        .unwrap();
        let mut counting = Counting(connection, counted);
        send(&mut counting, size).unwrap();
    });
    let proxy = ProxyUnderTest::on(transport, &format!("http://{addr}"));
    let before = peak_memory(&proxy);
    let mut client = BufReader::new(proxy.example.connect());
    write!(client.get_ref(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_head(&mut client).unwrap();
    let stalled = until_it_rests(&sent);
    // The buffers of four sockets, at most 6 MiB each by default, and those of the proxy.
    assert!(
        stalled > 0 && stalled < 64 << 20 && stalled < size,
        "{stalled} B were sent"
    );
    assert_eq!(discard(&mut client, size), size);
    assert!(peak_memory(&proxy) < before + GROWTH);
    target.join().unwrap();
    drop(client);
    proxy.end();
}

/// The count when it has not changed for half a second.
fn until_it_rests(count: &AtomicU64) -> u64 {
    let by = Instant::now() + TIMEOUT;
    let mut last = 0;
    loop {
        thread::sleep(Duration::from_millis(500));
        let now = count.load(SeqCst);
        if now == last && now > 0 {
            return now;
        }
        assert!(
            Instant::now() < by,
            "{now} B were sent, and it does not stop"
        );
        last = now;
    }
}

struct Counting(TcpStream, Arc<AtomicU64>);

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.0.write(bytes)?;
        self.1.fetch_add(n as u64, SeqCst);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
