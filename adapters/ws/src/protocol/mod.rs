//! The protocol without its I/O: bytes become messages, and messages bytes.
//!
//! It knows frames, messages and limits. It must not know sockets, timers or tasks.
mod assembler;
#[cfg(feature = "deflate")]
mod deflate;
mod frame;
mod outgoing;
mod partial;
#[cfg(test)]
mod tests;
mod utf8;
mod violation;

pub(crate) use assembler::{Assembler, Incoming};
#[cfg(feature = "deflate")]
pub(crate) use deflate::{Deflater, Inflater, Window};
pub(crate) use frame::MAX_CONTROL;
pub(crate) use outgoing::Outgoing;
pub(crate) use violation::Violation;

/// What a peer may send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Of a frame's payload, in bytes.
    pub(crate) frame: usize,
    /// Of a message, in bytes, inflated if it's compressed.
    pub(crate) message: usize,
}
