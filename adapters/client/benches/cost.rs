//! The costs of a GET over TCP on a single-threaded tokio, beside those of a bare
//! `hyper::client::conn`, of hyper-util's client and of reqwest:
//! `cargo bench -p anyport-client --bench cost -- COST`.
//!
//! Each client runs in a process of its own, and sends one request after another on one connection
//! to a thread of this process. `hyper-timer` is bare hyper on a runtime that has a timer, as the
//! client's has: tokio then computes a timeout whenever it waits. `send` is `Client::send`,
//! `no-retries` is the same without the copy that a retry needs, and `head-timeout` is `send` with
//! a timeout. `service` is the tower service, `legacy` is hyper-util's client, and `reqwest` has
//! its defaults without TLS.
//!
//! - `instructions`: user instructions per request, as callgrind counts them
//! - `allocations`: allocations per request, as memcheck counts them
//! - `cpu`: nanoseconds of CPU per request, user and system: the least of nine runs, which take
//!   turns
//!
//! The first two need valgrind.
use anyhow::{Context as _, Result, bail, ensure};
use anyport_client::{Client, Fixed};
use anyport_core::runtime::TokioPerCore;
use anyport_tcp::TcpConnector;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioIo},
};
use std::{
    env,
    error::Error,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    process::Command,
    thread,
    time::Duration,
};
use tower::ServiceExt;

const CLIENTS: [&str; 8] = [
    "hyper",
    "hyper-timer",
    "send",
    "no-retries",
    "head-timeout",
    "service",
    "legacy",
    "reqwest",
];
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n\
    date: Mon, 30 Nov 2026 12:00:00 GMT\r\n\r\nHello, World!";

type Get = Request<Empty<Bytes>>;

/// Answers each request with the same bytes.
fn serve() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream?;
            stream.set_nodelay(true)?;
            let mut head = [0; 4096];
            // A request is one segment, and the next comes after its response.
            while stream.read(&mut head)? > 0 {
                stream.write_all(RESPONSE)?;
            }
        }
        std::io::Result::Ok(())
    });
    Ok(address)
}

fn request(uri: &Uri) -> Get {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = uri.clone();
    let headers = request.headers_mut();
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    request
}

async fn read<B>(response: Response<B>) -> Result<()>
where
    B: Body<Data = Bytes, Error: Error + Send + Sync + 'static> + Unpin,
{
    let mut body = response.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, Bytes::len);
    }
    ensure!(bytes == 13, "{bytes} bytes");
    Ok(())
}

/// Sends requests, and prints the CPU time of this process.
async fn run(client: &str, address: SocketAddr, requests: u32) -> Result<()> {
    let uri: Uri = format!("http://{address}/").parse()?;
    let fixed = Fixed::new(TcpConnector::new(), address);
    let builder = match client {
        "no-retries" => Client::builder(fixed).without_retries(),
        "head-timeout" => Client::builder(fixed).head_timeout(Duration::from_secs(30)),
        _ => Client::builder(fixed),
    };
    let ours = builder.build_per_worker::<TokioPerCore, Empty<Bytes>>();
    match client {
        "hyper" | "hyper-timer" => {
            if client == "hyper-timer" {
                tokio::task::spawn_local(tokio::time::sleep(Duration::from_secs(58)));
            }
            let stream = tokio::net::TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::task::spawn_local(connection);
            let (path, host) = (
                Uri::from_static("/"),
                HeaderValue::from_str(&address.to_string())?,
            );
            for _ in 0..requests {
                let mut request = request(&path);
                request.headers_mut().insert(header::HOST, host.clone());
                sender.ready().await?;
                read(sender.send_request(request).await?).await?;
            }
        }
        "send" | "no-retries" | "head-timeout" => {
            for _ in 0..requests {
                read(ours.send(request(&uri)).await?).await?;
            }
        }
        "service" => {
            for _ in 0..requests {
                read(ours.clone().oneshot(request(&uri)).await?).await?;
            }
        }
        "legacy" => {
            let client = legacy::Client::builder(TokioExecutor::new()).build_http();
            for _ in 0..requests {
                read(client.request(request(&uri)).await?).await?;
            }
        }
        "reqwest" => {
            let client = reqwest::Client::new();
            let url = reqwest::Url::parse(&uri.to_string())?;
            for _ in 0..requests {
                // It adds the same `Accept` as all others have.
                let response = client.get(url.clone()).send().await?;
                read(Response::<reqwest::Body>::from(response)).await?;
            }
        }
        _ => bail!("unknown client"),
    }
    // The runtime has one thread. valgrind does not bear rustix's clocks.
    let time = fs::read_to_string("/proc/thread-self/schedstat")?;
    let time = time.split(' ').next().context("no schedstat")?;
    println!("{time}");
    Ok(())
}

/// What a client's process prints, run by `tool`.
fn output(tool: &[&str], client: &str, address: SocketAddr, requests: u32) -> Result<String> {
    let program = env::current_exe()?;
    let program = program.to_str().context("a path that is no text")?;
    let (address, requests) = (address.to_string(), requests.to_string());
    let mut words = tool.to_vec();
    words.extend([program, "run", client, &address, &requests]);
    let output = Command::new(words[0]).args(&words[1..]).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{errors}");
    Ok(format!(
        "{}{errors}",
        String::from_utf8_lossy(&output.stdout)
    ))
}

/// The number after this text, per request: the difference between two runs.
fn counted(tool: &[&str], after: &str, client: &str, address: SocketAddr) -> Result<f64> {
    const REQUESTS: [u32; 2] = [1000, 6000];
    let mut counts = [0.0; 2];
    for (requests, count) in REQUESTS.into_iter().zip(&mut counts) {
        let output = output(tool, client, address, requests)?;
        let (_, number) = output.split_once(after).context("no count")?;
        let number = number.trim_start().split(' ').next().unwrap_or_default();
        let digits: String = number.lines().next().unwrap_or_default().replace(',', "");
        *count = digits.parse()?;
    }
    Ok((counts[1] - counts[0]) / f64::from(REQUESTS[1] - REQUESTS[0]))
}

fn cpu(client: &str, address: SocketAddr) -> Result<f64> {
    const REQUESTS: u32 = 50_000;
    let nanoseconds: f64 = output(&["nice", "-n", "0"], client, address, REQUESTS)?
        .trim()
        .parse()?;
    Ok(nanoseconds / f64::from(REQUESTS))
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["run", client, address, requests] = arguments[..] {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build_local(Default::default())?;
        return runtime.block_on(run(client, address.parse()?, requests.parse()?));
    }
    let address = serve()?;
    let callgrind = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
    ];
    let memcheck = ["valgrind", "--tool=memcheck", "--leak-check=no"];
    for client in CLIENTS {
        let (figure, unit) = match arguments[..] {
            ["instructions"] => {
                let figure = counted(&callgrind, "Collected :", client, address)?;
                (figure, "user instructions per request")
            }
            ["allocations"] => {
                let figure = counted(&memcheck, "total heap usage:", client, address)?;
                (figure, "allocations per request")
            }
            ["cpu"] => break,
            _ => bail!("which cost? instructions, allocations or cpu"),
        };
        println!("{client:12} {figure:8.1} {unit}");
    }
    if arguments == ["cpu"] {
        let mut least = [f64::INFINITY; CLIENTS.len()];
        for _ in 0..9 {
            for (client, least) in CLIENTS.into_iter().zip(&mut least) {
                *least = least.min(cpu(client, address)?);
            }
        }
        for (client, least) in CLIENTS.into_iter().zip(least) {
            println!("{client:12} {least:8.0} ns of CPU per request");
        }
    }
    Ok(())
}
