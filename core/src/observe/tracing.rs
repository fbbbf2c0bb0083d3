//! The log of a server: events as lines of `tracing`.
use super::{Event, OpenConnections};
use crate::transport::AcceptErrorKind;
use std::time::Duration;

const TARGET: &str = "anyport";

/// The number that Ctrl-C has everywhere.
#[cfg(feature = "shutdown")]
const SIGINT: i32 = 2;

/// Writes an event to `tracing`.
///
/// Events that a peer can cause are at most DEBUG. An accept error that needs a wait is a WARN when
/// it first occurs and once a second while it lasts. A panic is an ERROR.
pub(super) fn log(event: &Event<'_>) {
    match event {
        Event::Listening { endpoint } => {
            tracing::info!(target: TARGET, "listening on {endpoint}")
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
            tracing::info!(target: TARGET, "{}", draining(remaining, *grace, how_to_end_now()));
        }
        Event::Drained { report } => tracing::info!(target: TARGET, "{report}"),
        Event::Closed {
            id,
            upgraded,
            aborted,
        } => {
            tracing::debug!(target: TARGET, { conn.id = id, upgraded, aborted }, "closed");
        }
    }
}

/// What is left of a drain, how long it may take, and how to end it earlier.
fn draining(remaining: &OpenConnections, grace: Duration, end_now: Option<&str>) -> String {
    let mut line = format!("draining: {remaining} left");
    if remaining.total() > 0 {
        if grace < Duration::MAX {
            line += &format!(", {:?} at most", rounded(grace));
        }
        if let Some(end_now) = end_now {
            line += "; ";
            line += end_now;
        }
    }
    line
}

/// To a whole second; shorter than that, to a millisecond.
fn rounded(duration: Duration) -> Duration {
    match duration.as_secs() {
        0 => Duration::from_millis(duration.subsec_millis().into()),
        _ => Duration::from_secs(
            duration
                .saturating_add(Duration::from_millis(500))
                .as_secs(),
        ),
    }
}

/// Only if [`shutdown::signal`](crate::runtime::shutdown::signal) waits for a second signal. Ctrl-C
/// has no visible effect otherwise while connections remain.
fn how_to_end_now() -> Option<&'static str> {
    #[cfg(feature = "shutdown")]
    return match crate::runtime::shutdown::first_signal() {
        0 => None,
        SIGINT => Some("press Ctrl-C again to end now"),
        _ => Some("another signal ends the server now"),
    };
    #[cfg(not(feature = "shutdown"))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drain_line_says_what_is_left_and_how_to_end_it() {
        let line = |upgraded, others, grace, end_now| {
            let remaining = OpenConnections {
                upgraded,
                others,
                ..OpenConnections::default()
            };
            draining(&remaining, grace, end_now)
        };
        assert_eq!(
            line(
                1,
                2,
                Duration::from_millis(29_600),
                Some("press Ctrl-C again to end now")
            ),
            "draining: 3 connections (1 upgraded) left, 30s at most; press Ctrl-C again to end now"
        );
        assert_eq!(
            line(0, 1, Duration::from_micros(250_900), None),
            "draining: 1 connection left, 250ms at most"
        );
        assert_eq!(
            line(0, 2, Duration::MAX, None),
            "draining: 2 connections left"
        );
        assert_eq!(
            line(
                0,
                0,
                Duration::from_secs(30),
                Some("press Ctrl-C again to end now")
            ),
            "draining: 0 connections left"
        );
    }
}
