//! Output of the chores. A full disk or a closed pipe ends a chore with an error, never with a
//! panic.

use anyhow::Context as _;
use std::io::{self, Write as _};

/// The reader of the output has closed the pipe, which needs no message.
#[derive(Debug)]
pub(crate) struct Unread;

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the reader of the output has closed the pipe")
    }
}

impl std::error::Error for Unread {}

/// Prints a text as it is.
///
/// # Errors
///
/// [`Unread`] for a closed pipe; any other error of writing.
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

/// Prints a line to stderr. A failure cannot be reported, so it is ignored.
pub(crate) fn note(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr(), "{}", text.as_ref());
}
