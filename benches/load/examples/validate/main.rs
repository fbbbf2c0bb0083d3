//! The load beside others', against the same server, in interleaved rounds: what's measured with it is to be what they measure.
//!
//! `closed` beside wrk: both should find the server as fast, and ours shouldn't need more CPU time. `open` beside oha, which can also ask at a constant rate and count
//! from the intended time: both should find the answers as late. `slices` sets a server beside itself, in slices of several lengths: how finely have two to take turns, so that they're found
//! alike? Each takes the server's command line, to which `--listen 127.0.0.1:0` is added; it prints its address, and ends with its stdin. It gets the first core, the generators the second.

#[cfg(target_os = "linux")]
mod closed;
#[cfg(target_os = "linux")]
mod open;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod slices;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    use clap::Parser as _;

    #[derive(clap::Parser)]
    enum Options {
        /// Requests per second and CPU time, beside wrk
        Closed(closed::Options),
        /// Latency at a constant rate, beside oha
        Open(open::Options),
        /// A server beside itself, in turns of several lengths
        Slices(slices::Options),
    }

    match Options::parse() {
        Options::Closed(options) => closed::run(&options),
        Options::Open(options) => open::run(&options),
        Options::Slices(options) => slices::run(&options),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {}
