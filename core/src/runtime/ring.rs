//! Diagnoses why the kernel refuses io_uring, for runtimes that need it.
use crate::error::is_descriptor_limit;
use rustix::{
    io::Errno,
    process::{Resource, getrlimit},
};
use std::{fs, io};

/// The requirements of a runtime that uses io_uring.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct IoUringRequirements {
    /// The first version of Linux with all needed operations.
    pub kernel: &'static str,
    /// The memory of one worker's rings in KiB.
    pub kib: u64,
}

/// The system call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IoUringCall {
    /// `io_uring_setup`
    Setup,
    /// `io_uring_register`
    Register,
}

impl IoUringRequirements {
    /// Requires a kernel version, such as `5.6`, and this many KiB for the rings of one worker.
    #[must_use]
    pub const fn new(kernel: &'static str, kib: u64) -> Self {
        Self { kernel, kib }
    }

    /// Advice about a failed call: the probable cause and what to change. `None` if the process has
    /// no descriptor left, because io_uring is not the cause then.
    #[must_use]
    pub fn advice(&self, call: IoUringCall, error: &io::Error) -> Option<String> {
        if is_descriptor_limit(error) {
            return None;
        }
        Some(System::now().advice(*self, call, error))
    }
}

/// The state of the system.
#[derive(Clone, Debug, Default)]
struct System {
    /// The kernel's version, if known.
    kernel: Option<String>,
    /// `kernel.io_uring_disabled`; `None` if the kernel lacks this setting.
    disabled: Option<u8>,
    /// The soft and the hard limit of locked memory in bytes; `None` is unlimited.
    locked: Option<u64>,
    max_locked: Option<u64>,
    capabilities: u64,
}

/// capabilities(7)
const CAP_IPC_LOCK: u64 = 1 << 14;
const CAP_SYS_ADMIN: u64 = 1 << 21;

impl System {
    fn now() -> Self {
        let read = |path| fs::read_to_string(path).ok();
        let trimmed = |path| read(path).map(|text| text.trim().to_owned());
        let limit = getrlimit(Resource::Memlock);
        let status = read("/proc/thread-self/status").unwrap_or_default();
        let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        Self {
            kernel: trimmed("/proc/sys/kernel/osrelease"),
            disabled: trimmed("/proc/sys/kernel/io_uring_disabled")
                .and_then(|text| text.parse().ok()),
            locked: limit.current,
            max_locked: limit.maximum,
            capabilities: effective
                .and_then(|text| u64::from_str_radix(text.trim(), 16).ok())
                .unwrap_or_default(),
        }
    }

    fn advice(&self, needs: IoUringRequirements, call: IoUringCall, error: &io::Error) -> String {
        let name = match call {
            IoUringCall::Setup => "io_uring_setup",
            IoUringCall::Register => "io_uring_register",
        };
        let kernel = needs.kernel;
        let this = match &self.kernel {
            Some(version) => format!("this kernel ({version})"),
            None => "this kernel".into(),
        };
        let allow = "allow io_uring_setup, io_uring_enter and io_uring_register there";
        let filter = format!(
            "a seccomp filter forbids {name}: {allow} (a container's `--security-opt seccomp=..`, a systemd unit's `SystemCallFilter=`)"
        );
        match (Errno::from_io_error(error), call) {
            (Some(Errno::NOMEM), _) => self.memory(needs),
            (Some(Errno::PERM), IoUringCall::Setup) => self.sysctl().unwrap_or(filter),
            (Some(Errno::PERM), IoUringCall::Register) => filter,
            (Some(Errno::ACCESS), _) => format!(
                "a security module (SELinux, AppArmor) or a seccomp filter denies {name}: the kernel's log names the rule (`journalctl -k --grep denied`); {allow}"
            ),
            (Some(Errno::INVAL), _) => format!("{this} is too old: it needs Linux {kernel}"),
            _ if error.kind() == io::ErrorKind::Unsupported && call == IoUringCall::Setup => {
                format!(
                    "{this} has no io_uring (it needs Linux {kernel} with CONFIG_IO_URING), or a sandbox or seccomp filter hides it: {allow}"
                )
            }
            _ if error.kind() == io::ErrorKind::Unsupported => format!(
                "{this} is too old (it needs Linux {kernel}), or a sandbox or seccomp filter hides {name}: {allow}"
            ),
            _ => format!(
                "it needs Linux {kernel}, no seccomp filter that forbids {name}, and kernel.io_uring_disabled = 0"
            ),
        }
    }

    /// Advice about a lack of memory. Before 5.12 and from 6.14 on, the kernel charges rings to
    /// RLIMIT_MEMLOCK, summed over all processes of a user without CAP_IPC_LOCK. From 5.12 to 6.13,
    /// it does not.
    fn memory(&self, needs: IoUringRequirements) -> String {
        let kib = needs.kib;
        match self.locked {
            Some(locked) if self.capabilities & CAP_IPC_LOCK == 0 => {
                let who = match self.max_locked {
                    None => "",
                    Some(_) => "as root, ",
                };
                format!(
                    "this user's processes may lock {} KiB of memory (RLIMIT_MEMLOCK) in all, and each worker's rings take {kib} KiB: raise it, {who}with `ulimit -l unlimited`, or in a systemd unit with `LimitMEMLOCK=infinity`",
                    locked / 1024
                )
            }
            _ => format!(
                "no memory is available for the rings, and each worker's take {kib} KiB: raise the limit of the container or of its cgroup (memory.max), or have fewer workers"
            ),
        }
    }

    /// Advice if the kernel's setting forbids io_uring.
    fn sysctl(&self) -> Option<String> {
        match self.disabled? {
            0 => None,
            1 if self.capabilities & CAP_SYS_ADMIN != 0 => None,
            1 => Some(
                "kernel.io_uring_disabled is 1, which allows io_uring only to CAP_SYS_ADMIN and the group kernel.io_uring_group: put this process's user into that group, or have root set `sysctl kernel.io_uring_disabled=0`"
                    .into(),
            ),
            value => Some(format!(
                "kernel.io_uring_disabled is {value}, which forbids it to all processes: have root set `sysctl kernel.io_uring_disabled=0`"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: IoUringRequirements = IoUringRequirements::new("5.6", 256);

    fn system() -> System {
        System {
            kernel: Some("6.1.0".into()),
            disabled: Some(0),
            locked: Some(8192 * 1024),
            max_locked: Some(8192 * 1024),
            capabilities: 0,
        }
    }

    fn check(system: &System, call: IoUringCall, errno: Errno, what: &[&str]) {
        let advice = system.advice(NEEDS, call, &errno.into());
        for what in what {
            assert!(advice.contains(what), "{errno:?} of {call:?}: {advice}");
        }
    }

    #[test]
    fn memlock_limit_and_lack_of_memory_get_different_advice() {
        let limited = system();
        let what = [
            "8192 KiB of memory (RLIMIT_MEMLOCK)",
            "take 256 KiB",
            "as root, with `ulimit -l unlimited`",
            "`LimitMEMLOCK=infinity`",
        ];
        check(&limited, IoUringCall::Setup, Errno::NOMEM, &what);
        let own = System {
            max_locked: None,
            ..system()
        };
        check(
            &own,
            IoUringCall::Setup,
            Errno::NOMEM,
            &["raise it, with `ulimit"],
        );
        let unlimited = System {
            locked: None,
            ..system()
        };
        let capable = System {
            capabilities: CAP_IPC_LOCK,
            ..system()
        };
        for system in [unlimited, capable] {
            check(
                &system,
                IoUringCall::Setup,
                Errno::NOMEM,
                &["memory.max", "fewer workers"],
            );
        }
    }

    #[test]
    fn sysctl_and_seccomp_get_different_advice() {
        let disabled = |disabled, capabilities| System {
            disabled,
            capabilities,
            ..system()
        };
        check(
            &disabled(Some(2), CAP_SYS_ADMIN),
            IoUringCall::Setup,
            Errno::PERM,
            &[
                "kernel.io_uring_disabled is 2",
                "sysctl kernel.io_uring_disabled=0",
            ],
        );
        check(
            &disabled(Some(1), 0),
            IoUringCall::Setup,
            Errno::PERM,
            &["kernel.io_uring_disabled is 1", "kernel.io_uring_group"],
        );
        let filter = [
            "a seccomp filter forbids io_uring_setup",
            "`SystemCallFilter=`",
        ];
        for system in [
            disabled(Some(1), CAP_SYS_ADMIN),
            disabled(Some(0), 0),
            disabled(None, 0),
        ] {
            check(&system, IoUringCall::Setup, Errno::PERM, &filter);
        }
        // If a process may set up a ring, only a filter can refuse the other calls.
        check(
            &disabled(Some(2), 0),
            IoUringCall::Register,
            Errno::PERM,
            &["a seccomp filter forbids io_uring_register"],
        );
    }

    #[test]
    fn every_other_error_has_its_own_advice() {
        let system = system();
        check(
            &system,
            IoUringCall::Setup,
            Errno::ACCESS,
            &["SELinux, AppArmor", "io_uring_setup", "journalctl -k"],
        );
        check(
            &system,
            IoUringCall::Setup,
            Errno::NOSYS,
            &[
                "(6.1.0) has no io_uring",
                "Linux 5.6 with CONFIG_IO_URING",
                "sandbox",
            ],
        );
        check(
            &system,
            IoUringCall::Register,
            Errno::NOSYS,
            &["hides io_uring_register"],
        );
        check(
            &system,
            IoUringCall::Setup,
            Errno::INVAL,
            &["(6.1.0) is too old: it needs Linux 5.6"],
        );
        check(
            &system,
            IoUringCall::Setup,
            Errno::AGAIN,
            &["it needs Linux 5.6", "kernel.io_uring_disabled = 0"],
        );
        let nameless = System {
            kernel: None,
            ..system
        };
        check(
            &nameless,
            IoUringCall::Setup,
            Errno::INVAL,
            &["this kernel is too old"],
        );
    }

    #[test]
    fn descriptor_limit_is_not_a_refusal_of_io_uring() {
        for errno in [23, 24] {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!(NEEDS.advice(IoUringCall::Setup, &error), None);
        }
    }

    #[test]
    fn kernel_version_is_read_from_the_system() {
        let system = System::now();
        assert!(system.kernel.is_some_and(|version| version.contains('.')));
    }
}
