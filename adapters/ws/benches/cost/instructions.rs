//! The instructions of an echo.
use crate::client::{Served, message, read_echo};
use anyhow::{Context as _, Result};

/// The instructions that callgrind counts for a server that echoes `rounds` messages on each of 64
/// WebSockets.
fn collected(transport: &str, library: &str, rounds: usize) -> Result<i64> {
    let callgrind = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
    ];
    let served = Served::start(&callgrind, transport, library)?;
    let mut sockets: Vec<_> = (0..64).map(|_| served.open()).collect::<Result<_>>()?;
    for _ in 0..rounds {
        for socket in &mut sockets {
            socket.write_all(&message())?;
        }
        for socket in &mut sockets {
            read_echo(&mut **socket)?;
        }
    }
    drop(sockets);
    let errors = served.end()?;
    let count = errors
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    count
        .with_context(|| errors.clone())?
        .1
        .trim()
        .parse()
        .context("no count")
}

pub(crate) fn instructions(transport: &str, library: &str) -> Result<i64> {
    const ROUNDS: [usize; 2] = [100, 400];
    let few = collected(transport, library, ROUNDS[0])?;
    let many = collected(transport, library, ROUNDS[1])?;
    Ok((many - few) / (64 * (ROUNDS[1] - ROUNDS[0]) as i64))
}
