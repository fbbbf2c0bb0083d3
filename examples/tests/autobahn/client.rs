//! Autobahn's server against the client, over each transport.
use crate::{LOCAL, TIMEOUT, cases, check_report, missing};
use anyport::{
    Runtime, Tcp,
    protocol::Accepted,
    runtime::{TokioIo, TokioPerCore, block_on},
    serve_raw_with,
    tls::{Roots, TlsClientConfig, TlsConfig, TlsConnectorExt, TlsExt},
    transport::{Connector, Target, tcp::TcpConnector},
    ws::{ClientHandshake, Config, Deflate, WebSocket},
};
use anyport_testkit::requirements::{self, Tests};
use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tokio::{io::copy_bidirectional, task::spawn_blocking};

/// Runs this many cases of the server at an address.
type Run = fn(SocketAddr, usize);

pub(crate) fn tests(mut tests: Tests) -> Tests {
    let clients: &[(&str, Run)] = &[
        ("tcp", |addr, count| {
            let run = move || run::<TokioPerCore>(TcpConnector::new(), addr.into(), addr, count);
            block_on::<TokioPerCore, _>(None, run).unwrap();
        }),
        ("tls", over_tls),
        #[cfg(all(feature = "monoio", target_os = "linux"))]
        ("monoio", |addr, count| {
            use anyport::transport::monoio::{MonoioConnector, MonoioPerCore};
            let run =
                move || run::<MonoioPerCore>(MonoioConnector::new(), addr.into(), addr, count);
            block_on::<MonoioPerCore, _>(None, run).unwrap();
        }),
        #[cfg(all(feature = "glommio", target_os = "linux"))]
        ("glommio", |addr, count| {
            use anyport::transport::glommio::{GlommioConnector, GlommioPerCore};
            let run =
                move || run::<GlommioPerCore>(GlommioConnector::new(), addr.into(), addr, count);
            block_on::<GlommioPerCore, _>(None, run).unwrap();
        }),
    ];
    for (name, run) in clients {
        let name = format!("autobahn_with_a_client_over_{name}");
        tests = tests.unless(missing(), &name, || passes(*run));
    }
    tests
}

/// Autobahn's server has no TLS, so a relay in front of it adds TLS.
fn over_tls(addr: SocketAddr, count: usize) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let authority = made.cert.pem();
    let config = TlsConfig::from_pem(made.cert.pem(), made.signing_key.serialize_pem());
    requirements::block_on(async move {
        let relay = move |connection: Accepted<_>| async move {
            let mut server = tokio::net::TcpStream::connect(addr).await.unwrap();
            // An error is the end of a case that breaks the connection.
            let _ = copy_bidirectional(&mut TokioIo::new(connection), &mut server).await;
        };
        let relay = serve_raw_with(Tcp::bind(LOCAL).tls(config), relay);
        let relay = relay.start().unwrap();
        let target = Target::new(relay.endpoints()[0].clone()).with_host("localhost");
        let running = spawn_blocking(move || {
            block_on::<TokioPerCore, _>(None, move || {
                let config = TlsClientConfig::new(Roots::pem(authority));
                let connector = TcpConnector::new().tls(config).unwrap();
                run::<TokioPerCore>(connector, target, addr, count)
            })
        });
        running.await.unwrap().unwrap();
        drop(relay.abort());
    });
}

/// Starts Autobahn's server, runs its cases, and checks its report.
fn passes(run: Run) {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report");
    let specification = folder.path().join("spec.json");
    let cases = cases();
    let list = serde_json::to_string(&cases).unwrap();
    // It cannot listen at port 0.
    let addr = TcpListener::bind(LOCAL).unwrap().local_addr().unwrap();
    let text = format!(
        r#"{{"options": {{"failByDrop": false}}, "outdir": {report:?}, "url": "ws://{addr}", "cases": {list}, "exclude-cases": [], "exclude-agent-cases": {{}}}}"#
    );
    fs::write(&specification, text).unwrap();
    let mut wstest = Command::new("wstest");
    wstest.args(["--mode", "fuzzingserver", "--webport", "0", "--spec"]);
    let _running = Wstest::start(wstest.arg(specification), addr);
    run(addr, cases.len());
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
async fn run<R: Runtime>(
    connector: impl Connector,
    target: Target,
    server: SocketAddr,
    count: usize,
) {
    let config = Config::default()
        .with_max_message(32 << 20)
        .with_deflate(Deflate::default());
    let cases = (1..=count).map(|case| format!("runCase?case={case}&agent=anyport"));
    for path in cases.chain(["updateReports?agent=anyport".to_owned()]) {
        let connection = connector.connect(&target).await.unwrap().await.unwrap();
        let handshake = ClientHandshake::new(format!("ws://{server}/{path}")).unwrap();
        let timer = R::current().timer();
        // A busy server in Python may take longer than the default.
        let handshake = handshake.with_config(config.clone());
        let opened = handshake.with_deadline(TIMEOUT).open(connection, timer);
        echo(opened.await.unwrap().0).await;
    }
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        // If it fails, `recv` returns the reason.
        if message.is_data() {
            let _ = socket.feed(message).await;
        }
    }
}
