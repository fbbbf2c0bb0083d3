//! The input of the rules: packages and files, read once.

use crate::workspace::{self, Member};
use anyhow::Context as _;
use cargo_metadata::Metadata;
use std::collections::BTreeMap;
use std::{fmt, fs};
use xshell::{Shell, cmd};

/// The workspace as it would be committed. All paths are relative to its root, with `/` between
/// their parts.
#[derive(Debug)]
pub(crate) struct Repo {
    pub(crate) members: Vec<Member>,
    /// The text of each file; `None` if it is not text.
    files: BTreeMap<String, Option<String>>,
}

/// A violation of a rule: where it is, what is wrong, and what to do.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    path: String,
    line: usize,
    message: String,
}

impl Repo {
    /// Reads what git tracks, and what `git add --all` would add: a new file is checked before it
    /// is committed.
    pub(crate) fn read(shell: &Shell, metadata: &Metadata) -> anyhow::Result<Self> {
        let listing = cmd!(
            shell,
            "git ls-files -z --cached --others --exclude-standard"
        );
        let listing = listing.quiet().read();
        let listing = listing.context("cannot list the files; tidy needs a git checkout")?;
        let mut files = BTreeMap::new();
        for path in listing.split('\0').filter(|path| !path.is_empty()) {
            let file = metadata.workspace_root.join(path);
            // A file that is deleted but not committed is listed, too.
            if file.exists() {
                files.insert(path.to_owned(), fs::read_to_string(file).ok());
            }
        }
        Ok(Self {
            members: workspace::members(metadata),
            files,
        })
    }

    /// Every text file, as its path and its text.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter_map(|(path, text)| Some((path.as_str(), text.as_deref()?)))
    }

    /// Every Rust file, as its path and its text.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts().filter(|(path, _)| path.ends_with(".rs"))
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path)?.as_deref()
    }

    pub(crate) fn has_file(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    pub(crate) fn has_folder(&self, path: &str) -> bool {
        let mut files = self.files.keys();
        files.any(|file| path.is_empty() || file.starts_with(&format!("{path}/")))
    }
}

impl Violation {
    /// `message` reads "what is wrong; what to do".
    pub(crate) fn new(path: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

#[cfg(test)]
impl Repo {
    pub(crate) fn fixture(members: Vec<Member>, files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|&(path, text)| (path.to_owned(), Some(text.to_owned())));
        Self {
            members,
            files: files.collect(),
        }
    }

    /// `path:line` of each violation of `invariant`.
    pub(crate) fn flagged(&self, invariant: fn(&Self) -> Vec<Violation>) -> Vec<String> {
        let mut violations = invariant(self);
        violations.sort();
        let places = violations
            .iter()
            .map(|found| format!("{}:{}", found.path, found.line));
        places.collect()
    }
}
