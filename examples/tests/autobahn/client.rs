//! Autobahn's server against the client, over each transport.
use crate::{
    LOCAL, TIMEOUT, all_cases, check_report, compressed_cases, config, echo, keeps_contexts,
    missing, needs_release,
    reverse_proxy::{self, Options},
};
use anyport::{
    Runtime, Server, Tcp,
    protocol::Accepted,
    runtime::{TokioIo, TokioPerCore, block_on},
    serve_raw_with,
    tls::{Roots, TlsClientConfig, TlsConfig, TlsConnectorExt, TlsExt},
    transport::{Connector, Endpoint, Target, tcp::TcpConnector, unix::UnixConnector},
    ws::{ClientHandshake, Deflate},
};
use anyport_testkit::requirements::{self, Tests};
use clap::Parser;
use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tokio::{io::copy_bidirectional, task::spawn_blocking};

/// What a client does.
#[derive(Clone, Copy)]
struct Work {
    server: SocketAddr,
    /// How many cases the server has.
    count: usize,
    deflate: Deflate,
    http2: bool,
}

type Run = fn(Work);

pub(crate) fn tests(mut tests: Tests) -> Tests {
    let clients: &[(&str, Run)] = &[
        ("tcp", over_tcp),
        ("tls", over_tls),
        ("unix", over_unix),
        ("http2", over_http2),
        #[cfg(all(feature = "monoio", target_os = "linux"))]
        ("monoio", |work| {
            use anyport::transport::monoio::{MonoioConnector, MonoioPerCore};
            let target = work.server.into();
            let run = move || run::<MonoioPerCore>(MonoioConnector::new(), target, work);
            block_on::<MonoioPerCore, _>(None, run).unwrap();
        }),
        #[cfg(all(feature = "glommio", target_os = "linux"))]
        ("glommio", |work| {
            use anyport::transport::glommio::{GlommioConnector, GlommioPerCore};
            let target = work.server.into();
            let run = move || run::<GlommioPerCore>(GlommioConnector::new(), target, work);
            block_on::<GlommioPerCore, _>(None, run).unwrap();
        }),
    ];
    for (name, run) in clients {
        let name = format!("autobahn_with_a_client_over_{name}");
        let passes = || passes(&all_cases(), Deflate::default(), *run);
        tests = tests.unless(missing(), &name, passes);
    }
    let name = "autobahn_with_a_client_that_keeps_contexts";
    let passes = || passes(&compressed_cases(), keeps_contexts(), over_tcp);
    tests.unless(missing().or_else(needs_release), name, passes)
}

fn over_tcp(work: Work) {
    let target = work.server.into();
    let run = move || run::<TokioPerCore>(TcpConnector::new(), target, work);
    block_on::<TokioPerCore, _>(None, run).unwrap();
}

/// Autobahn's server has no TLS, so a relay in front of it adds TLS.
fn over_tls(work: Work) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let authority = made.cert.pem();
    let config = TlsConfig::from_pem(made.cert.pem(), made.signing_key.serialize_pem());
    let addr = work.server;
    let relay = move |connection: Accepted<_>| async move {
        let mut server = tokio::net::TcpStream::connect(addr).await.unwrap();
        // An error is the end of a case that breaks the connection.
        let _ = copy_bidirectional(&mut TokioIo::new(connection), &mut server).await;
    };
    let relay = serve_raw_with(Tcp::bind(LOCAL).tls(config), relay);
    behind(relay, move |endpoint| {
        let target = Target::new(endpoint).with_host("localhost");
        let config = TlsClientConfig::new(Roots::pem(authority));
        let connector = TcpConnector::new().tls(config).unwrap();
        let run = move || run::<TokioPerCore>(connector, target, work);
        block_on::<TokioPerCore, _>(None, run).unwrap();
    });
}

fn over_unix(work: Work) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.sock");
    let proxy = proxy("unix", path.to_str().unwrap(), work.server);
    behind(proxy, move |endpoint| {
        let run = move || run::<TokioPerCore>(UnixConnector::new(), Target::new(endpoint), work);
        block_on::<TokioPerCore, _>(None, run).unwrap();
    });
}

/// The example's proxy passes a WebSocket of HTTP/2 to a server of HTTP/1.1.
fn over_http2(work: Work) {
    let work = Work {
        http2: true,
        ..work
    };
    behind(proxy("tcp", LOCAL, work.server), move |endpoint| {
        let run = move || run::<TokioPerCore>(TcpConnector::new(), Target::new(endpoint), work);
        block_on::<TokioPerCore, _>(None, run).unwrap();
    });
}

/// The example's proxy in front of Autobahn's server.
fn proxy(transport: &str, listen: &str, server: SocketAddr) -> Server {
    let options =
        format!("reverse_proxy --transport {transport} --listen {listen} --target http://{server}");
    reverse_proxy::server(&Options::parse_from(options.split(' '))).unwrap()
}

/// Runs a client of this server.
fn behind(server: Server, client: impl FnOnce(Endpoint) + Send + 'static) {
    requirements::block_on(async move {
        let running = server.start().unwrap();
        let endpoint = running.endpoints()[0].clone();
        spawn_blocking(move || client(endpoint)).await.unwrap();
        drop(running.abort());
    });
}

/// Starts Autobahn's server, runs its cases, and checks its report.
fn passes(cases: &[&str], deflate: Deflate, run: Run) {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report");
    let specification = folder.path().join("spec.json");
    let list = serde_json::to_string(cases).unwrap();
    // It cannot listen at port 0.
    let addr = TcpListener::bind(LOCAL).unwrap().local_addr().unwrap();
    let text = format!(
        r#"{{"options": {{"failByDrop": false}}, "outdir": {report:?}, "url": "ws://{addr}", "cases": {list}, "exclude-cases": [], "exclude-agent-cases": {{}}}}"#
    );
    fs::write(&specification, text).unwrap();
    let mut wstest = Command::new("wstest");
    wstest.args(["--mode", "fuzzingserver", "--webport", "0", "--spec"]);
    let _running = Wstest::start(wstest.arg(specification), addr);
    run(Work {
        server: addr,
        count: cases.len(),
        deflate,
        http2: false,
    });
    check_report(&report, cases);
}

/// Autobahn's server, which ends with this value.
struct Wstest(Child);

impl Wstest {
    /// Starts it, and waits until it listens.
    fn start(wstest: &mut Command, addr: SocketAddr) -> Self {
        let mut running = Self(wstest.stdout(Stdio::null()).spawn().unwrap());
        let begin = Instant::now();
        while TcpStream::connect(addr).is_err() {
            assert!(begin.elapsed() < TIMEOUT, "wstest does not listen");
            assert!(running.0.try_wait().unwrap().is_none(), "wstest has ended");
            thread::sleep(Duration::from_millis(50));
        }
        running
    }
}

impl Drop for Wstest {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs each case, and lets the server write its report. The server expects its own address in
/// each request.
async fn run<R: Runtime>(connector: impl Connector, target: Target, work: Work) {
    let config = config(work.deflate);
    let cases = (1..=work.count).map(|case| format!("runCase?case={case}&agent=anyport"));
    for path in cases.chain(["updateReports?agent=anyport".to_owned()]) {
        let connection = connector.connect(&target).await.unwrap().await.unwrap();
        let handshake = ClientHandshake::new(format!("ws://{}/{path}", work.server)).unwrap();
        let timer = R::current().timer();
        // A busy server in Python may take longer than the default.
        let mut handshake = handshake.with_config(config.clone()).with_deadline(TIMEOUT);
        if work.http2 {
            handshake = handshake.with_http2_prior_knowledge();
        }
        echo(handshake.open(connection, timer).await.unwrap().0).await;
    }
}
