//! A server that is measured: a process that ends with the bench, whatever happens.

use super::context::Context;
use super::processes::{Group, Processes};
use super::target::{Program, Target, Transport};
use anyhow::Context as _;
use anyport_bench_load::{Address, Interrupted, Timeout};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, io, thread};

/// Environment variables of a user's server: where to listen (IP:PORT, or the path of a socket),
/// and the number of workers.
const LISTEN: &str = "ANYPORT_BENCH_LISTEN";
const WORKERS: &str = "ANYPORT_BENCH_WORKERS";
/// How long a user's server may take to end after SIGTERM.
const TERM_TIMEOUT: Duration = Duration::from_secs(5);
/// Prefixes of environment variables that configure an allocator.
const ALLOCATOR_SETTINGS: [&str; 3] = ["MIMALLOC_", "MALLOC_", "GLIBC_TUNABLES"];

/// A child process with its wrapper, both of which end when this is dropped.
#[derive(Debug)]
pub(super) struct Server {
    /// The server ends when this is closed. If the bench is killed, the kernel closes it.
    stdin: Option<ChildStdin>,
    group: Group,
    errors: File,
    address: Address,
    /// One process, or the tree of a user's server, once it listens.
    processes: Processes,
    is_given: bool,
    /// What a proxy forwards to. It is killed after the proxy.
    upstream: Option<Box<Self>>,
    /// How many descriptors it had before the first connection.
    descriptors: usize,
    timeout: Timeout,
}

/// How a server is started.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Start<'a> {
    /// Words before the server's command.
    pub(super) wrapper: &'a [OsString],
    pub(super) http2: bool,
    /// Names and values.
    pub(super) environment: &'a [(&'a str, &'a str)],
}

impl Server {
    /// Starts it, and waits until it listens. A proxy's upstream is started first, on the load's
    /// core.
    pub(super) fn start(
        context: &Context,
        target: &Target,
        start: Start<'_>,
    ) -> anyhow::Result<Self> {
        let upstream = target.upstream();
        let upstream = upstream.map(|of| Self::start(context, &of, Start::default()));
        let upstream = upstream.transpose().context("its upstream")?;
        let listen = listen_address(context, target)?;
        let mut words: Vec<OsString> = start.wrapper.to_vec();
        match &target.program {
            Program::Built(package, arguments) => {
                let built = context.binaries.get(package);
                let built = built.context("it was not built")?.as_ref();
                words.push(built.map_err(|reason| anyhow::anyhow!("{reason}"))?.into());
                words.extend(arguments.iter().map(Into::into));
                if start.http2 && target.has_http2_flag {
                    words.push("--http2".into());
                }
                match (target.scales, context.workers.get()) {
                    (true, workers) => {
                        words.extend(["--workers".into(), workers.to_string().into()])
                    }
                    (false, 1) => {}
                    (false, _) => anyhow::bail!("it has one worker only"),
                }
                words.extend(["--listen".into(), listen.to_string().into()]);
                if let Some(upstream) = &upstream {
                    words.extend(["--upstream".into(), upstream.address.to_string().into()]);
                }
            }
            Program::Command(command) => {
                let command = command
                    .replace("{listen}", &plain(&listen))
                    .replace("{workers}", &context.workers.to_string());
                words.extend(["sh".into(), "-c".into(), command.into()]);
            }
        }
        let mut server = Self::spawn(context, target, &words, listen, start.environment)?;
        server.upstream = upstream.map(Box::new);
        let ready = match target.is_given() {
            false => server.read_address(),
            true => server.wait_until_it_accepts(&target.name),
        };
        let descriptors = ready.and_then(|()| server.processes.descriptors());
        server.descriptors = descriptors.map_err(|error| server.explain(error))?;
        Ok(server)
    }

    fn spawn(
        context: &Context,
        target: &Target,
        words: &[OsString],
        address: Address,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let errors = tempfile::tempfile().context("cannot make a temporary file")?;
        let (program, arguments) = words.split_first().context("no program to start")?;
        let mut command = Command::new(program);
        // All servers have the allocators' defaults.
        for (name, _) in env::vars_os() {
            let is_setting = |of: &&str| name.as_encoded_bytes().starts_with(of.as_bytes());
            if ALLOCATOR_SETTINGS.iter().any(is_setting) {
                command.env_remove(name);
            }
        }
        command
            // The files of a server that was killed are removed with this folder.
            .env("TMPDIR", context.scratch.path())
            .env(LISTEN, plain(&address))
            .env(WORKERS, context.workers.to_string())
            .envs(environment.iter().copied())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone()?);
        let mut group = Group::spawn(&mut command)
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self {
            stdin: group.0.stdin.take(),
            processes: Processes::of(group.number()),
            group,
            errors,
            address,
            is_given: target.is_given(),
            upstream: None,
            descriptors: 0,
            timeout: context.timeout.clone(),
        })
    }

    /// Servers of the bench print their address on the first line.
    fn read_address(&mut self) -> anyhow::Result<()> {
        let line = first_line(&mut self.group.0)?;
        let found = self.timeout.poll(|| match line.try_recv() {
            Ok(line) => Ok(Some(line)),
            Err(mpsc::TryRecvError::Empty) => Ok(None),
            Err(mpsc::TryRecvError::Disconnected) => anyhow::bail!("it printed no address"),
        });
        let line = found?.context("it printed no address in time")?;
        self.address = line
            .parse()
            .map_err(|error: String| anyhow::anyhow!(error))?;
        Ok(())
    }

    fn wait_until_it_accepts(&mut self, name: &str) -> anyhow::Result<()> {
        // Its output is read so that the pipe does not fill up.
        let _ = first_line(&mut self.group.0)?;
        let (address, child) = (&self.address, &mut self.group.0);
        let accepts = self.timeout.poll(|| {
            if let Some(status) = child.try_wait()? {
                anyhow::bail!("the command of `{name}` ended ({status}) before it listened");
            }
            let connected = match address {
                Address::Tcp(address) | Address::Tls(address) => {
                    TcpStream::connect(address).is_ok()
                }
                Address::Unix(path) => UnixStream::connect(path).is_ok(),
            };
            Ok(connected.then_some(()))
        })?;
        accepts.with_context(|| {
            format!(
                "`{name}` accepts no connection at {}; it has to listen at `{{listen}}` in its \
                command, or at {LISTEN} in its environment",
                plain(address)
            )
        })?;
        self.processes = Processes::below(self.group.number())?;
        Ok(())
    }

    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.group.0.try_wait(), Ok(None))
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    pub(super) fn processes(&self) -> &Processes {
        &self.processes
    }

    pub(super) fn upstream(&self) -> Option<&Self> {
        self.upstream.as_deref()
    }

    /// How many connections it has accepted and not closed, by its descriptors.
    pub(super) fn accepted(&self) -> anyhow::Result<usize> {
        Ok(self
            .processes
            .descriptors()?
            .saturating_sub(self.descriptors))
    }

    /// Ends the server, and waits for that, since its wrapper may write a file at the end.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        drop(self.stdin.take());
        if self.is_given {
            // Its exit code does not matter. The first process may be a wrapper, which ends with it
            // and may write a file.
            let all = self.processes.numbers();
            let signalled = if all.len() > 1 { &all[1..] } else { all };
            for process in signalled.iter().copied().filter_map(Pid::from_raw) {
                let _ = kill_process(process, Signal::TERM);
            }
            let timeout = self.timeout.with_duration(TERM_TIMEOUT);
            return timeout.poll(|| Ok(self.group.0.try_wait()?)).map(drop);
        }
        let timeout = self.timeout.clone();
        let status = timeout
            .poll(|| Ok(self.group.0.try_wait()?))?
            .context("the server does not end when its stdin ends")?;
        anyhow::ensure!(status.success(), "{}", self.exit_reason(status));
        Ok(())
    }

    /// The error, or its cause if the server has ended.
    pub(super) fn explain(&mut self, error: anyhow::Error) -> anyhow::Error {
        const EXIT: Duration = Duration::from_millis(500);
        if error.is::<Interrupted>() {
            return error;
        }
        // A connection ends a moment before its process.
        let timeout = self.timeout.with_duration(EXIT);
        match timeout.poll(|| Ok(self.group.0.try_wait()?)) {
            Ok(Some(status)) => anyhow::anyhow!("{}", self.exit_reason(status)),
            _ => error,
        }
    }

    fn exit_reason(&mut self, status: ExitStatus) -> String {
        let read = self.errors.rewind();
        let text = read.and_then(|()| io::read_to_string(&self.errors));
        match last_error(&text.unwrap_or_default()) {
            Some(error) => format!("the server ended ({status}): {error}"),
            None => format!("the server ended ({status})"),
        }
    }
}

/// Where to listen. Servers of the bench find a free port themselves; a user's server gets one.
fn listen_address(context: &Context, target: &Target) -> anyhow::Result<Address> {
    let mut address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    if target.is_given() && target.transport != Transport::Unix {
        address = TcpListener::bind(address).and_then(|free| free.local_addr())?;
    }
    Ok(match target.transport {
        Transport::Tcp => Address::Tcp(address),
        Transport::Tls => Address::Tls(address),
        Transport::Unix => {
            let folder = tempfile::tempdir_in(context.scratch.path())?.keep();
            Address::Unix(folder.join("server.sock"))
        }
    })
}

/// Without a prefix.
fn plain(address: &Address) -> String {
    match address {
        Address::Tcp(address) | Address::Tls(address) => address.to_string(),
        Address::Unix(path) => path.display().to_string(),
    }
}

/// The last line that a program printed, or the message of its panic.
fn last_error(errors: &str) -> Option<String> {
    let lines: Vec<&str> = errors
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    match lines.iter().position(|line| line.contains(" panicked at ")) {
        Some(panic) => Some(lines[panic..lines.len().min(panic + 2)].join(" ")),
        None => lines.last().map(ToString::to_string),
    }
}

/// Sends the first line, if there is one. A thread reads on, so that the server never writes into a
/// closed pipe.
fn first_line(server: &mut Child) -> anyhow::Result<mpsc::Receiver<String>> {
    let stdout = server.stdout.take().context("the server has no stdout")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        if stdout.read_line(&mut line).is_ok_and(|read| read > 0) {
            let _ = sender.send(line.trim_end().to_owned());
        }
        let _ = io::copy(&mut stdout, &mut io::sink());
    });
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::last_error;

    #[test]
    fn panics_have_no_backtrace() {
        let said = "\
a warning

thread 'main' (7) panicked at src/main.rs:3:5:
no io_uring here
stack backtrace:
   0: __rustc::rust_begin_unwind
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.
";
        assert_eq!(
            last_error(said).unwrap(),
            "thread 'main' (7) panicked at src/main.rs:3:5: no io_uring here"
        );
    }
}
