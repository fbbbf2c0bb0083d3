//! Spawns a task from within an app, on whichever runtime serves it.
use crate::error::{Error, ErrorKind, Result};
use std::{cell::RefCell, fmt, future::Future, pin::Pin, rc::Rc};

/// A future that can be spawned on any runtime.
pub type Background = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A worker's function to spawn.
type Spawn = Rc<dyn Fn(Background)>;

thread_local! {
    static SPAWNER: RefCell<Option<Spawn>> = const { RefCell::new(None) };
}

/// Spawns a future in the background, on the runtime of the current worker.
///
/// If the worker has a thread of its own, the future stays on that thread. On the ambient tokio,
/// this is `tokio::spawn`. The future lives until it is ready or its runtime ends: a drain does not
/// wait for it.
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
/// The current thread is not a worker: it has no runtime.
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
        "cannot spawn here: this thread has no runtime (call it from an app's future, or from `per_worker`)",
    ))
}

/// Makes [`spawn`] use a function on this thread, until the drop of this guard. A runtime other
/// than tokio makes one when a worker starts.
pub struct Spawner(Option<Spawn>);

impl Spawner {
    /// Uses `spawn` on this thread.
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
    fn spawn_without_a_runtime_is_an_error() {
        let error = spawn(async {}).unwrap_err().to_string();
        assert!(error.contains("this thread has no runtime"), "{error}");
    }

    #[test]
    fn worker_spawns_on_its_runtime_until_it_ends() {
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
    async fn spawn_on_tokio_uses_tokio() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        spawn(async move { sender.send(()).unwrap() }).unwrap();
        receiver.await.unwrap();
    }
}
