//! Debian's nginx (`nginx-light`), set up as `nginx.conf` beside this says, and ended with the bench.
//!
//! This process becomes nginx, so that the bench measures nothing else. What nginx doesn't do is done by a child, the guard: it waits for the
//! end of stdin, ends nginx then, and removes its folder.
//!
//! nginx can't say which port it got. So the socket is bound here and handed down, as nginx hands its own to a new version of itself.

use anyhow::Context as _;
use anyport_bench_child::{Address, announce};
use clap::Parser;
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::{Errno, FdFlags, fcntl_setfd},
    process::{Pid, PidfdFlags, Signal, getpid, getppid, pidfd_open, pidfd_send_signal},
};
use socket2::{Domain, Socket, Type};
use std::{
    convert::Infallible,
    env, fs, io,
    net::{SocketAddr, TcpListener},
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

const CONFIG: &str = include_str!("../nginx.conf");
/// As in the config, where nginx would change it if it were another.
const BACKLOG: i32 = 4096;

#[derive(Debug, Parser)]
#[command(about = "nginx, which answers every request with `Hello, World!`, until its stdin ends")]
struct Options {
    /// Where to listen: IP:PORT of this machine; port 0 is any free one.
    #[arg(long, value_name = "ADDR", required_unless_present = "guard")]
    listen: Option<Address>,
    /// Be the guard of the process with this number, and of this folder.
    #[arg(long, num_args = 2, value_names = ["PID", "FOLDER"], hide = true)]
    guard: Vec<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match (&options.listen, &options.guard[..]) {
        (_, [pid, folder]) => guard(pid, Path::new(folder)),
        (Some(listen), _) => become_nginx(listen).map(|never| match never {}),
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

fn become_nginx(listen: &Address) -> anyhow::Result<Infallible> {
    let Address::Tcp(address) = *listen else {
        anyhow::bail!("this peer listens on IP:PORT, not on {listen}");
    };
    let listener = bind(address).map_err(|error| anyhow::anyhow!("cannot bind {address}: {error}"))?;
    let address = listener.local_addr()?;
    let folder = tempfile::Builder::new().prefix("peer-nginx-").tempdir()?;
    let config = folder.path().join("nginx.conf");
    fs::write(&config, configured(folder.path(), address)?)
        .with_context(|| format!("cannot write {}", config.display()))?;
    let pid = getpid().as_raw_nonzero().to_string();
    Command::new(env::current_exe()?)
        .args(["--guard", &pid])
        .arg(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start the guard")?;
    announce(&Address::Tcp(address))?;
    fcntl_setfd(&listener, FdFlags::empty())?;
    let error = Command::new("nginx")
        .args(["-e", "stderr", "-p"])
        .arg(folder.path())
        .arg("-c")
        .arg(&config)
        .env("PATH", path())
        // How nginx hands over its sockets: their descriptors.
        .env("NGINX", format!("{};", listener.as_raw_fd()))
        // The guard has the bench's.
        .stdin(Stdio::null())
        .exec();
    match error.kind() {
        io::ErrorKind::NotFound => {
            anyhow::bail!("`nginx` isn't installed; on Debian: apt install nginx-light")
        }
        _ => Err(error).context("cannot start nginx"),
    }
}

fn configured(folder: &Path, address: SocketAddr) -> anyhow::Result<String> {
    let folder = folder
        .to_str()
        .context("the temporary folder's name isn't UTF-8")?;
    Ok(CONFIG
        .replace("DIRECTORY", folder)
        .replace("LISTEN", &address.to_string()))
}

/// Who isn't root has no /usr/sbin in it, where Debian puts nginx.
fn path() -> std::ffi::OsString {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin");
    path
}

/// Ends nginx when stdin ends, and leaves nothing behind.
fn guard(pid: &str, folder: &Path) -> anyhow::Result<()> {
    let pid = Pid::from_raw(pid.parse()?).context("no process has the number 0")?;
    let nginx = pidfd_open(pid, PidfdFlags::empty());
    // Otherwise the number may be somebody else's by now.
    let lives = getppid() == Some(pid);
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    if let Ok(nginx) = nginx
        && lives
    {
        match pidfd_send_signal(&nginx, Signal::TERM) {
            Ok(()) => {
                let mut ended = [PollFd::new(&nginx, PollFlags::IN)];
                while poll(&mut ended, None) == Err(Errno::INTR) {}
            }
            // It ended by itself.
            Err(Errno::SRCH) => {}
            Err(error) => return Err(error).context("cannot end nginx"),
        }
    }
    let folder = PathBuf::from(folder);
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // As nginx does.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
