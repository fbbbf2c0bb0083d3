//! The observer that logs events with `tracing`.
use super::{Event, Observer};
use crate::transport::AcceptErrorKind;
use std::time::Duration;

/// Writes each event to `tracing`, with the target `anyport`.
///
/// Events that a peer can cause are at most DEBUG. An accept error that needs a wait is a WARN when
/// it first occurs and once a second while it lasts. A panic is an ERROR.
///
/// ```no_run
/// # use anyport_core::{observe::Tracing, Server};
/// # fn f(server: Server) -> Server {
/// server.observer(Tracing)
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Tracing;

const TARGET: &str = "anyport";

impl Observer for Tracing {
    fn on(&self, event: &Event<'_>) {
        match event {
            Event::Listening { endpoint } => {
                tracing::info!(target: TARGET, { local.addr = %endpoint }, "listening")
            }
            Event::Warning { worker, message } => tracing::warn!(target: TARGET, worker, message),
            Event::Accepted { id, peer, worker } => {
                tracing::debug!(target: TARGET, { conn.id = id, peer.addr = %peer, worker }, "accepted");
            }
            Event::Refused { peer, why } => {
                tracing::debug!(target: TARGET, { peer.addr = %peer, ?why }, "refused");
            }
            Event::AcceptFailed {
                error,
                kind,
                worker,
                wait,
            } => match kind {
                AcceptErrorKind::Retry => {
                    tracing::debug!(target: TARGET, worker, %error, "accept failed")
                }
                // The first wait and the longest waits. The waits in between add no information.
                AcceptErrorKind::Backoff
                    if !(Duration::from_millis(6)..Duration::from_secs(1)).contains(wait) =>
                {
                    tracing::warn!(target: TARGET, worker, %error, ?wait, "accept failed, waiting");
                }
                AcceptErrorKind::Backoff => {
                    tracing::debug!(target: TARGET, worker, %error, ?wait, "accept failed, waiting")
                }
                AcceptErrorKind::Fatal => {
                    tracing::error!(target: TARGET, worker, %error, "accept failed permanently")
                }
            },
            Event::Established { info } => {
                tracing::debug!(target: TARGET, { conn.id = info.id(), peer.addr = %info.peer(), local.addr = %info.local() }, "established");
            }
            Event::HandshakeFailed { id, error } => {
                tracing::debug!(target: TARGET, { conn.id = id, %error }, "handshake failed");
            }
            Event::TimedOut { id, what } => {
                tracing::debug!(target: TARGET, { conn.id = id, ?what }, "timed out")
            }
            Event::Panicked { id, message } => {
                tracing::error!(target: TARGET, { conn.id = id, message }, "panicked")
            }
            Event::BadResponse { id, what } => {
                tracing::error!(target: TARGET, { conn.id = id, what }, "bad response")
            }
            Event::Draining { remaining, grace } => {
                // After a first Ctrl-C, the operator sees no effect while connections remain.
                #[cfg(feature = "tokio")]
                let signalled = crate::runtime::shutdown::has_signalled();
                #[cfg(not(feature = "tokio"))]
                let signalled = false;
                let and = if signalled {
                    "; a second signal ends the server now"
                } else {
                    ""
                };
                tracing::info!(target: TARGET, ?grace, "draining: {remaining} remaining{and}");
            }
            Event::Closed {
                id,
                upgraded,
                aborted,
            } => {
                tracing::debug!(target: TARGET, { conn.id = id, upgraded, aborted }, "closed");
            }
        }
    }
}
