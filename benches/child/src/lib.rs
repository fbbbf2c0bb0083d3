//! What all servers of the bench have in common, ours and the peers': the address that they listen
//! at, how they announce it, and when they end. [`workload`] has their requests and responses.
//!
//! The first line of stdout is the address, with port 0 resolved. A server ends when its stdin
//! ends, so none outlives a bench that was killed.

mod address;
mod listen;
pub mod workload;

pub use address::Address;
pub use listen::{BACKLOG, listen};
pub use workload::Workload;

use std::io::{self, Write as _};
use std::{process, thread};

/// Prints the server's address as the first line of stdout.
///
/// # Errors
///
/// When stdout is closed.
pub fn announce(address: &Address) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{address}")?;
    stdout.flush()
}

/// Ends this process with code 0 as soon as its stdin ends.
///
/// # Errors
///
/// When the thread that waits for it cannot be started.
pub fn end_with_parent() -> io::Result<()> {
    thread::Builder::new().name("parent".to_owned()).spawn(|| {
        // An error is an end as well.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        process::exit(0);
    })?;
    Ok(())
}
