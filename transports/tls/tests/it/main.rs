//! The crate's own tests, linked into one program, so that they run at the same time. Tests that
//! count or change the resources of the process are programs of their own, beside this folder.

mod bad_peers;
#[path = "../client/mod.rs"]
mod client;
mod close_notify;
mod config;
mod connector;
#[path = "../fixture/mod.rs"]
mod fixture;
mod fragmentation;
mod records;
mod reload;
mod resumption;
mod tls_info;
mod validity;
#[path = "../wire/mod.rs"]
mod wire;

/// The servers for [`close_notify`]; tests/tls_io_uring runs it with others.
fn servers(authority: &client::Authority) -> Vec<fixture::TestServer> {
    vec![fixture::TestServer::start(fixture::over_tcp(
        authority.server(),
    ))]
}
