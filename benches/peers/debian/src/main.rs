//! Debian's nginx and haproxy, set up as the files beside this say, and ended with the bench.
//!
//! This process becomes the server, so that the bench measures nothing else. What the server does
//! not do is done by a child, the guard: it announces the address once the server answers, waits
//! for the end of stdin, ends the server then, and removes its folder.
//!
//! The servers do not print their port. So the port is taken here, by a socket that is bound and
//! never listens, and the server binds its own beside it.

use anyhow::Context as _;
use anyport_bench_child::{Address, Workload, announce};
use clap::{Parser, ValueEnum};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, FdFlags, fcntl_setfd},
    process::{Pid, PidfdFlags, Signal, getpid, getppid, pidfd_open, pidfd_send_signal},
};
use socket2::{Domain, Socket, Type};
use std::{
    convert::Infallible,
    env,
    ffi::OsString,
    fs,
    io::{self, Write as _},
    net::{SocketAddr, TcpStream},
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    path::Path,
    process::{Command, ExitCode, Stdio},
};

/// How often the guard asks whether the server is there.
const RETRY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 5_000_000,
};

#[derive(Debug, Parser)]
#[command(about = "A server of Debian, until its stdin ends")]
struct Options {
    /// The server.
    #[arg(value_enum)]
    server: Server,
    /// Where to listen: IP:PORT of this machine; port 0 is any free one.
    #[arg(long, value_name = "ADDR", required_unless_present = "guard")]
    listen: Option<Address>,
    /// Where a proxy forwards to.
    #[arg(long, value_name = "IP:PORT")]
    upstream: Option<SocketAddr>,
    /// Speak HTTP/2 instead of HTTP/1: before 1.25.1, a port of nginx without TLS speaks either.
    #[arg(long)]
    http2: bool,
    /// Be the guard of the process with this number, of this folder.
    #[arg(long, num_args = 3, value_names = ["PID", "FOLDER", "ADDR"], hide = true)]
    guard: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Server {
    /// nginx, which serves what it can of the bench's app.
    Nginx,
    /// nginx as a proxy.
    NginxProxy,
    /// haproxy as a proxy.
    Haproxy,
}

impl Server {
    fn config(self) -> String {
        let nginx = |server| include_str!("../nginx.conf").replace("SERVER", server);
        match self {
            Self::Nginx => nginx(include_str!("../app.conf")),
            Self::NginxProxy => nginx(include_str!("../proxy.conf")),
            Self::Haproxy => include_str!("../haproxy.cfg").to_owned(),
        }
    }

    /// The program and its Debian package.
    fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Nginx | Self::NginxProxy => ("nginx", "nginx-light"),
            Self::Haproxy => ("haproxy", "haproxy"),
        }
    }

    /// The program with this configuration, in the foreground.
    fn command(self, folder: &Path, config: &Path) -> Command {
        let mut command = Command::new(self.program().0);
        match self {
            Self::Nginx | Self::NginxProxy => {
                command.args(["-e", "stderr", "-p"]).arg(folder).arg("-c")
            }
            Self::Haproxy => command.args(["-db", "-f"]),
        };
        command.arg(config);
        command
    }

    /// Ends the server with code 0.
    fn end_signal(self) -> Signal {
        match self {
            Self::Nginx | Self::NginxProxy => Signal::TERM,
            Self::Haproxy => Signal::USR1,
        }
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match (&options.listen, &options.guard[..]) {
        (_, [pid, folder, address]) => guard(options.server, pid, Path::new(folder), address),
        (Some(listen), _) => become_server(&options, listen).map(|never| match never {}),
        (None, _) => Ok(()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn become_server(options: &Options, listen: &Address) -> anyhow::Result<Infallible> {
    let Address::Tcp(address) = *listen else {
        anyhow::bail!("this peer listens on IP:PORT, not on {listen}");
    };
    let (reservation, address) =
        reserve(address).map_err(|error| anyhow::anyhow!("cannot bind {address}: {error}"))?;
    let folder = tempfile::Builder::new().prefix("peer-debian-").tempdir()?;
    if options.server == Server::Nginx {
        for file in [Workload::Download64K, Workload::Download1M] {
            write_file(folder.path(), file)?;
        }
    }
    let config = folder.path().join("configuration");
    fs::write(&config, configured(options, folder.path(), address)?)
        .with_context(|| format!("cannot write {}", config.display()))?;
    let name = options.server.to_possible_value();
    let name = name.context("a server without a name")?;
    let pid = getpid().as_raw_nonzero().to_string();
    Command::new(env::current_exe()?)
        .args([name.get_name(), "--guard", &pid])
        .arg(folder.path())
        .arg(address.to_string())
        .spawn()
        .context("cannot start the guard")?;
    // The guard removes it.
    let folder = folder.keep();
    fcntl_setfd(&reservation, FdFlags::empty())?;
    let mut command = options.server.command(&folder, &config);
    // The guard has the bench's stdin.
    let error = command.env("PATH", path()).stdin(Stdio::null()).exec();
    let (program, package) = options.server.program();
    match error.kind() {
        io::ErrorKind::NotFound => {
            anyhow::bail!("`{program}` is not installed; on Debian: apt install {package}")
        }
        _ => Err(error).with_context(|| format!("cannot start {program}")),
    }
}

/// Where its path leads in nginx's folder.
fn write_file(folder: &Path, workload: Workload) -> anyhow::Result<()> {
    let path = folder.join(workload.path().trim_start_matches('/'));
    let written = path.parent().map_or(Ok(()), fs::create_dir_all);
    written
        .and_then(|()| fs::write(&path, workload.response_body()))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn configured(options: &Options, folder: &Path, address: SocketAddr) -> anyhow::Result<String> {
    let folder = folder
        .to_str()
        .context("the temporary folder's name is not UTF-8")?;
    let http2 = if options.http2 { " http2" } else { "" };
    let config = options.server.config();
    let config = match options.upstream {
        Some(upstream) => config.replace("UPSTREAM", &upstream.to_string()),
        None if config.contains("UPSTREAM") => anyhow::bail!("a proxy needs `--upstream`"),
        None => config,
    };
    Ok(config
        .replace("DIRECTORY", folder)
        .replace("LISTEN", &format!("{address}{http2}")))
}

/// Debian has the servers in /usr/sbin, which is in root's PATH only.
fn path() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin");
    path
}

/// Announces the address, ends the server when stdin ends, and leaves nothing behind.
fn guard(server: Server, pid: &str, folder: &Path, address: &str) -> anyhow::Result<()> {
    let pid = Pid::from_raw(pid.parse()?).context("no process has the number 0")?;
    let process = pidfd_open(pid, PidfdFlags::empty());
    // Otherwise it has ended, and its number may be reused.
    if let Some(process) = process.ok().filter(|_| getppid() == Some(pid)) {
        let address = address.parse()?;
        // If it does not answer, it says why itself, and its end tells the bench.
        if answers(address, &process)? {
            announce(&Address::Tcp(address))?;
            io::copy(&mut io::stdin().lock(), &mut io::sink())?;
        }
        end(&process, server.end_signal()).context("cannot end the server")?;
    }
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// Asks until the server answers, or is gone. HTTP/1.0 makes it close its end of the connection
/// before this one sees the end of the answer: the bench counts its descriptors.
fn answers(address: SocketAddr, server: &OwnedFd) -> io::Result<bool> {
    while !has_ended(server, Some(RETRY))? {
        let Ok(mut stream) = TcpStream::connect(address) else {
            continue;
        };
        let asked = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
        if asked.and_then(|()| io::copy(&mut stream, &mut io::sink()))? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

fn end(process: &OwnedFd, signal: Signal) -> io::Result<()> {
    match pidfd_send_signal(process, signal) {
        // It ended by itself.
        Err(Errno::SRCH) => {}
        sent => sent?,
    }
    has_ended(process, None).map(drop)
}

fn has_ended(process: &OwnedFd, within: Option<Timespec>) -> io::Result<bool> {
    loop {
        match poll(&mut [PollFd::new(process, PollFlags::IN)], within.as_ref()) {
            Err(Errno::INTR) => {}
            ready => return Ok(ready? > 0),
        }
    }
}

/// A port that no other process gets while this socket lives. A socket that may share addresses can
/// be bound beside it, since this one does not listen.
fn reserve(address: SocketAddr) -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    let bound = socket.local_addr()?.as_socket();
    Ok((socket, bound.ok_or(io::ErrorKind::Unsupported)?))
}
