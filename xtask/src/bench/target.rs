//! The servers that can be measured: anyport's transports, the peers, and the user's servers.

mod catalog;

use super::tool::io_uring_refusal;
use super::workload::Scenario;
use anyport_bench_load::Workload;
pub(super) use catalog::all;
use std::fmt;

/// A server to measure.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) transport: Transport,
    /// The name of the target whose ratio is 1.
    pub(super) reference: String,
    pub(super) program: Program,
    /// Whether it is not anyport's.
    pub(super) is_peer: bool,
    /// Measured with `--all` or `--only`: it differs little from others, or answers another
    /// question.
    pub(super) is_rare: bool,
    /// Whether `--check` has it: each runtime, driver and kind of socket, and TLS.
    pub(super) is_checked: bool,
    /// Whether it forwards requests to a server of its reference.
    pub(super) is_proxy: bool,
    /// Whether it has several workers with `--workers`.
    pub(super) scales: bool,
    pub(super) needs_io_uring: bool,
    /// Whether `--http2` chooses HTTP/2, which it does not detect.
    pub(super) has_http2_flag: bool,
    pub(super) unsupported: &'static [Unsupported],
    /// Headers that it always sends, beside those of all servers.
    pub(super) own_headers: &'static [(&'static str, &'static str)],
    /// A note above the tables.
    pub(super) remark: Option<&'static str>,
}

/// Which protocol carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Tcp,
    Unix,
    Tls,
}

/// The program that is started.
#[derive(Clone, Debug)]
pub(super) enum Program {
    /// A binary of a package of the bench, with these arguments.
    Built(Package, Vec<&'static str>),
    /// A command of the user.
    Command(String),
}

/// A package with a binary of the same name, which cargo builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    /// Whether it is in `benches/peers`, a workspace of its own.
    pub(super) is_peer: bool,
    pub(super) name: &'static str,
    /// Separated by commas, or empty.
    pub(super) features: &'static str,
}

/// Workloads that a server does not support, and why.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unsupported {
    pub(super) workloads: fn(&Scenario) -> bool,
    pub(super) reason: &'static str,
}

impl Target {
    /// A server of the user: `[unix:|tls:]NAME=COMMAND`.
    pub(super) fn given(text: &str) -> Result<Self, String> {
        let (transport, rest) = match text {
            text if text.starts_with("unix:") => (Transport::Unix, &text[5..]),
            text if text.starts_with("tls:") => (Transport::Tls, &text[4..]),
            text => (Transport::Tcp, text),
        };
        let (name, command) = rest.split_once('=').ok_or(
            "write NAME=COMMAND, such as mine=./my-server, unix:NAME=COMMAND or tls:NAME=COMMAND",
        )?;
        let is_good = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if name.is_empty() || !name.chars().all(is_good) {
            return Err(format!(
                "`{name}` is no name; use letters, digits, `-`, `_` and `.`"
            ));
        }
        if all().iter().any(|target| target.name == name) {
            return Err(format!(
                "`{name}` is a target of the bench already; use another name"
            ));
        }
        if command.trim().is_empty() {
            return Err(format!("`{name}` has no command; write {name}=COMMAND"));
        }
        let reference = match transport {
            Transport::Tcp => "hyper",
            Transport::Unix => "hyper-unix",
            Transport::Tls => "hyper-rustls",
        };
        Ok(Self {
            name: name.to_owned(),
            program: Program::Command(command.to_owned()),
            is_peer: true,
            ..catalog::ours("", transport, "", reference)
        })
    }

    pub(super) fn package(&self) -> Option<Package> {
        match self.program {
            Program::Built(package, _) => Some(package),
            Program::Command(_) => None,
        }
    }

    pub(super) fn is_given(&self) -> bool {
        matches!(self.program, Program::Command(_))
    }

    /// The server that a proxy forwards to.
    pub(super) fn upstream(&self) -> Option<Self> {
        let mut all = all().into_iter();
        all.find(|target| self.is_proxy && target.name == self.reference)
    }

    /// Why this kernel does not allow it.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        self.needs_io_uring.then(io_uring_refusal).flatten()
    }

    /// Whether it supports a workload; if not, why.
    pub(super) fn supports(&self, scenario: &Scenario) -> Result<(), &'static str> {
        if let Some(reason) = self.refusal() {
            return Err(reason);
        }
        if scenario.is_handshake() && self.transport != Transport::Tls {
            return Err("it makes no TLS handshakes");
        }
        if scenario.needs_valgrind() && self.needs_io_uring {
            return Err("valgrind cannot follow it");
        }
        if scenario.workload() == Workload::Layers
            && !matches!(self.name.as_str(), "tcp-axum" | "axum")
            && !self.is_given()
        {
            return Err("its app has no axum route");
        }
        let unsupported = self.unsupported.iter().find(|of| (of.workloads)(scenario));
        unsupported.map_or(Ok(()), |unsupported| Err(unsupported.reason))
    }

    /// The last of its references. Targets with the same one are measured side by side.
    pub(super) fn root<'a>(&'a self, all: &'a [Self]) -> &'a str {
        let reference = all.iter().find(|target| target.name == self.reference);
        match reference {
            Some(reference) if reference.name != self.name => reference.root(all),
            _ => &self.reference,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::{Program, Target, Transport, all};

    #[test]
    fn references_are_targets() {
        let all = all();
        for target in &all {
            let reference = all.iter().find(|other| other.name == target.reference);
            assert_eq!(reference.unwrap().transport, target.transport, "{target}");
        }
    }

    #[test]
    fn commands_are_targets() {
        let target = Target::given("unix:mine=./my-server --fast=yes").unwrap();
        assert_eq!(
            (target.name.as_str(), target.transport),
            ("mine", Transport::Unix)
        );
        assert!(
            matches!(target.program, Program::Command(command) if command == "./my-server --fast=yes")
        );
    }

    #[test]
    fn bad_commands_show_the_syntax() {
        for (text, error) in [
            ("./my-server", "NAME=COMMAND"),
            ("=./my-server", "no name"),
            ("mine=", "no command"),
            ("tcp=./my-server", "target of the bench already"),
        ] {
            let said = Target::given(text).unwrap_err();
            assert!(said.contains(error), "{said}");
        }
    }
}
