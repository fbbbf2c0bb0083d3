//! The configuration of a server, which its connections share.
use crate::{
    config::{HttpOptions, Limits, Timeouts},
    error::Result,
    observe::{Event, Observers},
    transport::Endpoint,
};
use std::{fmt, sync::Arc, time::Duration};

/// The settings of a server.
#[derive(Clone, Default)]
pub(crate) struct Config {
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    pub(crate) http: HttpOptions,
    pub(crate) observers: Observers,
    pub(crate) filter: Option<Filter>,
}

/// Whether a client may connect.
pub(crate) type Filter = Arc<dyn Fn(&Endpoint) -> bool + Send + Sync>;

impl Config {
    /// Sends an event to the log and to the observer. The event is built only if one is there.
    pub(crate) fn observe<'a>(&self, event: impl FnOnce() -> Event<'a>) {
        self.observers.send(event);
    }

    /// Whether a client that has ended its sending half still gets its response.
    pub(crate) fn answers_half_closed(&self) -> bool {
        self.http.half_close
    }

    /// Whether each request needs code besides the app: a timeout, or a hook for its response.
    pub(crate) fn has_request_hooks(&self) -> bool {
        self.timeouts.request < Duration::MAX || self.http.status_of.is_some()
    }

    pub(crate) fn check(&self, serves_http: bool) -> Result<()> {
        self.limits.check()?;
        self.timeouts.check()?;
        if serves_http {
            self.http.check()
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("limits", &self.limits)
            .field("timeouts", &self.timeouts)
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}
