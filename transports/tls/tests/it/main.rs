//! The crate's own tests, in one program: they're linked once, and run beside each other. Those
//! that count what the process has, or change it, are programs of their own beside this folder.

mod bad_peers;
#[path = "../client/mod.rs"]
mod client;
mod facts;
mod goodbye;
mod pieces;
mod records;
mod reload;
mod resumption;
#[path = "../scene/mod.rs"]
mod scene;
mod settings;
mod validity;
#[path = "../wire/mod.rs"]
mod wire;

/// What [`goodbye`] is tried on; tests/tls_io_uring has others.
fn servers(authority: &client::Authority) -> Vec<scene::Served> {
    vec![scene::Served::start(scene::over_tcp(authority.server()))]
}
