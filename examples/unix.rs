//! How do I serve over a Unix socket, and learn which user asks?
//! `cargo run --example unix -- app.sock --mode 660`, then
//! `curl --unix-socket app.sock http://localhost/`.
//!
//! The kernel vouches for the peer's process, user and group: no password is needed to tell local
//! users apart. SIGTERM or Ctrl-C drains the server and removes the socket's file.
use anyport::{
    Body, ConnInfo, HttpOptions, PeerCred, Request, Response, Result, Unix, serve_with, service_fn,
    shutdown,
};
use clap::Parser;
use std::{convert::Infallible, num::ParseIntError, path::PathBuf, process::ExitCode};

#[derive(Parser)]
#[command(about = "Serves over a Unix socket, and answers who asks")]
struct Options {
    /// The socket's file; one that a server left behind is replaced, anything else is left alone.
    #[arg(default_value = "app.sock")]
    path: PathBuf,
    /// Who may connect, in octal: 600 its user, 660 its group too, 666 everybody; by default what
    /// the umask leaves.
    #[arg(long, value_parser = octal)]
    mode: Option<u32>,
}

fn octal(mode: &str) -> Result<u32, ParseIntError> {
    u32::from_str_radix(mode, 8)
}

async fn who(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let text = match request.extensions().get().and_then(ConnInfo::peer_cred) {
        Some(PeerCred { pid, uid, gid, .. }) => {
            let process = pid.map_or("unknown".into(), |pid| pid.to_string());
            format!("You are process {process}, user {uid}, group {gid}\n")
        }
        None => "This system doesn't tell who you are\n".into(),
    };
    Ok(Response::new(text))
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<()> {
    let mut unix = Unix::bind(&options.path);
    if let Some(mode) = options.mode {
        unix = unix.with_mode(mode);
    }
    let server = serve_with(unix, service_fn(who)).http(HttpOptions::default().with_conn_info());
    let running = server.with_graceful_shutdown(shutdown::signal()).start()?;
    for endpoint in running.endpoints() {
        let path = options.path.display();
        println!("listening on {endpoint} (try: curl --unix-socket {path} http://localhost/)");
    }
    println!("{}", running.wait().await?);
    Ok(())
}
