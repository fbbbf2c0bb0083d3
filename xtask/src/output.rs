//! What the chores say. A disk may be full and a pipe closed: that ends a chore as any other error
//! does, and never by a panic.

use anyhow::Context as _;
use std::io::{self, Write as _};

/// Whoever read what's printed has seen enough: nothing to complain about.
#[derive(Debug)]
pub(crate) struct Unread;

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nobody reads what's printed")
    }
}

impl std::error::Error for Unread {}

/// Prints a text as it is.
///
/// # Errors
///
/// [`Unread`] for a closed pipe, and whatever else the output is in the way of.
pub(crate) fn print(text: impl AsRef<str>) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    let printed = stdout
        .write_all(text.as_ref().as_bytes())
        .and_then(|()| stdout.flush());
    match printed {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Unread.into()),
        printed => printed.context("cannot print"),
    }
}

/// A line beside the output. Where it can't be told, there's nobody to tell of it.
pub(crate) fn note(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr(), "{}", text.as_ref());
}
