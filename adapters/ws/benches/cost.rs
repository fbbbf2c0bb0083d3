//! What a WebSocket costs, beside tokio-tungstenite's with a buffer of 4 KiB on the same transport:
//! `cargo bench -p anyport-ws --features tokio --bench cost -- WHAT`.
//!
//! - `memory`: bytes per idle WebSocket, as the slope from 1,000 to 8,000 of them, by mimalloc.
//!   It's the resident memory of a process that has the server's ends alone.
//! - `instructions`: user instructions per echo of 16 bytes over TCP, on 64 WebSockets that send at
//!   once. It's what callgrind counts of the server for more echoes, so it needs valgrind.
use anyhow::{Context as _, Result, bail};
use anyport_core::{Body, Server, serve_with};
use anyport_ws::{self as ws, Config, WebSocket};
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};
use tower::service_fn;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TRANSPORTS: [&str; 3] = ["tcp", "monoio", "glommio"];
const LIBRARIES: [&str; 2] = ["anyport-ws", "tungstenite"];
const LOCAL: &str = "127.0.0.1:0";
const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

async fn ours(mut request: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(ws::upgrade(
        &mut request,
        &Config::default(),
        |mut socket: WebSocket| async move {
            while let Some(Ok(message)) = socket.recv().await {
                if message.is_data() && socket.send(message).await.is_err() {
                    return;
                }
            }
        },
    ))
}

async fn theirs(mut request: Request<Body>) -> Result<Response<Body>> {
    let key = request
        .headers()
        .get(header::SEC_WEBSOCKET_KEY)
        .context("no key")?;
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(
            header::SEC_WEBSOCKET_ACCEPT,
            derive_accept_key(key.as_bytes()),
        );
    let upgrade = hyper::upgrade::on(&mut request);
    anyport_core::spawn(async {
        let Ok(upgraded) = upgrade.await else { return };
        let config = WebSocketConfig::default().read_buffer_size(4096);
        let io = TokioIo::new(upgraded);
        let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        while let Some(Ok(message)) = socket.next().await {
            let is_data = message.is_text() || message.is_binary();
            if is_data && socket.send(message).await.is_err() {
                return;
            }
        }
    })?;
    Ok(response.body(Body::empty())?)
}

fn server(transport: &str, library: &str) -> Result<Server> {
    let tcp = || anyport_tcp::Tcp::bind(LOCAL).per_core().with_workers(1);
    let monoio = || anyport_monoio::Monoio::bind(LOCAL).with_workers(1);
    let glommio = || anyport_glommio::Glommio::bind(LOCAL).with_workers(1);
    Ok(match (transport, library) {
        ("tcp", "anyport-ws") => serve_with(tcp(), service_fn(ours)),
        ("tcp", _) => serve_with(tcp(), service_fn(theirs)),
        ("monoio", "anyport-ws") => serve_with(monoio(), service_fn(ours)),
        ("monoio", _) => serve_with(monoio(), service_fn(theirs)),
        ("glommio", "anyport-ws") => serve_with(glommio(), service_fn(ours)),
        ("glommio", _) => serve_with(glommio(), service_fn(theirs)),
        _ => bail!("there's no transport {transport}"),
    })
}

/// Serves until its standard input ends.
fn serve(transport: &str, library: &str) -> Result<()> {
    let running = server(transport, library)?.start()?;
    println!("{}", running.endpoints()[0]);
    std::io::stdin().read_to_end(&mut Vec::new())?;
    drop(running.abort());
    Ok(())
}

/// A process that serves.
struct Served {
    child: Child,
    addr: String,
}

impl Served {
    fn start(under: &[&str], transport: &str, library: &str) -> Result<Self> {
        let this = env::current_exe()?.display().to_string();
        let all: Vec<&str> = under
            .iter()
            .copied()
            .chain([&*this, "serve", transport, library])
            .collect();
        let mut child = Command::new(all[0])
            .args(&all[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut addr = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut addr)?;
        Ok(Self {
            child,
            addr: addr.trim().to_owned(),
        })
    }

    fn open(&self) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(&self.addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.write_all(REQUEST)?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        Ok(stream)
    }

    /// Bytes that are in memory.
    fn resident(&self) -> Result<i64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line
            .and_then(|line| line.split_whitespace().next())
            .context("no VmRSS")?;
        Ok(kib.parse::<i64>()? * 1024)
    }

    /// Ends it; gives what it wrote to standard error.
    fn end(mut self) -> Result<String> {
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.child
            .stderr
            .take()
            .context("no errors")?
            .read_to_string(&mut said)?;
        self.child.wait()?;
        Ok(said)
    }
}

/// The echo of 16 bytes.
fn echo(stream: &mut TcpStream) -> Result<()> {
    let mut echoed = [0; 18];
    stream.read_exact(&mut echoed)?;
    Ok(())
}

fn memory(transport: &str, library: &str) -> Result<i64> {
    const STEPS: [usize; 2] = [1_000, 8_000];
    // Steps of 2 MiB would be too coarse.
    let small_pages = ["env", "MIMALLOC_ALLOW_THP=0"];
    let served = Served::start(&small_pages, transport, library)?;
    let mut sockets = Vec::new();
    let mut resident = Vec::new();
    for step in STEPS {
        while sockets.len() < step {
            let mut socket = served.open()?;
            // Each has said something before it's idle.
            socket.write_all(&message())?;
            echo(&mut socket)?;
            sockets.push(socket);
        }
        resident.push(served.resident()?);
    }
    served.end()?;
    Ok((resident[1] - resident[0]) / (STEPS[1] - STEPS[0]) as i64)
}

/// 16 bytes, masked by zeros.
fn message() -> [u8; 22] {
    let mut message = [b'x'; 22];
    message[..6].copy_from_slice(&[0x82, 0x90, 0, 0, 0, 0]);
    message
}

fn collected(transport: &str, library: &str, rounds: usize) -> Result<i64> {
    let callgrind = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
    ];
    let served = Served::start(&callgrind, transport, library)?;
    let mut sockets: Vec<_> = (0..64).map(|_| served.open()).collect::<Result<_>>()?;
    for _ in 0..rounds {
        for socket in &mut sockets {
            socket.write_all(&message())?;
        }
        for socket in &mut sockets {
            echo(socket)?;
        }
    }
    drop(sockets);
    let said = served.end()?;
    let count = said
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    count
        .with_context(|| said.clone())?
        .1
        .trim()
        .parse()
        .context("no count")
}

fn instructions(transport: &str, library: &str) -> Result<i64> {
    const ROUNDS: [usize; 2] = [100, 400];
    let few = collected(transport, library, ROUNDS[0])?;
    let many = collected(transport, library, ROUNDS[1])?;
    Ok((many - few) / (64 * (ROUNDS[1] - ROUNDS[0]) as i64))
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (measure, unit, transports): (fn(&str, &str) -> Result<i64>, _, _) = match arguments[..] {
        ["serve", transport, library] => return serve(transport, library),
        ["memory"] => (memory, "bytes per idle WebSocket", &TRANSPORTS[..]),
        ["instructions"] => (instructions, "user instructions per echo", &TRANSPORTS[..1]),
        _ => bail!("say what: memory, or instructions"),
    };
    for transport in transports {
        for library in LIBRARIES {
            println!(
                "{transport:8} {library:12} {} {unit}",
                measure(transport, library)?
            );
        }
    }
    Ok(())
}
