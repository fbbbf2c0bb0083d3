//! However the bytes of an HTTP/1 connection are cut into pieces, the responses are the same:
//! `cargo +nightly fuzz run splits`.
//!
//! `cargo test` holds the same of each file in `corpus/splits`. A finding belongs there.
#![no_main]

#[path = "../../transports/memory/tests/it/fixture/mod.rs"]
mod fixture;
#[path = "../../transports/memory/tests/it/splits/fuzzed.rs"]
mod fuzzed;
#[path = "../../transports/memory/tests/it/splits/split_server.rs"]
mod split_server;

use libfuzzer_sys::fuzz_target;
use split_server::SplitServer;

thread_local! {
    static SERVER: SplitServer = SplitServer::start();
}

fuzz_target!(|data: &[u8]| SERVER.with(|server| fuzzed::check(server, data)));
