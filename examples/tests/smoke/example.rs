//! A running example, and requests to it.
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};
use tokio::net::TcpSocket;

/// Upper bound of every wait. Only a test that hangs reaches it.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// A running example, which is killed if the test fails.
pub(crate) struct Example {
    pub(crate) child: Child,
    pub(crate) stdout: Receiver<String>,
    pub(crate) stderr: Receiver<String>,
    pub(crate) endpoint: String,
    /// The arguments of the curl command that it prints.
    pub(crate) curl: String,
}

pub(crate) trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// The exit code and the output of an example.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
}

impl Example {
    /// Starts an example, and waits until it listens.
    pub(crate) fn start(example: &str, arguments: &[&str]) -> Self {
        let mut example = Self::spawn(Command::new(binary(example)).args(arguments)).unwrap();
        example.wait_until_listening();
        example
    }

    /// Reads the next lines, which must say where the example listens, and how to call it.
    pub(crate) fn wait_until_listening(&mut self) {
        self.endpoint = self.line_after("listening on ");
        self.curl = self.line_after("try: ");
    }

    /// The rest of the next line, which must begin like this.
    pub(crate) fn line_after(&self, start: &str) -> String {
        let line = self.stdout.recv_timeout(TIMEOUT).unwrap();
        match line.strip_prefix(start) {
            Some(rest) => rest.to_owned(),
            None => panic!("expected `{start}..`, got {line:?}"),
        }
    }

    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
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
            endpoint: String::new(),
            curl: String::new(),
        })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sends SIGTERM, and waits for the end.
    pub(crate) fn terminate(self) -> Outcome {
        self.signal(Signal::TERM);
        self.wait()
    }

    pub(crate) fn wait(self) -> Outcome {
        self.wait_for(TIMEOUT)
    }

    pub(crate) fn wait_for(mut self, limit: Duration) -> Outcome {
        // A process that has closed both pipes has ended, or is about to.
        let (stdout, stderr) = (rest(&self.stdout, limit), rest(&self.stderr, limit));
        let code = self.child.wait().unwrap().code();
        Outcome {
            code,
            stdout,
            stderr,
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.endpoint).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream
    }

    pub(crate) fn connect_anywhere(&self) -> Box<dyn Stream> {
        match self.endpoint.strip_prefix("unix:") {
            Some(path) => {
                let stream = UnixStream::connect(path).unwrap();
                stream.set_read_timeout(Some(TIMEOUT)).unwrap();
                Box::new(stream)
            }
            None => Box::new(self.connect()),
        }
    }

    /// Sends one request, and returns the whole response.
    pub(crate) fn exchange(&self, request: &str) -> String {
        exchange(self.connect(), request)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // An error means that the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Outcome {
    /// The last line of the log.
    pub(crate) fn last_line(&self) -> &str {
        self.stdout.last().map_or("", String::as_str)
    }

    pub(crate) fn assert_success(&self) {
        assert_eq!((self.code, self.stderr.len()), (Some(0), 0), "{self:?}");
    }
}

pub(crate) fn binary(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples")
        .join(example);
    assert!(
        path.exists(),
        "{} is missing: `cargo test -p anyport-examples` or `cargo build --examples` builds it",
        path.display()
    );
    path
}

pub(crate) fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (line, lines) = channel();
    thread::spawn(move || {
        BufReader::new(pipe)
            .lines()
            .map_while(Result::ok)
            .try_for_each(|read| line.send(without_time(read)))
    });
    lines
}

/// A line of the server's log without its time, level and target, if the level is INFO.
fn without_time(line: String) -> String {
    match line.split_once("  INFO anyport: ") {
        Some((_, message)) => message.to_owned(),
        None => line,
    }
}

pub(crate) fn rest(lines: &Receiver<String>, limit: Duration) -> Vec<String> {
    let by = Instant::now() + limit;
    let mut all = Vec::new();
    loop {
        match lines.recv_timeout(by.saturating_duration_since(Instant::now())) {
            Ok(line) => all.push(line),
            Err(RecvTimeoutError::Disconnected) => return all,
            Err(RecvTimeoutError::Timeout) => {
                panic!("still running after {limit:?}; printed {all:?}")
            }
        }
    }
}

/// Sends one request on a connection of its own. The remaining headers are added to the given
/// lines.
pub(crate) fn exchange(mut stream: impl Read + Write, request: &str) -> String {
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

/// Sends one request and keeps the connection open. Returns the head and the 13 bytes of the body.
pub(crate) fn get_and_keep_alive(stream: &mut TcpStream) -> String {
    try_get_and_keep_alive(stream).unwrap()
}

/// Does the same, on a connection that the server may have closed.
pub(crate) fn try_get_and_keep_alive(stream: &mut TcpStream) -> io::Result<String> {
    write!(stream, "GET / HTTP/1.1\r\nHost: test\r\n\r\n")?;
    let mut response = String::new();
    let mut byte = [0];
    while !response.ends_with("Hello, World!") {
        stream.read_exact(&mut byte)?;
        response.push(byte[0].into());
    }
    Ok(response)
}

/// An address of this machine, which nobody else gets while the socket is kept. It refuses
/// connections, unless a program binds it with SO_REUSEPORT.
pub(crate) fn reserved_address() -> (SocketAddr, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    (socket.local_addr().unwrap(), socket)
}

/// Runs the curl command that an example prints. An error is curl's message.
pub(crate) fn run_curl(tried: &str, more: &[&str]) -> Result<String, String> {
    let tried = tried.split(' ').skip(1).chain(more.iter().copied());
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--max-time", &TIMEOUT.as_secs().to_string()])
        .args(tried);
    let output = curl.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    match output.status.success() {
        true => Ok(text(output.stdout)),
        false => Err(text(output.stderr)),
    }
}

/// Runs a command that must succeed. Returns the lines of its stdout.
pub(crate) fn output(command: &mut Command) -> Vec<String> {
    let ended = Example::spawn(command).unwrap().wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

/// Runs a command that must fail: exit code 1, nothing on stdout, one line on stderr.
pub(crate) fn one_line_error(command: &mut Command) -> String {
    let ended = Example::spawn(command).unwrap().wait();
    assert_eq!(
        (ended.code, ended.stdout.len(), ended.stderr.len()),
        (Some(1), 0, 1),
        "{ended:?}"
    );
    ended.stderr[0].clone()
}
