//! Diagnoses why the kernel refuses io_uring, for runtimes that need it.
use crate::error::is_descriptor_limit;
use rustix::{
    io::Errno,
    process::{Resource, getrlimit},
};
use std::{fs, io};

/// What a runtime needs of io_uring.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RingNeeds {
    /// The first version of Linux that has all of it.
    pub kernel: &'static str,
    /// How many KiB the rings of one worker take.
    pub kib: u64,
}

/// The system call that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RingCall {
    /// `io_uring_setup`
    Setup,
    /// `io_uring_register`
    Register,
}

impl RingNeeds {
    /// A kernel's version, such as `5.6`, and the KiB that the rings of one worker take.
    #[must_use]
    pub const fn new(kernel: &'static str, kib: u64) -> Self {
        Self { kernel, kib }
    }

    /// What to do about a refusal: who refuses, as far as that shows, and what has to be changed.
    /// `None`: it isn't io_uring that's refused, since there's no descriptor left for anything.
    #[must_use]
    pub fn advice(&self, call: RingCall, error: &io::Error) -> Option<String> {
        if is_descriptor_limit(error) {
            return None;
        }
        Some(Found::now().advice(*self, call, error))
    }
}

/// What the system says about itself.
#[derive(Clone, Debug, Default)]
struct Found {
    /// The kernel's version; none, if that can't be told.
    kernel: Option<String>,
    /// `kernel.io_uring_disabled`; none, if there's no such setting.
    disabled: Option<u8>,
    /// How many bytes this process may lock, and how many it may allow itself.
    locked: Option<u64>,
    most_locked: Option<u64>,
    capabilities: u64,
}

/// capabilities(7)
const CAP_IPC_LOCK: u64 = 1 << 14;
const CAP_SYS_ADMIN: u64 = 1 << 21;

impl Found {
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
            most_locked: limit.maximum,
            capabilities: effective
                .and_then(|text| u64::from_str_radix(text.trim(), 16).ok())
                .unwrap_or_default(),
        }
    }

    fn advice(&self, needs: RingNeeds, call: RingCall, error: &io::Error) -> String {
        let name = match call {
            RingCall::Setup => "io_uring_setup",
            RingCall::Register => "io_uring_register",
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
            (Some(Errno::PERM), RingCall::Setup) => self.sysctl().unwrap_or(filter),
            (Some(Errno::PERM), RingCall::Register) => filter,
            (Some(Errno::ACCESS), _) => format!(
                "a security module (SELinux, AppArmor) or a seccomp filter denies {name}: the kernel's log names the rule (`journalctl -k --grep denied`); {allow}"
            ),
            (Some(Errno::INVAL), _) => format!("{this} is too old: it needs Linux {kernel}"),
            _ if error.kind() == io::ErrorKind::Unsupported && call == RingCall::Setup => format!(
                "{this} has no io_uring (it needs Linux {kernel} with CONFIG_IO_URING), or a sandbox or seccomp filter hides it: {allow}"
            ),
            _ if error.kind() == io::ErrorKind::Unsupported => format!(
                "{this} is too old (it needs Linux {kernel}), or a sandbox or seccomp filter hides {name}: {allow}"
            ),
            _ => format!(
                "it needs Linux {kernel}, no seccomp filter that forbids {name}, and kernel.io_uring_disabled = 0"
            ),
        }
    }

    /// Whose rings count, and against what, depends on the kernel: since 6.14 those of all
    /// processes of a user without the capability do, from 5.12 on those of nobody did.
    fn memory(&self, needs: RingNeeds) -> String {
        let kib = needs.kib;
        match self.locked {
            Some(locked) if self.capabilities & CAP_IPC_LOCK == 0 => {
                let who = match self.most_locked {
                    None => "",
                    Some(_) => "as root, ",
                };
                format!(
                    "this user's processes may lock {} KiB of memory (RLIMIT_MEMLOCK) in all, and each worker's rings take {kib} KiB: raise it, {who}with `ulimit -l unlimited`, or in a systemd unit with `LimitMEMLOCK=infinity`",
                    locked / 1024
                )
            }
            _ => format!(
                "there's no memory for rings, of which each worker's take {kib} KiB: raise the limit of the container or of its cgroup (memory.max), or have fewer workers"
            ),
        }
    }

    /// Whether it's the kernel's setting that forbids it.
    fn sysctl(&self) -> Option<String> {
        match self.disabled? {
            0 => None,
            1 if self.capabilities & CAP_SYS_ADMIN != 0 => None,
            1 => Some(
                "kernel.io_uring_disabled is 1, so it's for CAP_SYS_ADMIN and the group kernel.io_uring_group only: put this process's user into that group, or have root set `sysctl kernel.io_uring_disabled=0`"
                    .into(),
            ),
            value => Some(format!(
                "kernel.io_uring_disabled is {value}, which forbids it to everybody: have root set `sysctl kernel.io_uring_disabled=0`"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: RingNeeds = RingNeeds::new("5.6", 256);

    fn found() -> Found {
        Found {
            kernel: Some("6.1.0".into()),
            disabled: Some(0),
            locked: Some(8192 * 1024),
            most_locked: Some(8192 * 1024),
            capabilities: 0,
        }
    }

    fn says(found: &Found, call: RingCall, errno: Errno, what: &[&str]) {
        let advice = found.advice(NEEDS, call, &errno.into());
        for what in what {
            assert!(advice.contains(what), "{errno:?} of {call:?}: {advice}");
        }
    }

    #[test]
    fn memory_that_may_not_be_locked_is_told_from_memory_that_is_not_there() {
        let limited = found();
        let what = [
            "8192 KiB of memory (RLIMIT_MEMLOCK)",
            "take 256 KiB",
            "as root, with `ulimit -l unlimited`",
            "`LimitMEMLOCK=infinity`",
        ];
        says(&limited, RingCall::Setup, Errno::NOMEM, &what);
        let own = Found {
            most_locked: None,
            ..found()
        };
        says(
            &own,
            RingCall::Setup,
            Errno::NOMEM,
            &["raise it, with `ulimit"],
        );
        let unlimited = Found {
            locked: None,
            ..found()
        };
        let capable = Found {
            capabilities: CAP_IPC_LOCK,
            ..found()
        };
        for found in [unlimited, capable] {
            says(
                &found,
                RingCall::Setup,
                Errno::NOMEM,
                &["memory.max", "fewer workers"],
            );
        }
    }

    #[test]
    fn the_setting_of_the_kernel_is_told_from_a_filter() {
        let disabled = |disabled, capabilities| Found {
            disabled,
            capabilities,
            ..found()
        };
        says(
            &disabled(Some(2), CAP_SYS_ADMIN),
            RingCall::Setup,
            Errno::PERM,
            &[
                "kernel.io_uring_disabled is 2",
                "sysctl kernel.io_uring_disabled=0",
            ],
        );
        says(
            &disabled(Some(1), 0),
            RingCall::Setup,
            Errno::PERM,
            &["kernel.io_uring_disabled is 1", "kernel.io_uring_group"],
        );
        let filter = [
            "a seccomp filter forbids io_uring_setup",
            "`SystemCallFilter=`",
        ];
        for found in [
            disabled(Some(1), CAP_SYS_ADMIN),
            disabled(Some(0), 0),
            disabled(None, 0),
        ] {
            says(&found, RingCall::Setup, Errno::PERM, &filter);
        }
        // Who may set one up is refused the rest by a filter only.
        says(
            &disabled(Some(2), 0),
            RingCall::Register,
            Errno::PERM,
            &["a seccomp filter forbids io_uring_register"],
        );
    }

    #[test]
    fn each_other_refusal_has_advice_of_its_own() {
        let found = found();
        says(
            &found,
            RingCall::Setup,
            Errno::ACCESS,
            &["SELinux, AppArmor", "io_uring_setup", "journalctl -k"],
        );
        says(
            &found,
            RingCall::Setup,
            Errno::NOSYS,
            &[
                "(6.1.0) has no io_uring",
                "Linux 5.6 with CONFIG_IO_URING",
                "sandbox",
            ],
        );
        says(
            &found,
            RingCall::Register,
            Errno::NOSYS,
            &["hides io_uring_register"],
        );
        says(
            &found,
            RingCall::Setup,
            Errno::INVAL,
            &["(6.1.0) is too old: it needs Linux 5.6"],
        );
        says(
            &found,
            RingCall::Setup,
            Errno::AGAIN,
            &["it needs Linux 5.6", "kernel.io_uring_disabled = 0"],
        );
        let nameless = Found {
            kernel: None,
            ..found
        };
        says(
            &nameless,
            RingCall::Setup,
            Errno::INVAL,
            &["this kernel is too old"],
        );
    }

    #[test]
    fn who_has_no_descriptor_left_is_not_refused_io_uring() {
        for errno in [23, 24] {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!(NEEDS.advice(RingCall::Setup, &error), None);
        }
    }

    #[test]
    fn what_the_system_says_is_read() {
        let found = Found::now();
        assert!(found.kernel.is_some_and(|version| version.contains('.')));
    }
}
