//! `anyport-bench-load`: the bench's load by hand. One kind of load against one server of this machine, and what it brought.

#[cfg(target_os = "linux")]
#[path = "main/kind.rs"]
mod kind;
#[cfg(target_os = "linux")]
#[path = "main/options.rs"]
mod options;
#[cfg(target_os = "linux")]
#[path = "main/summary.rs"]
mod summary;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser as _;

    /// What a shell gives to who was ended by Ctrl-C.
    const INTERRUPTED: u8 = 130;
    let options = options::Options::parse();
    match kind::run(&options) {
        Ok(summary) => {
            summary.print(options.json);
            ExitCode::SUCCESS
        }
        Err(error) if error.is::<anyport_bench_load::Interrupted>() => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("error: the load runs on Linux only");
    ExitCode::FAILURE
}
