//! What can be measured: anyport's transports, the peers, and anybody's server.

mod catalog;

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
    /// Whether it is somebody else's.
    pub(super) peer: bool,
    /// Whether `--workers` tells it how many it has; it has one otherwise.
    pub(super) scales: bool,
    pub(super) needs_io_uring: bool,
    /// Whether valgrind can count what it does.
    pub(super) countable: bool,
    pub(super) lacks: &'static [Lack],
    /// Headers that it cannot be had without, beside those of all.
    pub(super) own_headers: &'static [(&'static str, &'static str)],
    /// The same of its upgrades.
    pub(super) upgrade_headers: &'static [(&'static str, &'static str)],
    /// What stands below the tables.
    pub(super) remark: Option<&'static str>,
}

/// What carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Tcp,
    Unix,
    Tls,
}

/// What is started.
#[derive(Clone, Debug)]
pub(super) enum Program {
    /// A binary of a package of the bench, with these arguments, and those for HTTP/2.
    Built {
        package: Package,
        arguments: Vec<&'static str>,
        http2: &'static [&'static str],
    },
    /// A command of the user's.
    Command(String),
}

/// A binary that cargo builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    /// Whether it is in `benches/peers`, a workspace of its own.
    pub(super) is_peer: bool,
    pub(super) name: &'static str,
    /// Separated by commas; none if it is empty.
    pub(super) features: &'static str,
    pub(super) binary: &'static str,
}

/// What a server does not serve, and why.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lack {
    pub(super) lacks: fn(&Scenario) -> bool,
    pub(super) reason: &'static str,
}

impl Transport {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Unix => "unix",
            Self::Tls => "tls",
        }
    }
}

impl Target {
    /// One of the user's: `[unix:|tls:]NAME=COMMAND`.
    pub(super) fn given(text: &str) -> Result<Self, String> {
        let (transport, rest) = match text {
            text if text.starts_with("unix:") => (Transport::Unix, &text[5..]),
            text if text.starts_with("tls:") => (Transport::Tls, &text[4..]),
            text => (Transport::Tcp, text.strip_prefix("tcp:").unwrap_or(text)),
        };
        let (name, command) = rest.split_once('=').ok_or(
            "write NAME=COMMAND, such as mine=./my-server; unix:NAME=COMMAND and tls:NAME=COMMAND are other transports",
        )?;
        let is_good = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if name.is_empty() || !name.chars().all(is_good) {
            return Err(format!(
                "`{name}` is no name; take letters, digits, `-`, `_` and `.`"
            ));
        }
        if all().iter().any(|target| target.name == name) {
            return Err(format!(
                "`{name}` is a target of the bench already; take another name"
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
            transport,
            reference: reference.to_owned(),
            program: Program::Command(command.to_owned()),
            peer: true,
            scales: true,
            needs_io_uring: false,
            countable: true,
            lacks: &[],
            own_headers: &[],
            upgrade_headers: &[],
            remark: None,
        })
    }

    pub(super) fn package(&self) -> Option<Package> {
        match self.program {
            Program::Built { package, .. } => Some(package),
            Program::Command(_) => None,
        }
    }

    pub(super) fn is_given(&self) -> bool {
        matches!(self.program, Program::Command(_))
    }

    /// Whether something can be asked of it; if not, why.
    pub(super) fn serves(&self, scenario: &Scenario) -> Result<(), &'static str> {
        if scenario.is_handshake() && self.transport != Transport::Tls {
            return Err("it makes no TLS handshakes");
        }
        if scenario.needs_valgrind() && !self.countable {
            return Err("valgrind cannot follow it");
        }
        if scenario.workload() == Some(Workload::Layers)
            && !matches!(self.name.as_str(), "tcp-axum" | "axum")
            && !self.is_given()
        {
            return Err("its app has no axum route");
        }
        let lack = self.lacks.iter().find(|lack| (lack.lacks)(scenario));
        lack.map_or(Ok(()), |lack| Err(lack.reason))
    }

    /// The one at the end of its references, beside which it is measured.
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
    fn each_reference_is_a_target() {
        let all = all();
        for target in &all {
            let reference = all.iter().find(|other| other.name == target.reference);
            assert_eq!(reference.unwrap().transport, target.transport, "{target}");
        }
    }

    #[test]
    fn names_are_unique() {
        let all = all();
        let mut names: Vec<&str> = all.iter().map(|target| target.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn a_command_is_a_target() {
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
    fn a_command_without_a_name_says_how_one_is_written() {
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
