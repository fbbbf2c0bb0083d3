//! A running example, and one request to it.
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

/// Nothing here takes nearly so long, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running example; killed if the test fails.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) stdout: Receiver<String>,
    pub(crate) stderr: Receiver<String>,
    pub(crate) place: String,
    /// What it says should be tried.
    pub(crate) tried: String,
}

pub(crate) trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// How an example ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
}

impl Running {
    /// Until it says where it listens.
    pub(crate) fn start(example: &str, arguments: &[&str]) -> Self {
        let mut running = Self::spawn(Command::new(binary(example)).args(arguments)).unwrap();
        running.listens();
        running
    }

    /// The next that it says is where it listens.
    pub(crate) fn listens(&mut self) {
        let line = self.stdout.recv_timeout(PATIENCE).unwrap();
        let place = line
            .strip_prefix("listening on ")
            .and_then(|rest| rest.split(' ').next());
        place
            .unwrap_or_else(|| panic!("it printed {line:?}"))
            .clone_into(&mut self.place);
        let tried = line
            .split_once("(try: ")
            .map(|(_, tried)| tried.trim_end_matches(')'));
        tried.unwrap_or_default().clone_into(&mut self.tried);
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
            place: String::new(),
            tried: String::new(),
        })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sends SIGTERM and waits for what comes of it.
    pub(crate) fn terminate(self) -> Ended {
        self.signal(Signal::TERM);
        self.end()
    }

    pub(crate) fn end(mut self) -> Ended {
        // A process that has closed both has ended, or is about to.
        let (stdout, stderr) = (rest(&self.stdout), rest(&self.stderr));
        let code = self.child.wait().unwrap().code();
        Ended {
            code,
            stdout,
            stderr,
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.place).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub(crate) fn connect_anywhere(&self) -> Box<dyn Stream> {
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
    pub(crate) fn ask(&self, request: &str) -> String {
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
            .try_for_each(|read| line.send(read))
    });
    lines
}

pub(crate) fn rest(lines: &Receiver<String>) -> Vec<String> {
    let by = Instant::now() + PATIENCE;
    let mut all = Vec::new();
    loop {
        match lines.recv_timeout(by.saturating_duration_since(Instant::now())) {
            Ok(line) => all.push(line),
            Err(RecvTimeoutError::Disconnected) => return all,
            Err(RecvTimeoutError::Timeout) => {
                panic!("still running after {PATIENCE:?}; printed {all:?}")
            }
        }
    }
}

/// One request on a connection of its own: its first lines are given, the usual rest is added.
pub(crate) fn ask(mut stream: impl Read + Write, request: &str) -> String {
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
pub(crate) fn ask_and_stay(stream: &mut TcpStream) -> String {
    write!(stream, "GET / HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let mut response = String::new();
    let mut byte = [0];
    while !response.ends_with("Hello, World!") {
        stream.read_exact(&mut byte).unwrap();
        response.push(byte[0].into());
    }
    response
}

/// Runs what an example says should be tried: curl. `Err`: what curl says of its failure.
pub(crate) fn try_it(tried: &str, more: &[&str]) -> Result<String, String> {
    let tried = tried.split(' ').skip(1).chain(more.iter().copied());
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--max-time", &PATIENCE.as_secs().to_string()])
        .args(tried);
    let output = curl.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    match output.status.success() {
        true => Ok(text(output.stdout)),
        false => Err(text(output.stderr)),
    }
}

/// Runs what has to fail: exit code 1, nothing on stdout, one line on stderr.
pub(crate) fn one_line_of_error(command: &mut Command) -> String {
    let ended = Running::spawn(command).unwrap().end();
    assert_eq!(
        (ended.code, ended.stdout.len(), ended.stderr.len()),
        (Some(1), 0, 1),
        "{ended:?}"
    );
    ended.stderr[0].clone()
}
