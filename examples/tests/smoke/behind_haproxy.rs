//! `behind_haproxy` with Debian's haproxy in front of it, and without a proxy.
use crate::{
    add,
    example::{Example, TIMEOUT, binary, exchange, one_line_error, run_curl},
};
use anyport_testkit::requirements::{Tests, needs_program};
use rustix::io::{FdFlags, fcntl_setfd};
use std::{
    fs,
    io::Read,
    net::{SocketAddr, TcpListener, TcpStream},
    os::{fd::AsRawFd, unix::net::UnixStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};
use tempfile::TempDir;

const TRUST: [&str; 4] = ["--listen", "127.0.0.1:0", "--trust", "127.0.0.0/8"];

pub(crate) fn tests(tests: Tests) -> Tests {
    let tests = add!(tests, behind_haproxy, wrong_options_are_errors);
    let tests = add!(
        tests, behind_haproxy unless needs_program("curl"),
        printed_curl_command_works,
    );
    add!(
        tests, behind_haproxy unless needs_program("haproxy"),
        each_kind_of_header_names_the_client,
        health_checks_succeed,
    )
}

/// haproxy, killed when it is dropped.
struct Haproxy {
    child: Child,
    addr: SocketAddr,
    folder: TempDir,
}

impl Haproxy {
    fn start(app: &str, options: &str) -> Self {
        // haproxy inherits the listening socket, so clients can connect before haproxy runs.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        fcntl_setfd(&listener, FdFlags::empty()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().to_str().unwrap();
        let configuration = format!(
            "global\n stats socket {at}/stats\n\
             defaults\n mode tcp\n timeout connect 60s\n timeout check 60s\n timeout client 60s\n timeout server 60s\n\
             frontend web\n bind fd@{}\n default_backend app\n\
             backend app\n option httpchk GET /\n server app {app} {options}\n",
            listener.as_raw_fd()
        );
        let file = format!("{at}/configuration");
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new("haproxy");
        let child = command.args(["-db", "-f", &file]).stdout(Stdio::null());
        Self {
            child: child.spawn().unwrap(),
            addr: listener.local_addr().unwrap(),
            folder,
        }
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn each_kind_of_header_names_the_client() {
    let app = Example::start("behind_haproxy", &TRUST);
    for options in ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn"] {
        let haproxy = Haproxy::start(&app.endpoint, options);
        let stream = TcpStream::connect(haproxy.addr).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let client = stream.local_addr().unwrap();
        let answer = exchange(stream, "GET /");
        let wanted = format!("You are {client}, behind 127.0.0.1:");
        assert!(answer.contains(&wanted), "{options}: {answer}");
        let wanted = format!("You connected to {}\n", haproxy.addr);
        assert!(answer.contains(&wanted), "{options}: {answer}");
    }
    app.terminate().assert_success();
}

fn health_checks_succeed() {
    let app = Example::start("behind_haproxy", &TRUST);
    let haproxy = Haproxy::start(&app.endpoint, "check inter 50ms send-proxy-v2");
    let by = Instant::now() + TIMEOUT;
    while !status(haproxy.folder.path()).contains("L7OK") {
        assert!(Instant::now() < by, "{}", status(haproxy.folder.path()));
        std::thread::yield_now();
    }
    drop(haproxy);
    app.terminate().assert_success();
}

/// The status of the server according to haproxy.
fn status(folder: &Path) -> String {
    let mut text = String::new();
    if let Ok(mut stats) = UnixStream::connect(folder.join("stats")) {
        std::io::Write::write_all(&mut stats, b"show stat\n").unwrap();
        stats.read_to_string(&mut text).unwrap();
    }
    text
}

fn printed_curl_command_works() {
    let app = Example::start("behind_haproxy", &TRUST);
    let answer = run_curl(&app.curl, &[]).unwrap();
    assert!(answer.contains("You are 127.0.0.1:"), "{answer}");
    assert!(answer.contains("behind 127.0.0.1:"), "{answer}");
    app.terminate().assert_success();
}

fn wrong_options_are_errors() {
    let mut command = Command::new(binary("behind_haproxy"));
    let error = one_line_error(command.args(["--trust", "balancer"]));
    assert!(error.contains("\"balancer\" is not a network"), "{error}");
    let untrusted = ["--listen", "127.0.0.1:0", "--trust", "192.0.2.0/24"];
    let strict = Example::start("behind_haproxy", &untrusted);
    let mut answer = Vec::new();
    // A reset is an end, too.
    let _ = strict.connect().read_to_end(&mut answer);
    assert_eq!(answer, b"");
    strict.terminate().assert_success();
}
