//! The protocol without I/O: turns bytes into messages, and messages into bytes.
//!
//! This layer has frames, messages and limits. It must not depend on sockets, timers or tasks.
mod assembler;
#[cfg(feature = "deflate")]
mod deflate;
mod frame;
mod outgoing;
mod partial;
mod side;
#[cfg(test)]
mod tests;
mod utf8;
mod violation;

pub(crate) use assembler::{Assembler, Incoming};
#[cfg(feature = "deflate")]
pub(crate) use deflate::{Deflater, Inflater, Window};
pub(crate) use frame::MAX_CONTROL;
pub(crate) use outgoing::{Outgoing, Pending};
pub(crate) use side::Side;
pub(crate) use violation::Violation;

/// The largest sizes that a peer may send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// The largest payload of a frame, in bytes.
    pub(crate) frame: usize,
    /// The largest message in bytes, after inflation.
    pub(crate) message: usize,
}
