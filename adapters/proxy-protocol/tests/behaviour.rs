//! The behaviour suite behind a proxy: on TCP, on Unix sockets, in memory, on glommio and monoio,
//! and with TLS in both orders.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot continue should stop, and say where"
)]

#[path = "../../../transports/tls/tests/client/mod.rs"]
mod client;
mod subjects;

use anyport_proxy_protocol::{Policy, ProxyProtocolExt};
use anyport_testkit::Suite;
use client::Authority;
use std::{process::ExitCode, sync::Arc};
use subjects::{
    memory::OverMemory,
    plain::{Ambient, InnerTransport, OverTcp},
    tls::{TlsAbove, TlsBelow},
    unix::OverUnix,
};

fn main() -> ExitCode {
    let authority = Arc::new(Authority::new());
    let suite = Suite::new()
        .with_wrapper(OverTcp::<Ambient>::default(), Ambient::bind, |inner| {
            inner.proxy_protocol(Policy::required_from(["127.0.0.0/8"]))
        })
        .with_local(OverTcp::<subjects::plain::PerCore>::default())
        .with(OverUnix::default())
        .with(OverMemory::default())
        .with(TlsAbove(Arc::clone(&authority)))
        .with(TlsBelow(authority));
    #[cfg(target_os = "linux")]
    let suite = suite
        .with_local(OverTcp::<subjects::io_uring::OnGlommio>::default())
        .with_local(OverTcp::<subjects::io_uring::OnMonoio<false>>::default())
        .with_local(OverTcp::<subjects::io_uring::OnMonoio<true>>::default());
    suite.run()
}
