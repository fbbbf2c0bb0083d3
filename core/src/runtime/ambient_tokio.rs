//! The tokio runtime around workers of other runtimes, so that apps can use tokio on any transport.
#[cfg(feature = "tokio")]
use {
    crate::error::{Error, Result},
    std::sync::Arc,
    tokio::runtime::{Builder, EnterGuard, Handle, Runtime, RuntimeFlavor},
};

/// The tokio that a transport's workers run inside. Without the feature `tokio`, there is none.
#[derive(Clone, Debug, Default)]
pub(crate) struct AmbientTokio {
    #[cfg(feature = "tokio")]
    tokio: Option<Tokio>,
}

#[cfg(feature = "tokio")]
#[derive(Clone, Debug)]
struct Tokio {
    handle: Handle,
    /// Set if it was started for this server: it ends with the last worker.
    _owned: Option<Arc<Owned>>,
}

#[cfg(feature = "tokio")]
#[derive(Debug)]
struct Owned(Option<Runtime>);

#[cfg(feature = "tokio")]
impl AmbientTokio {
    /// The multi-threaded tokio that this thread runs inside, or a new one. A single-threaded tokio
    /// is not used, because it makes no progress while its thread is busy.
    pub(crate) fn find() -> Result<Self> {
        let around = Handle::try_current()
            .ok()
            .filter(|handle| handle.runtime_flavor() != RuntimeFlavor::CurrentThread);
        let tokio = match around {
            Some(handle) => Tokio {
                handle,
                _owned: None,
            },
            None => {
                let mut builder = Builder::new_multi_thread();
                let runtime = builder.thread_name("anyport-tokio").enable_all().build();
                let runtime = runtime
                    .map_err(|error| Error::start("start a tokio runtime for the app", error))?;
                Tokio {
                    handle: runtime.handle().clone(),
                    _owned: Some(Arc::new(Owned(Some(runtime)))),
                }
            }
        };
        Ok(Self { tokio: Some(tokio) })
    }

    /// Enters the tokio on this thread.
    pub(crate) fn enter(&self) -> Option<EnterGuard<'_>> {
        self.tokio.as_ref().map(|tokio| tokio.handle.enter())
    }
}

#[cfg(not(feature = "tokio"))]
impl AmbientTokio {
    pub(crate) fn find() -> crate::error::Result<Self> {
        Ok(Self::default())
    }

    pub(crate) fn enter(&self) {}
}

#[cfg(feature = "tokio")]
impl Drop for Owned {
    fn drop(&mut self) {
        // Background tasks of handlers are not awaited, and this thread may be one that must not
        // block.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
