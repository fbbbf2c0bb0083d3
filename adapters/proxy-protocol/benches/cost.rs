//! Measures the cost of a PROXY header per connection:
//! `cargo bench -p anyport-proxy-protocol --bench cost -- WHAT`.
//!
//! Each connection sends one request over TCP and then ends. The header arrives with the request.
//!
//! - `instructions`: user instructions per connection, as the difference between two runs of the
//!   server under callgrind. It needs valgrind.
//! - `cpu`: CPU time per connection, user and system, and its ratio to a connection without a
//!   header: the median of rounds, which take turns.
//! - `memory`: resident bytes per connection that waits for its first request, with mimalloc. The
//!   value is the slope from 1,000 to 8,000 connections.
use anyhow::{Context as _, Result, bail};
use anyport_core::{Body, Server, serve_with};
use anyport_proxy_protocol::{Policy, ProxyProtocolExt};
use anyport_tcp::Tcp;
use http::{Request, Response};
use std::{
    convert::Infallible,
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";

/// The headers that are measured; the first case has none.
const HEADERS: [(&str, &[u8]); 4] = [
    ("none", b""),
    ("v1", b"PROXY TCP4 192.0.2.1 192.0.2.9 4711 443\r\n"),
    (
        "v2",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x09\x12\x67\x01\xbb",
    ),
    (
        "v2 with values",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x3b\xc0\0\x02\x01\xc0\0\x02\x09\x12\x67\x01\xbb\
          \x01\0\x02h2\x02\0\x0bexample.com\x20\0\x19\x01\0\0\0\0\x21\0\x07TLSv1.3\x22\0\x07a.clien",
    ),
];

fn server(is_proxied: bool) -> Server {
    let app = tower::service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(Body::from("Hello")))
    });
    let tcp = Tcp::bind("127.0.0.1:0").per_core().with_workers(1);
    match is_proxied {
        false => serve_with(tcp, app),
        true => serve_with(
            tcp.proxy_protocol(Policy::required_from(["127.0.0.0/8"])),
            app,
        ),
    }
}

/// Serves until its standard input ends.
fn serve(is_proxied: bool) -> Result<()> {
    let running = server(is_proxied).start()?;
    println!("{}", running.endpoints()[0]);
    std::io::stdin().read_to_end(&mut Vec::new())?;
    drop(running.abort());
    Ok(())
}

/// A process that serves.
struct Served {
    child: Child,
    addr: String,
    header: &'static [u8],
}

impl Served {
    fn start(under: &[&str], header: &'static [u8]) -> Result<Self> {
        let this = env::current_exe()?.display().to_string();
        let kind = if header.is_empty() {
            "plain"
        } else {
            "proxied"
        };
        let all: Vec<&str> = under
            .iter()
            .copied()
            .chain([&*this, "serve", kind])
            .collect();
        let mut child = Command::new(all[0])
            .args(&all[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut addr = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut addr)?;
        let addr = addr.trim().to_owned();
        Ok(Self {
            child,
            addr,
            header,
        })
    }

    fn connect(&self, request: &[u8]) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(&self.addr)?;
        stream.write_all(&[self.header, request].concat())?;
        Ok(stream)
    }

    fn ask(&self, times: u64) -> Result<()> {
        for _ in 0..times {
            let mut answer = Vec::new();
            self.connect(REQUEST)?.read_to_end(&mut answer)?;
            if !answer.starts_with(b"HTTP/1.1 200 ") {
                bail!("{}", answer.escape_ascii());
            }
        }
        Ok(())
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        fs::read_to_string(&path).with_context(|| path)
    }

    /// The resident memory in bytes.
    fn resident(&self) -> Result<i64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line
            .and_then(|line| line.split_whitespace().next())
            .context("no VmRSS")?;
        Ok(kib.parse::<i64>()? * 1024)
    }

    /// The CPU time of its threads, in nanoseconds.
    fn cpu(&self) -> Result<u64> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let run = fs::read_to_string(task?.path().join("schedstat"))?;
            let run = run.split_whitespace().next().context("no schedstat")?;
            nanoseconds += run.parse::<u64>()?;
        }
        Ok(nanoseconds)
    }

    /// Ends the process, and returns its standard error.
    fn end(mut self) -> Result<String> {
        drop(self.child.stdin.take());
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().context("no errors")?;
        stderr.read_to_string(&mut said)?;
        self.child.wait()?;
        Ok(said)
    }
}

fn collected(header: &'static [u8], connections: u64) -> Result<i64> {
    let callgrind = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
    ];
    let served = Served::start(&callgrind, header)?;
    served.ask(connections)?;
    let said = served.end()?;
    let count = said
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let count = count.with_context(|| said.clone())?.1;
    count.trim().parse().context("no count")
}

fn instructions() -> Result<()> {
    const CONNECTIONS: [u64; 2] = [500, 2_500];
    let mut none = 0;
    for (name, header) in HEADERS {
        let few = collected(header, CONNECTIONS[0])?;
        let many = collected(header, CONNECTIONS[1])?;
        let each = (many - few) / (CONNECTIONS[1] - CONNECTIONS[0]) as i64;
        if header.is_empty() {
            none = each;
        }
        let ratio = each as f64 / none as f64;
        println!("{name:16} {each:8} user instructions per connection, × {ratio:.3}");
    }
    Ok(())
}

fn cpu() -> Result<()> {
    const ROUNDS: usize = 41;
    const CONNECTIONS: u64 = 500;
    let all: Vec<Served> = HEADERS
        .iter()
        .map(|(_, header)| Served::start(&[], header))
        .collect::<Result<_>>()?;
    let mut rounds = vec![Vec::new(); HEADERS.len()];
    for round in 0..=ROUNDS {
        for (served, times) in all.iter().zip(&mut rounds) {
            let before = served.cpu()?;
            served.ask(CONNECTIONS)?;
            let each = (served.cpu()? - before) / CONNECTIONS;
            // The first round warms up.
            if round > 0 {
                times.push(each as f64);
            }
        }
    }
    for ((name, _), times) in HEADERS.iter().zip(&rounds) {
        let ratios = times.iter().zip(&rounds[0]).map(|(time, none)| time / none);
        let (time, ratio) = (median(times.clone()), median(ratios.collect()));
        println!("{name:16} {time:8.0} ns of CPU time per connection, × {ratio:.3}");
    }
    for served in all {
        served.end()?;
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn memory() -> Result<()> {
    const STEPS: [usize; 2] = [1_000, 8_000];
    // The largest header is nearly all padding.
    let mut padded = HEADERS[2].1.to_vec();
    let padding = 4096 - 28 - 3;
    padded[14..16].copy_from_slice(&u16::to_be_bytes(4096 - 16));
    padded.push(4);
    padded.extend(u16::to_be_bytes(padding));
    padded.resize(4096, 0);
    let padded: &'static [u8] = padded.leak();
    for (name, header) in HEADERS.into_iter().chain([("v2 of 4 KiB", padded)]) {
        // With huge pages, memory would grow in steps of 2 MiB, which is too coarse.
        let served = Served::start(&["env", "MIMALLOC_ALLOW_THP=0"], header)?;
        let mut sockets = Vec::new();
        let mut resident = Vec::new();
        for step in STEPS {
            while sockets.len() < step {
                sockets.push(served.connect(b"")?);
            }
            // A later connection has been served, so the header of each has been read.
            served.ask(100)?;
            resident.push(served.resident()?);
        }
        served.end()?;
        let each = (resident[1] - resident[0]) / (STEPS[1] - STEPS[0]) as i64;
        println!("{name:16} {each:6} bytes per connection that waits");
    }
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", kind] => serve(kind == "proxied"),
        ["instructions"] => instructions(),
        ["cpu"] => cpu(),
        ["memory"] => memory(),
        _ => bail!("say what: instructions, cpu, or memory"),
    }
}
