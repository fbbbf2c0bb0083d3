//! Debian's nginx (`nginx-light`), set up as `nginx.conf` beside this says, and ended with the
//! bench.
//!
//! This process becomes nginx, so that the bench measures nothing else. What nginx does not do is
//! done by a child, the guard: it says the address once nginx answers, waits for the end of stdin,
//! ends nginx then, and removes its folder.
//!
//! nginx does not print its port. So the port is taken here, by a socket that is bound and never
//! listens, and nginx binds its own beside it.

use anyhow::Context as _;
use anyport_bench_child::{Address, Workload, announce};
use clap::Parser;
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

const CONFIG: &str = include_str!("../nginx.conf");
/// How often the guard asks whether nginx is there.
const RETRY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 5_000_000,
};
#[derive(Debug, Parser)]
#[command(about = "nginx, which serves what it can of the bench's app, until its stdin ends")]
struct Options {
    /// Where to listen: IP:PORT of this machine; port 0 is any free one.
    #[arg(long, value_name = "ADDR", required_unless_present = "guard")]
    listen: Option<Address>,
    /// Speak HTTP/2 instead of HTTP/1: before 1.25.1, a port without TLS speaks either.
    #[arg(long)]
    http2: bool,
    /// Be the guard of the process with this number, of this folder.
    #[arg(long, num_args = 3, value_names = ["PID", "FOLDER", "ADDR"], hide = true)]
    guard: Vec<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match (&options.listen, &options.guard[..]) {
        (_, [pid, folder, address]) => guard(pid, Path::new(folder), address),
        (Some(listen), _) => become_nginx(listen, options.http2).map(|never| match never {}),
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

fn become_nginx(listen: &Address, http2: bool) -> anyhow::Result<Infallible> {
    let Address::Tcp(address) = *listen else {
        anyhow::bail!("this peer listens on IP:PORT, not on {listen}");
    };
    let (reservation, address) =
        reserve(address).map_err(|error| anyhow::anyhow!("cannot bind {address}: {error}"))?;
    let folder = tempfile::Builder::new().prefix("peer-nginx-").tempdir()?;
    for file in [Workload::Download64K, Workload::Download1M] {
        write_file(folder.path(), file)?;
    }
    let config = folder.path().join("nginx.conf");
    fs::write(&config, configured(folder.path(), address, http2)?)
        .with_context(|| format!("cannot write {}", config.display()))?;
    let pid = getpid().as_raw_nonzero().to_string();
    Command::new(env::current_exe()?)
        .args(["--guard", &pid])
        .arg(folder.path())
        .arg(address.to_string())
        .spawn()
        .context("cannot start the guard")?;
    // The guard removes it.
    let folder = folder.keep();
    fcntl_setfd(&reservation, FdFlags::empty())?;
    let error = Command::new("nginx")
        .args(["-e", "stderr", "-p"])
        .arg(&folder)
        .arg("-c")
        .arg(&config)
        .env("PATH", path())
        // The guard has the bench's.
        .stdin(Stdio::null())
        .exec();
    match error.kind() {
        io::ErrorKind::NotFound => {
            anyhow::bail!("`nginx` is not installed; on Debian: apt install nginx-light")
        }
        _ => Err(error).context("cannot start nginx"),
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

fn configured(folder: &Path, address: SocketAddr, http2: bool) -> anyhow::Result<String> {
    let folder = folder
        .to_str()
        .context("the temporary folder's name is not UTF-8")?;
    let http2 = if http2 { " http2" } else { "" };
    Ok(CONFIG
        .replace("DIRECTORY", folder)
        .replace("LISTEN", &format!("{address}{http2}")))
}

/// Debian has nginx in /usr/sbin, which is in root's PATH only.
fn path() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin");
    path
}

/// Says the address, ends nginx when stdin ends, and leaves nothing behind.
fn guard(pid: &str, folder: &Path, address: &str) -> anyhow::Result<()> {
    let pid = Pid::from_raw(pid.parse()?).context("no process has the number 0")?;
    let nginx = pidfd_open(pid, PidfdFlags::empty());
    // Otherwise it has ended, and its number may be reused.
    if let Some(nginx) = nginx.ok().filter(|_| getppid() == Some(pid)) {
        let address = address.parse()?;
        // Where it doesn't, it says why itself, and its end tells the bench.
        if answers(address, &nginx)? {
            announce(&Address::Tcp(address))?;
            io::copy(&mut io::stdin().lock(), &mut io::sink())?;
        }
        end(&nginx).context("cannot end nginx")?;
    }
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// Asks until nginx answers, or is gone. HTTP/1.0 makes it close its end of the connection before
/// this one sees the end of the answer: the bench counts its descriptors.
fn answers(address: SocketAddr, nginx: &OwnedFd) -> io::Result<bool> {
    while !has_ended(nginx, Some(RETRY))? {
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

fn end(process: &OwnedFd) -> io::Result<()> {
    match pidfd_send_signal(process, Signal::TERM) {
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
