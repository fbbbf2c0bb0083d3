//! The flags that all figures have.

use super::target::Target;
use anyport_bench_load::{Address, Workload};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// What to measure (separated by commas); ratios are to hyper by hand, on the same runtime and over the same transport.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "TARGETS",
        default_values_t = Target::DEFAULT,
    )]
    pub(super) only: Vec<Target>,
    /// Print one JSON object per row, instead of a table.
    #[arg(long)]
    pub(super) json: bool,
    /// Where the TCP and TLS servers listen, on this machine; port 0 is any free one.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0", value_parser = tcp)]
    pub(super) listen: Address,
}

/// Of what requests are asked.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AskedOptions {
    #[command(flatten)]
    pub(super) options: Options,
    /// What's asked for, over HTTP/1: plaintext, json, echo-4k, download-64k, download-1m, upload-1m (its figures are per MiB), websocket.
    #[arg(long, value_name = "NAME", default_value_t = Workload::Plaintext)]
    pub(super) workload: Workload,
}

pub(super) fn tcp(text: &str) -> Result<Address, String> {
    match text.parse()? {
        Address::Unix(_) => Err("the Unix sockets lie in a folder of their own; give IP:PORT".to_owned()),
        Address::Tls(_) => Err("whether it's TLS depends on the target; give IP:PORT".to_owned()),
        address => Ok(address),
    }
}
