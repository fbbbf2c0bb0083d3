//! Each example as its user runs it: started on a free port, asked for real, ended by a signal.
//!
//! `cargo test` builds the examples before this; `cargo test --test smoke` alone doesn't.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::{net::UnixStream, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

/// Nothing here takes nearly so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running example; killed if the test fails.
struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    place: String,
}

trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// How an example ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: Vec<String>,
    stderr: Vec<String>,
}

impl Running {
    /// Until it says where it listens.
    fn start(example: &str, arguments: &[&str]) -> Self {
        let mut running = Self::spawn(Command::new(binary(example)).args(arguments)).unwrap();
        let line = running.stdout.recv_timeout(PATIENCE).unwrap();
        let place = line
            .strip_prefix("listening on ")
            .and_then(|rest| rest.split(' ').next());
        running.place = place
            .unwrap_or_else(|| panic!("{example} printed {line:?}"))
            .to_owned();
        running
    }

    fn spawn(command: &mut Command) -> io::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (stdout, stderr) = (
            lines(child.stdout.take().unwrap()),
            lines(child.stderr.take().unwrap()),
        );
        Ok(Self {
            child,
            stdout,
            stderr,
            place: String::new(),
        })
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sends SIGTERM and waits for what comes of it.
    fn terminate(self) -> Ended {
        self.signal(Signal::TERM);
        self.end()
    }

    fn end(mut self) -> Ended {
        // A process that has closed both has ended, or is about to.
        let (stdout, stderr) = (rest(&self.stdout), rest(&self.stderr));
        let code = self.child.wait().unwrap().code();
        Ended { code, stdout, stderr }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.place).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn connect_anywhere(&self) -> Box<dyn Stream> {
        match self.place.strip_prefix("unix:") {
            Some(path) => {
                let stream = UnixStream::connect(path).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                Box::new(stream)
            }
            None => Box::new(self.connect()),
        }
    }

    /// Sends one request, and gives the whole response.
    fn ask(&self, request: &str) -> String {
        ask(self.connect(), request)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    fn assert_success(&self) {
        assert_eq!((self.code, self.stderr.len()), (Some(0), 0), "{self:?}");
    }
}

fn binary(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("examples").join(example);
    assert!(
        path.exists(),
        "{} is missing: `cargo test -p anyport-examples` or `cargo build --examples` builds it",
        path.display()
    );
    path
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (line, lines) = channel();
    thread::spawn(move || {
        BufReader::new(pipe)
            .lines()
            .map_while(Result::ok)
            .try_for_each(|read| line.send(read))
    });
    lines
}

fn rest(lines: &Receiver<String>) -> Vec<String> {
    let by = Instant::now() + PATIENCE;
    let mut all = Vec::new();
    loop {
        match lines.recv_timeout(by.saturating_duration_since(Instant::now())) {
            Ok(line) => all.push(line),
            Err(RecvTimeoutError::Disconnected) => return all,
            Err(RecvTimeoutError::Timeout) => panic!("still running after {PATIENCE:?}; printed {all:?}"),
        }
    }
}

/// One request on a connection of its own: its first lines are given, the usual rest is added.
fn ask(mut stream: impl Read + Write, request: &str) -> String {
    let (line, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let (line, headers) = line
        .split_once('\n')
        .map_or((line, String::new()), |(line, headers)| {
            (line, format!("{}\r\n", headers.replace('\n', "\r\n")))
        });
    let length = body.len();
    write!(
        stream,
        "{line} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

/// One request that leaves the connection open; the response's head and its 13 bytes of body.
fn ask_and_stay(stream: &mut TcpStream) -> String {
    write!(stream, "GET / HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let mut response = String::new();
    let mut byte = [0];
    while !response.ends_with("Hello, World!") {
        stream.read_exact(&mut byte).unwrap();
        response.push(byte[0].into());
    }
    response
}

/// A word that shows, although the test passes.
#[expect(clippy::explicit_write, reason = "libtest holds back what `eprintln!` says")]
fn skipped(test: &str, why: &str) {
    writeln!(io::stderr(), "skipped {test}: {why}").unwrap();
}

#[test]
fn hello_serves_over_each_transport_and_reports_its_drain() {
    for transport in ["tcp", "tcp-per-core"] {
        let hello = Running::start("hello", &["--transport", transport, "--listen", "127.0.0.1:0"]);
        let response = hello.ask("GET /");
        assert!(
            response.starts_with("HTTP/1.1 200 OK\r\n"),
            "{transport}: {response}"
        );
        assert!(
            response.ends_with("\r\n\r\nHello, World!"),
            "{transport}: {response}"
        );
        // This one is idle when the drain begins.
        let mut idle = hello.connect();
        ask_and_stay(&mut idle);
        let ended = hello.terminate();
        ended.assert_success();
        assert_eq!(
            ended.stdout,
            ["drained: 1 completed, 0 aborted (0 of them upgraded)"],
            "{transport}"
        );
        assert_eq!(
            idle.read(&mut [0]).unwrap(),
            0,
            "{transport}: it was closed, not reset"
        );
    }
}

#[test]
fn hello_drains_on_the_first_signal_and_ends_at_once_on_the_second() {
    let hello = Running::start("hello", &["--listen", "127.0.0.1:0"]);
    // A request that doesn't come to its end keeps the server from ending.
    let mut unfinished = hello.connect();
    write!(unfinished, "GET / HTTP/1.1\r\nHost:").unwrap();
    let mut busy = hello.connect();
    hello.signal(Signal::INT);
    let by = Instant::now() + PATIENCE;
    while !ask_and_stay(&mut busy).contains("connection: close") {
        assert!(Instant::now() < by, "it drains, but tells nobody");
    }
    // The other one would be taken for its twin (`shutdown::signal`).
    hello.signal(Signal::INT);
    let ended = hello.end();
    assert_eq!((ended.code, ended.stdout.len()), (Some(128 + 2), 0), "{ended:?}");
}

#[test]
fn axum_app_serves_over_each_transport_and_ends_what_would_go_on_for_ever() {
    let path = std::env::temp_dir().join(format!("anyport-smoke-axum-{}.sock", std::process::id()));
    let path = path.to_str().unwrap();
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
    for (transport, listen) in [
        ("tcp", "127.0.0.1:0"),
        ("tcp-per-core", "127.0.0.1:0"),
        ("unix", path),
        ("unix-per-core", path),
    ] {
        let arguments = ["--transport", transport, "--listen", listen, "--assets", assets];
        let axum = Running::start("axum_app", &arguments);
        let ask = |request: &str| ask(axum.connect_anywhere(), request);
        let created = ask("POST /notes\nContent-Type: application/json\n\n{\"text\": \"buy milk\"}");
        assert!(created.starts_with("HTTP/1.1 201 "), "{transport}: {created}");
        let note = ask("GET /notes/1");
        let body = "\r\n\r\n{\"id\":1,\"text\":\"buy milk\"}";
        assert!(note.ends_with(body), "{transport}: {note}");
        let page = ask("GET /");
        assert!(page.contains("<title>Notes</title>"), "{transport}: {page}");
        let who = ask("GET /whoami");
        assert_eq!(who.contains(" as user "), listen == path, "{transport}: {who}");
        // The events go on until the drain; then they end, they aren't cut off.
        let mut stream = axum.connect_anywhere();
        write!(stream, "GET /notes/events HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        let (mut events, mut byte) = (String::new(), [0]);
        while !events.contains("data: {\"id\":1") {
            stream.read_exact(&mut byte).unwrap();
            events.push(byte[0].into());
        }
        axum.signal(Signal::TERM);
        stream.read_to_string(&mut events).unwrap();
        assert!(events.ends_with("\r\n0\r\n\r\n"), "{transport}: {events}");
        let ended = axum.end();
        ended.assert_success();
        assert!(ended.stdout[0].contains(" 0 aborted"), "{transport}: {ended:?}");
    }
}

#[test]
fn per_worker_counts_on_each_worker_and_in_all() {
    const REQUESTS: u64 = 20;
    let per_worker = Running::start("per_worker", &["--listen", "127.0.0.1:0", "--workers", "2"]);
    let mut here = [0; 2];
    for all in 1..=REQUESTS {
        let response = per_worker.ask("GET /");
        let body = response.rsplit("\r\n\r\n").next().unwrap();
        let numbers: Vec<u64> = body
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|n| n.parse().ok())
            .collect();
        let worker = usize::try_from(numbers[0]).unwrap();
        here[worker] += 1;
        assert_eq!(
            body,
            format!("worker {worker}: {} requests here, {all} in all\n", here[worker])
        );
    }
    per_worker.terminate().assert_success();
}

#[test]
fn raw_echo_sends_back_what_it_gets() {
    let echo = Running::start("raw_echo", &["--listen", "127.0.0.1:0"]);
    let mut stream = echo.connect();
    stream.write_all(b"some\0bytes").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    assert_eq!(back, b"some\0bytes");
    echo.terminate().assert_success();
}

#[test]
fn custom_transport_serves_over_its_socket_and_removes_the_file_it_made() {
    let path = std::env::temp_dir().join(format!("anyport-smoke-{}.sock", std::process::id()));
    let name = path.to_str().unwrap();
    let custom = Running::start("custom_transport", &[name]);
    assert_eq!(custom.place, format!("unix:{name}"));
    let response = ask(UnixStream::connect(&path).unwrap(), "GET /some/path");
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert!(response.contains("/some/path"), "{response}");
    // A second server doesn't get the place, and leaves the first one's file alone.
    let error = one_line_of_error(Command::new(binary("custom_transport")).arg(name));
    assert!(
        error.contains(&format!("unix:{name}: address already in use")),
        "{error}"
    );
    assert!(path.exists());
    custom.terminate().assert_success();
    assert!(!path.exists());
}

#[test]
fn unix_tells_its_clients_who_they_are() {
    let path = std::env::temp_dir().join(format!("anyport-smoke-unix-{}.sock", std::process::id()));
    let name = path.to_str().unwrap();
    let unix = Running::start("unix", &[name, "--mode", "600"]);
    assert_eq!(unix.place, format!("unix:{name}"));
    let response = ask(UnixStream::connect(&path).unwrap(), "GET /");
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    let me = format!("\r\n\r\nYou are process {}, user ", std::process::id());
    assert!(response.contains(&me), "{response}");
    unix.terminate().assert_success();
    assert!(!path.exists());
}

#[test]
fn hello_serves_over_unix_sockets_and_replaces_what_a_killed_one_left() {
    let path = std::env::temp_dir().join(format!("anyport-smoke-hello-{}.sock", std::process::id()));
    let name = path.to_str().unwrap();
    for transport in ["unix", "unix-per-core"] {
        let arguments = ["--transport", transport, "--listen", name];
        Running::start("hello", &arguments).signal(Signal::KILL);
        // Until the kernel has closed what it had open.
        while UnixStream::connect(&path).is_ok() {
            thread::yield_now();
        }
        let hello = Running::start("hello", &arguments);
        let response = ask(UnixStream::connect(&path).unwrap(), "GET /");
        assert!(
            response.ends_with("\r\n\r\nHello, World!"),
            "{transport}: {response}"
        );
        hello.terminate().assert_success();
        assert!(!path.exists(), "{transport}");
    }
}

/// Runs what has to fail: exit code 1, nothing on stdout, one line on stderr.
fn one_line_of_error(command: &mut Command) -> String {
    let ended = Running::spawn(command).unwrap().end();
    assert_eq!(
        (ended.code, ended.stdout.len(), ended.stderr.len()),
        (Some(1), 0, 1),
        "{ended:?}"
    );
    ended.stderr[0].clone()
}

/// How `hello` fails at an address; the same with each transport.
fn hello_fails(arguments: &[&str]) -> String {
    let errors = ["tcp", "tcp-per-core"].map(|transport| {
        one_line_of_error(
            Command::new(binary("hello"))
                .args(["--transport", transport])
                .args(arguments),
        )
    });
    assert_eq!(errors[0], errors[1]);
    errors[0].clone()
}

#[test]
fn hello_names_the_port_that_is_in_use_and_how_to_find_who_uses_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    assert_eq!(
        hello_fails(&["--listen", &addr.to_string()]),
        format!(
            "error: cannot bind {addr}: address already in use (see who listens there: `ss -ltnp 'sport = :{}'`; \
             or bind port 0 to be given a free one)",
            addr.port()
        )
    );
}

#[test]
fn hello_names_the_host_that_does_not_resolve() {
    let error = hello_fails(&["--listen", "no-such-name.invalid:80"]);
    assert!(
        error
            .starts_with("error: cannot bind no-such-name.invalid:80: cannot resolve `no-such-name.invalid`"),
        "{error}"
    );
    assert!(error.contains("check the name"), "{error}");
}

#[test]
fn hello_names_the_address_that_no_interface_has() {
    // An address for documentation (RFC 5737).
    let error = hello_fails(&["--listen", "192.0.2.1:0"]);
    assert!(
        error.starts_with("error: cannot bind 192.0.2.1:0: no interface of this machine has this address"),
        "{error}"
    );
    assert!(error.contains("`ip address`"), "{error}");
}

#[test]
fn hello_refuses_to_have_no_worker() {
    let error = hello_fails(&["--listen", "127.0.0.1:0", "--workers", "0"]);
    assert!(error.starts_with("error: zero workers"), "{error}");
}

#[test]
#[cfg(target_os = "linux")]
fn hello_names_the_capability_that_port_80_needs() {
    let test = "hello_names_the_capability_that_port_80_needs";
    let lowest = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if lowest.trim().parse::<u32>().unwrap() <= 80 {
        return skipped(
            test,
            "any user may bind port 80 here (ip_unprivileged_port_start)",
        );
    }
    let copy = Path::new(&std::env::temp_dir()).join(format!("anyport-smoke-{}", std::process::id()));
    let mut command = Command::new(binary("hello"));
    if may_bind_port_80() {
        // `nobody`, who may not, may perhaps not enter the build's folder either.
        fs::copy(binary("hello"), &copy).unwrap();
        command = Command::new(&copy);
        command.uid(65534).gid(65534);
    }
    command.args(["--listen", "127.0.0.1:80"]);
    let mut spawned = Running::spawn(&mut command);
    // Another test's child that's about to start may still hold the copy open for writing.
    while spawned
        .as_ref()
        .is_err_and(|e| e.kind() == io::ErrorKind::ExecutableFileBusy)
    {
        thread::yield_now();
        spawned = Running::spawn(&mut command);
    }
    let ended = spawned.map(Running::end);
    let _ = fs::remove_file(&copy);
    match ended {
        Err(error) => skipped(test, &format!("the right to bind port 80 can't be dropped: {error}")),
        Ok(ended) => assert_eq!(
            (ended.code, ended.stderr),
            (
                Some(1),
                vec![
                    "error: cannot bind 127.0.0.1:80: permission denied (ports below 1024 need CAP_NET_BIND_SERVICE)"
                        .to_owned()
                ]
            )
        ),
    }
}

/// Whether this process has CAP_NET_BIND_SERVICE (capabilities(7)): bit 10 of what's effective.
#[cfg(target_os = "linux")]
fn may_bind_port_80() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .unwrap();
    u64::from_str_radix(effective.trim(), 16).unwrap() & (1 << 10) != 0
}
