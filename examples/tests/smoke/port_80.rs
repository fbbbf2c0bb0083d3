//! Port 80, which needs a capability. On a machine where every user may bind it, the test is
//! ignored.
use crate::{
    add,
    example::{Example, binary},
};
use anyport_testkit::requirements::Tests;
use std::{
    ffi::OsStr, fs, io, os::unix::process::CommandExt, path::Path, process::Command, thread,
};

pub(crate) fn tests(tests: Tests) -> Tests {
    add!(tests, port_80 unless missing(), error_names_the_capability_that_port_80_needs)
}

fn missing() -> Option<String> {
    let lowest = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if lowest.trim().parse::<u32>().unwrap() <= 80 {
        return Some(
            "needs a port 80 that not any user may bind (ip_unprivileged_port_start)".to_owned(),
        );
    }
    if !may_bind_port_80() {
        return None;
    }
    let failed = as_nobody("true").output().err()?;
    Some(format!("needs to drop the right to bind port 80: {failed}"))
}

/// A command that runs as a user without rights.
fn as_nobody(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.uid(65534).gid(65534);
    command
}

fn error_names_the_capability_that_port_80_needs() {
    let copy =
        Path::new(&std::env::temp_dir()).join(format!("anyport-smoke-{}", std::process::id()));
    let mut command = Command::new(binary("any_transport"));
    if may_bind_port_80() {
        // The user `nobody` may not have access to the build's folder.
        fs::copy(binary("any_transport"), &copy).unwrap();
        command = as_nobody(&copy);
    }
    command.args(["--listen", "127.0.0.1:80"]);
    let mut spawned = Example::spawn(&mut command);
    // The child of another test may still hold the copy open for writing.
    while spawned
        .as_ref()
        .is_err_and(|e| e.kind() == io::ErrorKind::ExecutableFileBusy)
    {
        thread::yield_now();
        spawned = Example::spawn(&mut command);
    }
    let ended = spawned.map(Example::wait);
    let _ = fs::remove_file(&copy);
    let ended = ended.unwrap();
    let error = "error: cannot bind 127.0.0.1:80: permission denied (ports below 1024 need CAP_NET_BIND_SERVICE)";
    assert_eq!(
        (ended.code, ended.stderr),
        (Some(1), vec![error.to_owned()])
    );
}

/// Whether this process has CAP_NET_BIND_SERVICE (capabilities(7)): bit 10 of the effective set.
fn may_bind_port_80() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .unwrap();
    u64::from_str_radix(effective.trim(), 16).unwrap() & (1 << 10) != 0
}
