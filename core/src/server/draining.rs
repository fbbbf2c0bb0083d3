//! Who wants to know that the server drains, and what's left of it then.
use super::{Order, Shared};
use std::{
    fmt,
    future::Future,
    ops::AddAssign,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// Whether the server of a connection drains: a flag, and a future that's ready once it does.
///
/// For what would go on for ever, so that it ends within the drain's grace instead of being cut off: server-sent events, long polls, WebSockets of any library.
/// [`ConnInfo::drain`](crate::ConnInfo::drain) gives it, and with the axum adapter an extractor. It works on any thread and any runtime, keeps no connection open, and costs nothing until it's awaited.
///
/// ```
/// # use anyport_core::{Body, ConnInfo};
/// # use http::{Request, Response};
/// # async fn next_event() -> &'static str { "" }
/// async fn long_poll(request: Request<Body>) -> Response<Body> {
///     // Needs `HttpOptions::with_conn_info`.
///     let Some(info) = request.extensions().get::<ConnInfo>() else {
///         return Response::new(Body::empty());
///     };
///     let text = tokio::select! {
///         event = next_event() => event,
///         () = info.drain() => "ask again",
///     };
///     Response::new(Body::from(text))
/// }
/// ```
pub struct Drain {
    /// None: no server has accepted the connection, so none drains.
    shared: Option<Arc<Shared>>,
    place: Option<usize>,
}

impl Drain {
    pub(crate) fn new(shared: Option<Arc<Shared>>) -> Self {
        Self { shared, place: None }
    }

    /// Whether the server drains, or has been aborted.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        let shared = self.shared.as_ref();
        shared.is_some_and(|shared| shared.order() != Order::Serve)
    }
}

impl Future for Drain {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        match &me.shared {
            Some(shared) => shared.poll_drain(&mut me.place, cx),
            None => Poll::Pending,
        }
    }
}

impl Clone for Drain {
    fn clone(&self) -> Self {
        Self::new(self.shared.clone())
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        if let (Some(shared), Some(place)) = (&self.shared, self.place) {
            shared.stop_waiting_for_drain(place);
        }
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain")
            .field("is_draining", &self.is_draining())
            .finish_non_exhaustive()
    }
}

/// How many connections a server has open, by what they do; of [`Handle::open`](crate::Handle::open).
///
/// ```text
/// 5 connections: 2 upgraded, 1 closing
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenConnections {
    /// They have become something else than HTTP, such as WebSockets.
    pub upgraded: usize,
    /// They've been told all there was for them, and wait for their peer's end.
    pub closing: usize,
    /// All others: in a handshake, idle, answering, or served by a raw handler. In a drain, the idle ones are gone before long.
    pub others: usize,
}

impl OpenConnections {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> usize {
        self.upgraded + self.closing + self.others
    }
}

impl AddAssign for OpenConnections {
    fn add_assign(&mut self, other: Self) {
        self.upgraded += other.upgraded;
        self.closing += other.closing;
        self.others += other.others;
    }
}

impl fmt::Display for OpenConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        write!(f, "{total} connection{}", if total == 1 { "" } else { "s" })?;
        let mut separator = ": ";
        for (count, what) in [(self.upgraded, "upgraded"), (self.closing, "closing")] {
            if count > 0 {
                write!(f, "{separator}{count} {what}")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::OpenConnections;

    #[test]
    fn open_connections_are_told_by_kind() {
        let open = |upgraded, closing, others| {
            let open = OpenConnections {
                upgraded,
                closing,
                others,
            };
            open.to_string()
        };
        assert_eq!(open(0, 0, 1), "1 connection");
        assert_eq!(open(2, 1, 2), "5 connections: 2 upgraded, 1 closing");
        assert_eq!(open(0, 1, 0), "1 connection: 1 closing");
    }
}
