//! Joins `axum::serve` and anyport in both directions: a listener made from a transport, and a
//! transport made from a listener.
mod handshakes;
mod listener;
mod transport;

pub use listener::{AxumListener, listener};
pub use transport::{AxumConnections, AxumTransport, transport, transport_at};
