//! How connections end over TLS on monoio, where a write is in flight when the next one starts.
#![cfg(target_os = "linux")]

#[path = "../../transports/tls/tests/client/mod.rs"]
mod client;
#[path = "../../transports/tls/tests/it/close_notify.rs"]
mod close_notify;
#[path = "../../transports/tls/tests/fixture/mod.rs"]
mod fixture;

use anyport_core::serve_with;
use anyport_monoio::{Driver, Monoio};
use anyport_tls::TlsExt;

/// The servers use io_uring, unless it is refused.
fn servers(authority: &client::Authority) -> Vec<fixture::TestServer> {
    let driver = match Driver::IoUring.check() {
        Ok(()) => Driver::IoUring,
        Err(_) => Driver::Epoll,
    };
    let monoio = Monoio::bind("127.0.0.1:0")
        .with_driver(driver)
        .with_workers(1);
    let server = serve_with(monoio.tls(authority.server()), fixture::app());
    vec![fixture::TestServer::start(server)]
}
