//! The costs of a WebSocket, beside those of tokio-tungstenite with a buffer of 4 KiB on the same
//! transport: `cargo bench -p anyport-ws --bench cost -- COST`.
//!
//! - `memory`: bytes per idle WebSocket, as the slope from 1,000 to 8,000 of them, with mimalloc.
//!   It is the resident memory of a process that has only the server's half of each connection. A
//!   TLS session of rustls alone is measured in the same way, to compare.
//! - `instructions`: user instructions per echo of 16 bytes over TCP, on 64 WebSockets that send at
//!   once, as callgrind counts them in the server. It needs valgrind.
//! - `drain`: milliseconds in which a server closes 9,000 idle WebSockets with 1001 and ends. The
//!   client is another process, and answers each close. tungstenite closes none.
mod client;
mod drain;
mod instructions;
mod memory;
mod server;

use anyhow::{Result, bail};
use std::env;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TRANSPORTS: [&str; 4] = ["tcp", "tls", "monoio", "glommio"];
const LIBRARIES: [&str; 2] = ["anyport-ws", "tungstenite"];

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    type Measure = fn(&str, &str) -> Result<i64>;
    let (measure, unit): (Measure, _) = match arguments[..] {
        ["serve", transport, library] => return server::serve(transport, library),
        ["sessions"] => {
            let bytes = memory::sessions()?;
            println!("tls      rustls       {bytes} bytes per session");
            return Ok(());
        }
        ["memory"] => (memory::memory, "bytes per idle WebSocket"),
        ["instructions"] => (instructions::instructions, "user instructions per echo"),
        ["drain"] => (drain::drain, "ms until 9,000 idle WebSockets are closed"),
        _ => bail!("which cost? memory, instructions or drain"),
    };
    let (transports, libraries) = match arguments[0] {
        "instructions" => (&TRANSPORTS[..1], &LIBRARIES[..]),
        "drain" => (&TRANSPORTS[..], &LIBRARIES[..1]),
        _ => (&TRANSPORTS[..], &LIBRARIES[..]),
    };
    for transport in transports {
        for library in libraries {
            let figure = measure(transport, library)?;
            println!("{transport:8} {library:12} {figure} {unit}");
        }
    }
    if arguments == ["memory"] {
        print!("{}", memory::sessions_in_own_process()?);
    }
    Ok(())
}
