//! What all servers of the bench do alike, ours and the peers': they're told where to listen, say
//! where they do, and end with their parent.
//!
//! All have the same app, whose paths and answers stand in [`workload`].
//!
//! The address stands on the first line of stdout, with port 0 resolved. A server ends when its
//! stdin does: so none outlives the bench, not even one that was killed.

mod address;
mod listen;
pub mod workload;

pub use address::Address;
pub use listen::{BACKLOG, listen};
pub use workload::Workload;

use std::io::{self, Write as _};
use std::{process, thread};

/// Says where the server listens, as the first line of stdout.
///
/// # Errors
///
/// When nobody reads it.
pub fn announce(address: &Address) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{address}")?;
    stdout.flush()
}

/// Ends this process, successfully, as soon as its stdin ends.
///
/// # Errors
///
/// When the thread that waits for it can't be started.
pub fn end_with_parent() -> io::Result<()> {
    thread::Builder::new().name("parent".to_owned()).spawn(|| {
        // An error is an end, too.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        process::exit(0);
    })?;
    Ok(())
}
