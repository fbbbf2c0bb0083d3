//! The settings of WebSockets.
use crate::protocol::Sizes;
use http::HeaderValue;
use std::{
    fmt,
    sync::{Arc, LazyLock},
    time::Duration,
};

/// The settings of WebSockets: limits, deadlines, subprotocols, and the origins that may connect.
/// It is cheap to clone.
///
/// A client ignores the check of origins and the settings of a drain.
///
/// ```
/// # use anyport_ws::Config;
/// # use std::time::Duration;
/// let config = Config::default()
///     .with_max_message(64 * 1024)
///     .with_heartbeat(Duration::from_secs(20))
///     .with_protocols(["chat.v2", "chat.v1"])
///     .with_origin_check(|origin| origin == "https://example.com");
/// ```
#[derive(Clone, Debug)]
pub struct Config(Arc<Settings>);

/// All default configurations share one allocation.
impl Default for Config {
    fn default() -> Self {
        static DEFAULT: LazyLock<Arc<Settings>> = LazyLock::new(Arc::default);
        Self(Arc::clone(&DEFAULT))
    }
}

/// Whether an `Origin` may connect.
type OriginCheck = dyn Fn(&HeaderValue) -> bool + Send + Sync;

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) sizes: Sizes,
    pub(crate) max_write_buffer: usize,
    pub(crate) max_control_frames: u32,
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) close_timeout: Duration,
    pub(crate) drain_reason: Option<&'static str>,
    pub(crate) protocols: Vec<String>,
    pub(crate) origin_check: Option<Arc<OriginCheck>>,
    #[cfg(feature = "deflate")]
    pub(crate) deflate: Option<crate::Deflate>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sizes: Sizes {
                frame: 1 << 20,
                message: 1 << 20,
            },
            max_write_buffer: 64 * 1024,
            max_control_frames: 128,
            heartbeat: Some(Duration::from_secs(30)),
            close_timeout: Duration::from_secs(10),
            drain_reason: Some("the server is shutting down"),
            protocols: Vec::new(),
            origin_check: None,
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }
}

impl Config {
    pub(crate) fn settings(&self) -> &Arc<Settings> {
        &self.0
    }

    fn with(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(Arc::make_mut(&mut self.0));
        self
    }

    /// The largest message that is accepted, in bytes, after inflation if it was compressed.
    /// Default: 1 MiB. A larger message closes the WebSocket with 1009.
    ///
    /// This also sets the largest frame. Call [`with_max_frame`](Self::with_max_frame) afterwards
    /// to set another limit for frames.
    #[must_use]
    pub fn with_max_message(self, bytes: usize) -> Self {
        self.with(|settings| {
            settings.sizes = Sizes {
                frame: bytes,
                message: bytes,
            };
        })
    }

    /// The largest frame that is accepted, in bytes before inflation. Default: the limit of a
    /// message. A larger frame closes the WebSocket with 1009.
    #[must_use]
    pub fn with_max_frame(self, bytes: usize) -> Self {
        self.with(|settings| settings.sizes.frame = bytes)
    }

    /// How many bytes may wait to be written before `send` and `feed` wait for the peer. Default:
    /// 64 KiB. One message may be larger.
    #[must_use]
    pub fn with_max_write_buffer(self, bytes: usize) -> Self {
        self.with(|settings| settings.max_write_buffer = bytes)
    }

    /// How many frames without data a peer may send within a second: pings, pongs, and empty
    /// fragments. Default: 128; a first burst may have twice as many. Further frames close the
    /// WebSocket with 1008.
    #[must_use]
    pub fn with_max_control_frames(self, per_second: u32) -> Self {
        self.with(|settings| settings.max_control_frames = per_second)
    }

    /// How long a peer may be silent before this end sends a ping. Default: 30 s. If it stays
    /// silent for as long again, `recv` fails with [`Error::Timeout`](crate::Error::Timeout).
    ///
    /// The check runs once per interval, so the ping is sent after one to two intervals.
    #[must_use]
    pub fn with_heartbeat(self, interval: Duration) -> Self {
        self.with(|settings| settings.heartbeat = Some(interval))
    }

    /// Sends no pings. A peer that disappeared is then detected only when something is sent to it.
    #[must_use]
    pub fn without_heartbeat(self) -> Self {
        self.with(|settings| settings.heartbeat = None)
    }

    /// How long to wait for the peer's close, and for the end of its connection. Default: 10 s. In
    /// a drain, the grace is the limit, and the report counts a peer that does not close as
    /// aborted.
    #[must_use]
    pub fn with_close_timeout(self, timeout: Duration) -> Self {
        self.with(|settings| settings.close_timeout = timeout)
    }

    /// The reason in the close with 1001 when the server drains, at most 123 bytes. Default: "the
    /// server is shutting down".
    #[must_use]
    pub fn with_drain_reason(self, reason: &'static str) -> Self {
        self.with(|settings| settings.drain_reason = Some(reason))
    }

    /// Keeps WebSockets open in a drain. Wait for [`WebSocket::drain`](crate::WebSocket::drain),
    /// and close them yourself.
    #[must_use]
    pub fn without_drain_close(self) -> Self {
        self.with(|settings| settings.drain_reason = None)
    }

    /// The supported subprotocols, the preferred one first (RFC 6455 1.9). Default: none. A server
    /// selects the first of them that the client offers, or none. A client offers all of them.
    #[must_use]
    pub fn with_protocols<P: Into<String>>(self, protocols: impl IntoIterator<Item = P>) -> Self {
        let protocols = protocols.into_iter().map(Into::into).collect();
        self.with(|settings| settings.protocols = protocols)
    }

    /// Decides which `Origin` may connect (RFC 6455 10.2); others get 403. Default: any. The check
    /// is called only if the request has that header, which browsers always send.
    #[must_use]
    pub fn with_origin_check(
        self,
        check: impl Fn(&HeaderValue) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.with(|settings| settings.origin_check = Some(Arc::new(check)))
    }

    /// Compresses messages (RFC 7692). Default: no. A server does so if the client offers it; a
    /// client offers it.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(self, deflate: crate::Deflate) -> Self {
        self.with(|settings| settings.deflate = Some(deflate))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("sizes", &self.sizes)
            .field("heartbeat", &self.heartbeat)
            .field("close_timeout", &self.close_timeout)
            .field("protocols", &self.protocols)
            .finish_non_exhaustive()
    }
}
