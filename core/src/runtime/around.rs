//! The tokio runtime around workers of other runtimes, so that apps can use tokio on any transport.
#[cfg(feature = "tokio")]
use {
    crate::error::{Error, Result},
    std::sync::Arc,
    tokio::runtime::{Builder, EnterGuard, Handle, Runtime, RuntimeFlavor},
};

/// The tokio around the workers of a transport. Without the feature `tokio`, there's none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Around {
    #[cfg(feature = "tokio")]
    tokio: Option<Tokio>,
}

#[cfg(feature = "tokio")]
#[derive(Clone, Debug)]
struct Tokio {
    handle: Handle,
    /// What was started for this server ends with its last worker.
    _own: Option<Arc<Own>>,
}

#[cfg(feature = "tokio")]
#[derive(Debug)]
struct Own(Option<Runtime>);

#[cfg(feature = "tokio")]
impl Around {
    /// The multi-threaded tokio that this thread is in, or one of the server's own. A
    /// single-threaded one won't do: it stands still when the thread that it belongs to does
    /// something else.
    pub(crate) fn find() -> Result<Self> {
        let around = Handle::try_current()
            .ok()
            .filter(|handle| handle.runtime_flavor() != RuntimeFlavor::CurrentThread);
        let tokio = match around {
            Some(handle) => Tokio { handle, _own: None },
            None => {
                let mut builder = Builder::new_multi_thread();
                let runtime = builder.thread_name("anyport-tokio").enable_all().build();
                let runtime = runtime
                    .map_err(|error| Error::start("start a tokio runtime for the app", error))?;
                Tokio {
                    handle: runtime.handle().clone(),
                    _own: Some(Arc::new(Own(Some(runtime)))),
                }
            }
        };
        Ok(Self { tokio: Some(tokio) })
    }

    /// Puts this thread into it.
    pub(crate) fn enter(&self) -> Option<EnterGuard<'_>> {
        self.tokio.as_ref().map(|tokio| tokio.handle.enter())
    }
}

#[cfg(not(feature = "tokio"))]
impl Around {
    pub(crate) fn find() -> crate::error::Result<Self> {
        Ok(Self::default())
    }

    pub(crate) fn enter(&self) {}
}

#[cfg(feature = "tokio")]
impl Drop for Own {
    fn drop(&mut self) {
        // Nobody waits for what handlers left in the background; and this thread may be one that
        // mustn't wait.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
