//! What every run measures beside anyport, in one program, so that it is built and optimized once:
//! hyper by hand on each runtime, and `axum::serve`. The first argument names one.

use std::{env, ffi::OsString, process::ExitCode};

/// The whole of the server's `main`.
#[must_use]
pub fn run() -> ExitCode {
    match serve(env::args_os().collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(mut arguments: Vec<OsString>) -> anyhow::Result<()> {
    anyhow::ensure!(
        arguments.len() > 1,
        "name a server: tokio, tokio-rustls, monoio, glommio or axum"
    );
    let name = arguments.remove(1);
    match name.to_str() {
        Some("tokio") => peer_hyper::run(arguments),
        Some("tokio-rustls") => peer_rustls::run(arguments),
        Some("monoio") => peer_monoio::run(arguments),
        Some("glommio") => peer_glommio::run(arguments),
        Some("axum") => peer_axum::run(arguments),
        _ => anyhow::bail!(
            "{} is no server; there are tokio, tokio-rustls, monoio, glommio and axum",
            name.display()
        ),
    }
}
