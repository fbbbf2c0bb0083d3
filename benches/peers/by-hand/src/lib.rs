//! All references in one program, so that they are built and optimized once: hyper by hand on each
//! runtime, which the first argument names.

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
        "name a runtime: tokio, tokio-rustls, monoio or glommio"
    );
    let runtime = arguments.remove(1);
    match runtime.to_str() {
        Some("tokio") => peer_hyper::run(arguments),
        Some("tokio-rustls") => peer_rustls::run(arguments),
        Some("monoio") => peer_monoio::run(arguments),
        Some("glommio") => peer_glommio::run(arguments),
        _ => anyhow::bail!(
            "{} is no runtime; there are tokio, tokio-rustls, monoio and glommio",
            runtime.display()
        ),
    }
}
