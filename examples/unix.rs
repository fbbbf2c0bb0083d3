//! How do I serve over a Unix socket, and learn which user connects?
//! `cargo run --example unix -- app.sock --mode 660`, then
//! `curl --unix-socket app.sock http://localhost/`.
//!
//! The kernel reports the peer's process, user and group, so local users need no password. SIGTERM
//! or Ctrl-C drains the server and removes the socket's file.
use anyport::{
    Body, ConnInfo, HttpOptions, Request, Response, Result, Unix, runtime::shutdown, serve_with,
    service_fn, transport::PeerCred,
};
use clap::Parser;
use std::{convert::Infallible, num::ParseIntError, path::PathBuf, process::ExitCode};

#[derive(Parser)]
#[command(about = "Serves over a Unix socket, and tells each client its user")]
struct Options {
    /// The file of the socket. A file left by an ended server is replaced; any other is an error.
    #[arg(default_value = "app.sock")]
    path: PathBuf,
    /// The users who may connect, in octal: 600 the owner, 660 also the group, 666 all [default:
    /// according to the umask]
    #[arg(long, value_parser = octal)]
    mode: Option<u32>,
}

fn octal(mode: &str) -> Result<u32, ParseIntError> {
    u32::from_str_radix(mode, 8)
}

async fn whoami(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let text = match request.extensions().get().and_then(ConnInfo::peer_cred) {
        Some(PeerCred { pid, uid, gid, .. }) => {
            let process = pid.map_or("unknown".into(), |pid| pid.to_string());
            format!("You are process {process}, user {uid}, group {gid}\n")
        }
        None => "This system does not report the user of a peer\n".into(),
    };
    Ok(Response::new(text))
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    anyport_examples::exit_code(run(&Options::parse()).await)
}

async fn run(options: &Options) -> Result<()> {
    let mut unix = Unix::bind(&options.path);
    if let Some(mode) = options.mode {
        unix = unix.with_mode(mode);
    }
    let server = serve_with(unix, service_fn(whoami)).http(HttpOptions::default().with_conn_info());
    let running = server.with_graceful_shutdown(shutdown::signal()).start()?;
    anyport_examples::print_curl(&running, "http");
    running.wait().await?;
    Ok(())
}
