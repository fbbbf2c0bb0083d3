//! The receivers of a server's events: its log, and the program's observer.
#[cfg(feature = "tracing")]
use super::tracing::log;
use super::{Event, Observer};
use crate::runtime::panics;
use std::sync::Arc;

/// The receivers of the events of one server.
#[derive(Clone, Default)]
pub(crate) struct Observers {
    #[cfg(feature = "tracing")]
    is_log_off: bool,
    observer: Option<Arc<dyn Observer>>,
}

impl Observers {
    /// Replaces the program's observer.
    pub(crate) fn set(&mut self, observer: impl Observer) {
        self.observer = Some(Arc::new(observer));
    }

    #[cfg(feature = "tracing")]
    pub(crate) fn stop_logging(&mut self) {
        self.is_log_off = true;
    }

    /// Whether nobody receives events.
    pub(crate) fn is_empty(&self) -> bool {
        #[cfg(feature = "tracing")]
        if !self.is_log_off {
            return false;
        }
        self.observer.is_none()
    }

    /// Sends an event to all receivers. It is built only if there are any. Neither a subscriber nor
    /// an observer that panics affects the server, or the other.
    pub(crate) fn send<'a>(&self, event: impl FnOnce() -> Event<'a>) {
        if self.is_empty() {
            return;
        }
        let event = event();
        #[cfg(feature = "tracing")]
        if !self.is_log_off {
            let _ = panics::catch(|| log(&event));
        }
        if let Some(observer) = &self.observer {
            let _ = panics::catch(|| observer.on(&event));
        }
    }
}
