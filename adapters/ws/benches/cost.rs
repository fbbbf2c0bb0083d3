//! What a WebSocket costs, beside tokio-tungstenite's with a buffer of 4 KiB on the same transport:
//! `cargo bench -p anyport-ws --bench cost -- WHAT`.
//!
//! - `memory`: bytes per idle WebSocket, as the slope from 1,000 to 8,000 of them, by mimalloc.
//!   It's the resident memory of a process that has the server's ends alone. Over TLS, a session of
//!   rustls alone is measured in the same way, to compare.
//! - `instructions`: user instructions per echo of 16 bytes over TCP, on 64 WebSockets that send at
//!   once. It's what callgrind counts of the server for more echoes, so it needs valgrind.
use anyhow::{Context as _, Result, bail};
use anyport_core::{Body, Server, serve_with};
use anyport_tls::{TlsConfig, TlsExt};
use anyport_ws::{self as ws, Config, WebSocket};
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use std::{
    convert::Infallible,
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{self, Child, Command, Stdio},
    sync::Arc,
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

#[allow(dead_code)]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TRANSPORTS: [&str; 4] = ["tcp", "tls", "monoio", "glommio"];
const LIBRARIES: [&str; 2] = ["anyport-ws", "tungstenite"];
const LOCAL: &str = "127.0.0.1:0";
/// How many WebSockets, or sessions, there are when memory is measured.
const STEPS: [usize; 2] = [1_000, 8_000];
/// Where a server over TLS finds its certificate and its key, as PEM.
const CERTIFICATE: &str = "COST_CERTIFICATE";
const KEY: &str = "COST_KEY";
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
    anyport_core::runtime::spawn(async {
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
    let tls = || -> Result<_> {
        let config = TlsConfig::from_pem(env::var(CERTIFICATE)?, env::var(KEY)?);
        Ok(tcp().tls(config))
    };
    let monoio = || anyport_monoio::Monoio::bind(LOCAL).with_workers(1);
    let glommio = || anyport_glommio::Glommio::bind(LOCAL).with_workers(1);
    Ok(match (transport, library) {
        ("tcp", "anyport-ws") => serve_with(tcp(), service_fn(ours)),
        ("tcp", _) => serve_with(tcp(), service_fn(theirs)),
        ("tls", "anyport-ws") => serve_with(tls()?, service_fn(ours)),
        ("tls", _) => serve_with(tls()?, service_fn(theirs)),
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

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// A process that serves.
struct Served {
    child: Child,
    addr: String,
    /// Over TLS.
    client: Option<Arc<ClientConfig>>,
}

impl Served {
    fn start(under: &[&str], transport: &str, library: &str) -> Result<Self> {
        let this = env::current_exe()?.display().to_string();
        let all: Vec<&str> = under
            .iter()
            .copied()
            .chain([&*this, "serve", transport, library])
            .collect();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([NAME.to_owned()])?;
        let client = match transport {
            "tls" => Some(client_config(cert.der())?),
            _ => None,
        };
        let mut child = Command::new(all[0])
            .args(&all[1..])
            .env(CERTIFICATE, cert.pem())
            .env(KEY, signing_key.serialize_pem())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut addr = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut addr)?;
        Ok(Self {
            child,
            addr: addr.trim().to_owned(),
            client,
        })
    }

    fn open(&self) -> Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(&self.addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut stream: Box<dyn Stream> = match &self.client {
            Some(client) => Box::new(StreamOwned::new(session(client)?, stream)),
            None => Box::new(stream),
        };
        stream.write_all(REQUEST)?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        Ok(stream)
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

/// Bytes of a process that are in memory.
fn resident(process: u32) -> Result<i64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|line| line.split_whitespace().next())
        .context("no VmRSS")?;
    Ok(kib.parse::<i64>()? * 1024)
}

/// The name that certificates are for.
const NAME: &str = "localhost";

fn client_config(certificate: &CertificateDer<'static>) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn session(client: &Arc<ClientConfig>) -> Result<ClientConnection> {
    let name = ServerName::try_from(NAME)?;
    Ok(ClientConnection::new(Arc::clone(client), name)?)
}

/// The slope of what the server's ends of TLS sessions take that have echoed 16 bytes, without any
/// connection.
fn sessions() -> Result<i64> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([NAME.to_owned()])?;
    let key = PrivateKeyDer::from_pem_slice(signing_key.serialize_pem().as_bytes())?;
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    let (server, client) = (Arc::new(server), client_config(cert.der())?);
    let (mut kept, mut measured) = (Vec::with_capacity(STEPS[1]), Vec::new());
    for step in STEPS {
        while kept.len() < step {
            let mut theirs = session(&client)?;
            let mut ours = ServerConnection::new(Arc::clone(&server))?;
            theirs.writer().write_all(&[b'x'; 16])?;
            while theirs.wants_write() || ours.wants_write() {
                let mut wire = Vec::new();
                while theirs.wants_write() {
                    theirs.write_tls(&mut wire)?;
                }
                pass(&wire, |wire| ours.read_tls(wire))?;
                ours.process_new_packets()?;
                let mut echo = [0; 16];
                if ours.reader().read(&mut echo).is_ok_and(|n| n > 0) {
                    ours.writer().write_all(&echo)?;
                }
                let mut wire = Vec::new();
                while ours.wants_write() {
                    ours.write_tls(&mut wire)?;
                }
                pass(&wire, |wire| theirs.read_tls(wire))?;
                theirs.process_new_packets()?;
            }
            kept.push(ours);
        }
        measured.push(resident(process::id())?);
    }
    Ok(slope(&measured))
}

fn pass(
    mut wire: &[u8],
    mut read: impl FnMut(&mut dyn Read) -> std::io::Result<usize>,
) -> Result<()> {
    while !wire.is_empty() {
        read(&mut wire)?;
    }
    Ok(())
}

fn slope(measured: &[i64]) -> i64 {
    (measured[1] - measured[0]) / (STEPS[1] - STEPS[0]) as i64
}

/// The echo of 16 bytes.
fn echo(stream: &mut dyn Stream) -> Result<()> {
    let mut echoed = [0; 18];
    stream.read_exact(&mut echoed)?;
    Ok(())
}

fn memory(transport: &str, library: &str) -> Result<i64> {
    // Steps of 2 MiB would be too coarse.
    let small_pages = ["env", "MIMALLOC_ALLOW_THP=0"];
    let served = Served::start(&small_pages, transport, library)?;
    let mut sockets = Vec::new();
    let mut measured = Vec::new();
    for step in STEPS {
        while sockets.len() < step {
            let mut socket = served.open()?;
            // Each has said something before it's idle.
            socket.write_all(&message())?;
            echo(&mut *socket)?;
            sockets.push(socket);
        }
        measured.push(resident(served.child.id())?);
    }
    served.end()?;
    Ok(slope(&measured))
}

/// What [`sessions`] says in a process of its own.
fn sessions_apart() -> Result<String> {
    let this = Command::new(env::current_exe()?)
        .arg("sessions")
        .env("MIMALLOC_ALLOW_THP", "0")
        .output()?;
    Ok(String::from_utf8(this.stdout)?)
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
            echo(&mut **socket)?;
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
        ["sessions"] => {
            println!("tls      rustls       {} bytes per session", sessions()?);
            return Ok(());
        }
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
    if arguments == ["memory"] {
        print!("{}", sessions_apart()?);
    }
    Ok(())
}
