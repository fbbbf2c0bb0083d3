//! Micro benchmarks for daily use. Their figures are of this machine and this moment: compare two
//! runs on the same one, and don't quote them; what can be quoted is what `cargo xtask bench`
//! measures (docs/bench.md).
//!
//! | bench | times |
//! |---|---|
//! | `engine` | the engine alone, over pipes in memory: a request kept alive, one on a connection that had fallen asleep, a new connection, 16 pipelined requests |
//!
//! Beside them stand the parts of that other bench: `child` and `servers`, what's measured;
//! `peers`, what it's compared with; `load`, who asks.
