//! The time that a drain takes to close many WebSockets.
use crate::client::{Served, Stream};
use anyhow::{Result, ensure};
use std::time::Instant;

const SOCKETS: usize = 9_000;
/// A close frame with 1001, masked with zeros.
const CLOSE: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9];

/// The milliseconds from the drain's start to the server's end. Meanwhile each of [`SOCKETS`] idle
/// WebSockets is closed with 1001, and its client answers.
pub(crate) fn drain(transport: &str, library: &str) -> Result<i64> {
    let mut served = Served::start(&[], transport, library)?;
    let mut sockets = Vec::with_capacity(SOCKETS);
    while sockets.len() < SOCKETS {
        sockets.push(served.open()?);
    }
    let start = Instant::now();
    served.drain()?;
    for socket in &mut sockets {
        answer_close(&mut **socket)?;
    }
    let report = served.report()?;
    let took = start.elapsed();
    ensure!(
        report.contains(&format!("{SOCKETS} completed, 0 aborted")),
        "{report}"
    );
    served.end()?;
    Ok(took.as_millis() as i64)
}

fn answer_close(socket: &mut dyn Stream) -> Result<()> {
    let mut head = [0; 4];
    socket.read_exact(&mut head)?;
    ensure!(
        head[0] == 0x88 && head[2..] == [0x03, 0xe9],
        "{head:?} is no close with 1001"
    );
    let mut reason = vec![0; usize::from(head[1]) - 2];
    socket.read_exact(&mut reason)?;
    socket.write_all(&CLOSE)?;
    Ok(())
}
