//! However the bytes of an HTTP/1 connection are cut into pieces, the answers are the same:
//! `cargo +nightly fuzz run splits`.
//!
//! `cargo test` holds the same of each file in `corpus/splits`. A finding belongs there.
#![no_main]

#[path = "../../transports/memory/tests/it/splits/fuzzed.rs"]
mod fuzzed;
#[path = "../../transports/memory/tests/it/scene/mod.rs"]
mod scene;
#[path = "../../transports/memory/tests/it/splits/stage.rs"]
mod stage;

use libfuzzer_sys::fuzz_target;
use stage::Stage;

thread_local! {
    static STAGE: Stage = Stage::set();
}

fuzz_target!(|data: &[u8]| STAGE.with(|stage| fuzzed::check(stage, data)));
