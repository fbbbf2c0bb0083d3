//! Whoever knows one transport crate knows all: each has the same few files.

use super::repo::{Repo, Violation};
use crate::workspace::Role;
use std::collections::BTreeSet;

const FILES: &[&str] = &[
    "Cargo.toml",
    "README.md",
    "src/lib.rs",
    "src/listener.rs",
    "src/connection.rs",
];

/// Each folder in `transports/` holds the files of a transport and is a member of the workspace.
pub(super) fn all_alike(repo: &Repo) -> Vec<Violation> {
    let mut violations = Vec::new();
    let folders: BTreeSet<&str> = repo
        .files_in("transports")
        .filter_map(|path| Some(path.split_once('/')?.0))
        .collect();
    for dir in folders.into_iter().map(|folder| format!("transports/{folder}")) {
        for file in FILES
            .iter()
            .map(|file| format!("{dir}/{file}"))
            .filter(|file| !repo.has_file(file))
        {
            violations.push(Violation::new(file, 1, "missing; every transport has one"));
        }
        if !repo
            .files_in(&format!("{dir}/tests"))
            .any(|path| path.ends_with(".rs") && !path.contains('/'))
        {
            let message = "has no test; run the behaviour suite there, in tests/behaviour.rs";
            violations.push(Violation::new(format!("{dir}/tests"), 1, message));
        }
        if !repo
            .members
            .iter()
            .any(|member| member.role() == Role::Transport && member.dir == dir)
        {
            violations.push(Violation::new(
                "Cargo.toml",
                1,
                format!("{dir} is no member; add it to the workspace"),
            ));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::{FILES, all_alike};
    use crate::{tidy::repo::Repo, workspace::Member};

    fn flagged(files: &[String], member: &str) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|file| (file.as_str(), "")).collect();
        Repo::fixture(vec![Member::fixture(member, "anyport-tcp", &[])], &files).flagged(all_alike)
    }

    fn whole() -> Vec<String> {
        FILES
            .iter()
            .chain(&["tests/behaviour.rs"])
            .map(|file| format!("transports/tcp/{file}"))
            .collect()
    }

    #[test]
    fn a_whole_transport_passes() {
        assert_eq!(flagged(&whole(), "transports/tcp"), [""; 0]);
    }

    #[test]
    fn each_missing_file_is_flagged() {
        for missing in whole() {
            let rest: Vec<_> = whole().into_iter().filter(|file| *file != missing).collect();
            let expected = missing.replace("tests/behaviour.rs", "tests");
            assert_eq!(flagged(&rest, "transports/tcp"), [format!("{expected}:1")]);
        }
    }

    #[test]
    fn a_transport_outside_the_workspace_is_flagged() {
        assert_eq!(flagged(&whole(), "core"), ["Cargo.toml:1"]);
    }
}
