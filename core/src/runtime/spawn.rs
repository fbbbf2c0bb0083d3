//! Spawns a task from within an app, on whichever runtime serves it.
use crate::error::{Error, ErrorKind, Result};
use std::{cell::RefCell, fmt, future::Future, pin::Pin, rc::Rc};

/// A future that can be spawned on any runtime.
pub type Background = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How a worker spawns.
type Spawn = Rc<dyn Fn(Background)>;

thread_local! {
    static SPAWNER: RefCell<Option<Spawn>> = const { RefCell::new(None) };
}

/// Spawns a future in the background, on the runtime that the current worker runs on, whichever
/// that is.
///
/// `tokio::spawn` may take a future to another thread, and panics where there's no tokio; this does
/// neither. The future lives until it's done or its runtime ends: a drain doesn't wait for it.
///
/// ```
/// use anyport_core::{Body, runtime::spawn};
/// use http::{Request, Response};
///
/// async fn app(request: Request<Body>) -> anyport_core::Result<Response<Body>> {
///     spawn(async move { println!("asked for {}", request.uri()) })?;
///     Ok(Response::new(Body::from("noted")))
/// }
/// ```
///
/// # Errors
///
/// This thread is no worker's: there's no runtime here.
pub fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Result<()> {
    let spawner = SPAWNER.try_with(|spawner| spawner.borrow().clone());
    if let Some(spawner) = spawner.ok().flatten() {
        spawner(Box::pin(future));
        return Ok(());
    }
    #[cfg(feature = "tokio")]
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(future);
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Start,
        "cannot spawn here: this thread is in no runtime (call it from an app's future, or from `per_worker`)",
    ))
}

/// What [`spawn`] uses on this thread, until it's dropped: a runtime other than tokio makes one
/// when a worker begins.
pub struct Spawner(Option<Spawn>);

impl Spawner {
    /// Has this thread spawn so.
    #[must_use]
    pub fn enter(spawn: impl Fn(Background) + 'static) -> Self {
        Self(SPAWNER.replace(Some(Rc::new(spawn))))
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        let before = self.0.take();
        let _ = SPAWNER.try_with(|spawner| spawner.replace(before));
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn who_is_in_no_runtime_is_told() {
        let error = spawn(async {}).unwrap_err().to_string();
        assert!(error.contains("this thread is in no runtime"), "{error}");
    }

    #[test]
    fn a_worker_spawns_as_its_runtime_says_until_it_ends() {
        let spawned = Rc::new(Cell::new(0));
        let seen = Rc::clone(&spawned);
        let worker = Spawner::enter(move |_| seen.set(seen.get() + 1));
        spawn(async {}).unwrap();
        assert_eq!(spawned.get(), 1);
        drop(worker);
        assert!(spawn(async {}).is_err());
    }

    #[cfg(feature = "tokio")]
    #[tokio::test]
    async fn on_tokio_it_is_tokio_that_spawns() {
        let (tell, told) = tokio::sync::oneshot::channel();
        spawn(async move { tell.send(()).unwrap() }).unwrap();
        told.await.unwrap();
    }
}
