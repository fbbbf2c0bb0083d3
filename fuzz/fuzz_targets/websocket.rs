//! However the bytes of a WebSocket are cut into pieces, the messages are the same:
//! `cargo +nightly fuzz run websocket`.
//!
//! `cargo test` holds the same of each file in `corpus/websocket`. A finding belongs there.
#![no_main]
#![allow(
    dead_code,
    unused_imports,
    reason = "the assembler is only a part of these files"
)]

#[path = "../../adapters/ws/src/protocol/tests/fuzzed.rs"]
mod fuzzed;
#[path = "../../adapters/ws/src/message.rs"]
mod message;
#[path = "../../adapters/ws/src/protocol/mod.rs"]
mod protocol;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzed::check(data));
