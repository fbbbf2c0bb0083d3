//! Other programs that the bench runs.

use anyhow::Context as _;
use std::io::ErrorKind;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Checks that a program can be run.
///
/// # Errors
///
/// Why not, and which Debian package has it.
pub fn require(program: &str, package: &str) -> anyhow::Result<()> {
    let started = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match started {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            anyhow::bail!("`{program}` is not installed; on Debian: apt install {package}")
        }
        Err(error) => Err(error).with_context(|| format!("`{program}` cannot be run")),
    }
}

/// CPU time of all children that this process has waited for, in steps of 10 ms.
///
/// # Errors
///
/// When /proc cannot be read.
pub fn children_time() -> anyhow::Result<Duration> {
    let stat = procfs::process::Process::myself()?.stat()?;
    let ticks = (stat.cutime + stat.cstime).max(0) as f64;
    Ok(Duration::from_secs_f64(
        ticks / procfs::ticks_per_second() as f64,
    ))
}
