//! Programs of others that measure beside ours.

use anyhow::Context as _;
use std::io::ErrorKind;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Whether a program can be run.
///
/// # Errors
///
/// When it can't: why, and which of Debian's packages has it.
pub fn look_for(program: &str, package: &str) -> anyhow::Result<()> {
    let started = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match started {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            anyhow::bail!("`{program}` isn't installed; on Debian: apt install {package}")
        }
        Err(error) => Err(error).with_context(|| format!("`{program}` cannot be run")),
    }
}

/// CPU time of all children of this process that were waited for, in steps of 10 ms.
///
/// # Errors
///
/// When /proc can't be read.
pub fn children_time() -> anyhow::Result<Duration> {
    let stat = procfs::process::Process::myself()?.stat()?;
    let ticks = (stat.cutime + stat.cstime).max(0) as f64;
    Ok(Duration::from_secs_f64(
        ticks / procfs::ticks_per_second() as f64,
    ))
}

#[cfg(test)]
mod tests {
    use super::{children_time, look_for};
    use std::process::Command;

    #[test]
    fn a_missing_tool_is_named_with_its_package() {
        let error = format!(
            "{:#}",
            look_for("no-such-tool-of-anyport", "its-package").unwrap_err()
        );
        assert!(error.contains("no-such-tool-of-anyport"), "{error}");
        assert!(error.contains("apt install its-package"), "{error}");
    }

    #[test]
    fn what_a_child_took_is_told_once_it_is_waited_for() {
        let before = children_time().unwrap();
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        Command::new("sh").args(["-c", busy]).status().unwrap();
        assert!(children_time().unwrap() > before);
    }
}
