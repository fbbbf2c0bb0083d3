//! The ends of connections over TLS on monoio, where a write is under way when the next one comes.
#![cfg(target_os = "linux")]

#[path = "../../transports/tls/tests/client/mod.rs"]
mod client;
#[path = "../../transports/tls/tests/it/goodbye.rs"]
mod goodbye;
#[path = "../../transports/tls/tests/scene/mod.rs"]
mod scene;

use anyport_core::serve_with;
use anyport_monoio::{Driver, Monoio};
use anyport_tls::TlsExt;

/// With io_uring, if it isn't refused.
fn servers(authority: &client::Authority) -> Vec<scene::Served> {
    let driver = match Driver::IoUring.check() {
        Ok(()) => Driver::IoUring,
        Err(_) => Driver::Epoll,
    };
    let monoio = Monoio::bind("127.0.0.1:0")
        .with_driver(driver)
        .with_workers(1);
    let server = serve_with(monoio.tls(authority.server()), scene::app());
    vec![scene::Served::start(server)]
}
