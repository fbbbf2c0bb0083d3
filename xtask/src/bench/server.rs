//! A server under measurement: started, found, looked at, and never left behind.

use super::{gate, listeners, scenario::Scenario, target::Target};
use anyhow::Context as _;
use anyport_bench_load::{Address, Interrupted, Patience};
use procfs::process::Process;
use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, fs, io, thread};

/// A child process, and what it was started under; dropped, both are ended.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    /// The server ends when this is closed, which the kernel does even if the bench is killed.
    stdin: Option<ChildStdin>,
    errors: File,
    address: Address,
    /// How many descriptors it had before anybody connected.
    descriptors: usize,
    patience: Patience,
}

/// What the names of environment variables begin with that set an allocator up.
const ALLOCATOR_SETTINGS: [&str; 3] = ["MIMALLOC_", "MALLOC_", "GLIBC_TUNABLES"];

impl Server {
    /// Starts it, and waits until it says where it listens.
    ///
    /// # Errors
    ///
    /// When there's no such server then, in one line.
    pub(super) fn start(
        program: &Path,
        arguments: &[String],
        listen: &Address,
        wrapper: &[OsString],
        scratch: &Path,
        patience: &Patience,
    ) -> anyhow::Result<Self> {
        if let Address::Unix(path) = listen {
            // What the last server left: they don't clean up when their stdin ends.
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        let words = wrapper
            .iter()
            .map(OsString::as_os_str)
            .chain([program.as_os_str()]);
        Self::spawn(words, arguments, listen, scratch, patience)
    }

    /// The same, if it's alone on its port and answers as it should.
    ///
    /// # Errors
    ///
    /// What's wrong with it, in one line.
    pub(super) fn checked(mut self, target: Target, scenario: Scenario) -> anyhow::Result<Self> {
        let checked = self.check(target, scenario);
        checked.map_err(|error| self.explain(error))?;
        Ok(self)
    }

    fn spawn<'a>(
        mut words: impl Iterator<Item = &'a OsStr>,
        arguments: &[String],
        listen: &Address,
        scratch: &Path,
        patience: &Patience,
    ) -> anyhow::Result<Self> {
        let errors = tempfile::tempfile().context("cannot make a temporary file")?;
        let program = words.next().context("no program to start")?;
        let mut command = Command::new(program);
        // All servers are to have the allocators' defaults.
        env::vars_os()
            .map(|(name, _)| name)
            .filter(|name| {
                ALLOCATOR_SETTINGS
                    .iter()
                    .any(|of| name.as_encoded_bytes().starts_with(of.as_bytes()))
            })
            .for_each(|name| {
                command.env_remove(name);
            });
        let mut child = command
            // What a server that was killed leaves there is removed with the rest.
            .env("TMPDIR", scratch)
            .args(words)
            .args(arguments)
            .args(["--listen", &listen.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone()?)
            // Ctrl-C is for the bench, which ends its servers in order; and a wrapper is ended with what it wraps.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let mut server = Self {
            child,
            stdin,
            errors,
            address: listen.clone(),
            descriptors: 0,
            patience: patience.clone(),
        };
        let line = first_line(stdout.context("the server has no stdout")?);
        let found = patience.poll(|| match line.try_recv() {
            Ok(line) => Ok(Some(line)),
            Err(mpsc::TryRecvError::Empty) => Ok(None),
            Err(mpsc::TryRecvError::Disconnected) => anyhow::bail!("it said no address"),
        });
        server.address = found
            .and_then(|line| line.context("it said no address in time"))
            .and_then(|line| line.parse().map_err(|error: String| anyhow::anyhow!(error)))
            .map_err(|error| server.explain(error))?;
        Ok(server)
    }

    fn check(&mut self, target: Target, scenario: Scenario) -> anyhow::Result<()> {
        self.descriptors = self.process()?.fd_count()?;
        if let Address::Tcp(address) | Address::Tls(address) = self.address {
            listeners::belong_to_group(address, self.child.id())?;
        }
        gate::check(target, &self.address, scenario, &self.patience)
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// The process: the server's own, unless its wrapper stays beside it.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How many connections it has accepted and not closed. Nothing but its descriptors tells: a fresh connection is silent.
    pub(super) fn accepted(&self) -> anyhow::Result<usize> {
        Ok(self.process()?.fd_count()?.saturating_sub(self.descriptors))
    }

    /// The bytes of memory that it shares with nobody.
    pub(super) fn private_memory(&self) -> anyhow::Result<u64> {
        let rollup = self
            .process()?
            .smaps_rollup()
            .context("cannot read /proc/PID/smaps_rollup")?;
        let map = rollup
            .memory_map_rollup
            .into_iter()
            .next()
            .context("/proc/PID/smaps_rollup is empty")?;
        let bytes = |key| map.extension.map.get(key).copied();
        let private = bytes("Private_Clean").zip(bytes("Private_Dirty"));
        let (clean, dirty) =
            private.context("/proc/PID/smaps_rollup has no `Private_Clean` and `Private_Dirty`")?;
        Ok(clean + dirty)
    }

    fn process(&self) -> anyhow::Result<Process> {
        Process::new(i32::try_from(self.pid())?).context("the server is gone")
    }

    /// Ends it as it's meant to be ended, and waits for that: its wrapper may have something to write.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        drop(self.stdin.take());
        let patience = self.patience.clone();
        let status = patience
            .poll(|| Ok(self.child.try_wait()?))?
            .context("the server doesn't end when its stdin does")?;
        anyhow::ensure!(status.success(), "{}", self.obituary(status));
        Ok(())
    }

    /// `error`, or what's behind it: that the server is dead.
    pub(super) fn explain(&mut self, error: anyhow::Error) -> anyhow::Error {
        const DYING: Duration = Duration::from_millis(500);
        if error.is::<Interrupted>() {
            return error;
        }
        // A connection ends a moment before its process does.
        let dead = self.patience.of(DYING).poll(|| Ok(self.child.try_wait()?));
        match dead {
            Ok(Some(status)) => anyhow::anyhow!("{}", self.obituary(status)),
            _ => error,
        }
    }

    fn obituary(&mut self, status: ExitStatus) -> String {
        let mut text = String::new();
        let read = self
            .errors
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.errors.read_to_string(&mut text));
        match (read, last_words(&text)) {
            (Ok(_), Some(words)) => format!("the server ended ({status}): {words}"),
            _ => format!("the server ended ({status})"),
        }
    }
}

/// What a program said in the end: its last line, or what it panicked with, without the backtrace.
fn last_words(errors: &str) -> Option<String> {
    let lines: Vec<&str> = errors
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let Some(panic) = lines.iter().position(|line| line.contains(" panicked at ")) else {
        return lines.last().map(ToString::to_string);
    };
    let is_message = |line: &&&str| !line.starts_with("stack backtrace:") && !line.starts_with("note:");
    let words: Vec<&str> = lines[panic..].iter().take_while(is_message).copied().collect();
    Some(words.join(" "))
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // The wrapper with what it wraps. Not once the leader is reaped: the number may be another group's by then, and its server ends with
        // its stdin.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// Gives the first line, or nothing if there's none. A thread reads on, so that nobody writes into a closed pipe.
fn first_line(stdout: ChildStdout) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        if stdout.read_line(&mut line).is_ok_and(|read| read > 0) {
            let _ = sender.send(line.trim_end().to_owned());
        }
        let _ = io::copy(&mut stdout, &mut io::sink());
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::last_words;

    #[test]
    fn the_last_line_tells_why_a_server_ended() {
        assert_eq!(last_words(""), None);
        let said = "a warning\nerror: the port is in use\n\n";
        assert_eq!(last_words(said).unwrap(), "error: the port is in use");
    }

    #[test]
    fn of_a_panic_its_message_is_told_without_the_backtrace() {
        let said = "\
a warning

thread 'main' (7) panicked at src/main.rs:3:5:
no io_uring here
stack backtrace:
   0: __rustc::rust_begin_unwind
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.
";
        assert_eq!(
            last_words(said).unwrap(),
            "thread 'main' (7) panicked at src/main.rs:3:5: no io_uring here"
        );
        let short = said.replace("stack backtrace:\n   0: __rustc::rust_begin_unwind\n", "");
        assert_eq!(last_words(&short), last_words(said));
    }
}
