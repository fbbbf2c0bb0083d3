//! The protocol without its I/O: makes messages of bytes, and bytes of messages.
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
pub(crate) use outgoing::{Outgoing, Pending};
pub(crate) use violation::Violation;

/// The largest that a peer may send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Of a frame's payload, in bytes.
    pub(crate) frame: usize,
    /// Of a message, in bytes, after inflation.
    pub(crate) message: usize,
}
