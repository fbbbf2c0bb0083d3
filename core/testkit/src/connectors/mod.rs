//! The behaviour suite for connectors, the clients' half of a transport.
//!
//! The test target of a connector implements [`ConnectorSubject`]. Its methods make the connector,
//! start a listener that the connector can reach, and run a future on the connector's runtime. Then
//! its `main` is `ConnectorSuite::new().with(MyConnector).run()`. Each case runs its client on a
//! worker of that runtime, and the peer on tokio, on another thread.
//!
//! Cases that count descriptors run alone.
mod cases;
mod fixture;
mod peers;
mod subject;
mod suite;

#[cfg(target_os = "linux")]
pub use peers::SilentListener;
#[cfg(unix)]
pub use peers::UnixPeers;
pub use peers::{PeerStream, Peers, TcpPeers};
pub use subject::ConnectorSubject;
pub use suite::ConnectorSuite;
