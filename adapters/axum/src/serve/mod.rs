//! `axum::serve` and anyport, joined both ways: a listener for it of any transport, a transport of
//! any listener of its.
mod handshakes;
mod listener;
mod transport;

pub use listener::{AxumListener, listener};
pub use transport::{AxumConnections, AxumTransport, transport, transport_at};
