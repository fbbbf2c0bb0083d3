//! What happens while a case runs, for the text of a failure: what it waits for, who panics, and
//! what its servers report.
use crate::app::DELIBERATE;
use anyport_core::observe::{Event, Observer};
use std::{
    any::Any,
    borrow::Cow,
    cell::RefCell,
    env,
    future::Future,
    io,
    panic::{self, PanicHookInfo},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    thread,
};

thread_local! {
    /// The case that runs on this thread.
    static CURRENT: RefCell<Option<Arc<Watch>>> = const { RefCell::new(None) };
}

/// The panics of threads that belong to no case, such as workers with threads of their own.
static ELSEWHERE: Mutex<Vec<Panicked>> = Mutex::new(Vec::new());

/// How many of them are kept.
const MAX_ELSEWHERE: usize = 100;

/// What a listener never returns.
const WOULD_BLOCK: &str = "`poll_accept` returned an error of kind `WouldBlock`";

/// One case while it runs.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// How many times longer than usual this case waits.
    wait_factor: u32,
    waits: Mutex<Vec<(u64, Cow<'static, str>)>>,
    panics: Mutex<Vec<Panicked>>,
    notes: Mutex<Vec<String>>,
    /// Its runtime ends, or has ended.
    has_ended: AtomicBool,
}

/// A panic: its message, its location and its thread.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Panicked {
    pub(crate) message: String,
    pub(crate) location: String,
    pub(crate) thread: String,
    /// Whether an assertion of the suite failed.
    pub(crate) is_assertion: bool,
}

impl Watch {
    pub(crate) fn new(wait_factor: u32) -> Arc<Self> {
        Arc::new(Self {
            wait_factor,
            ..Self::default()
        })
    }

    /// Says that this thread works for this case from now on.
    pub(crate) fn enter(self: &Arc<Self>) {
        CURRENT.set(Some(Arc::clone(self)));
    }

    /// Says that this thread works for this case until the value is dropped.
    pub(crate) fn enter_scope(self: &Arc<Self>) -> Entered {
        self.enter();
        Entered
    }

    /// Says that the runtime of this case ends.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, SeqCst);
    }

    /// What the case waits for now.
    pub(crate) fn waits(&self) -> Vec<String> {
        let waits = lock(&self.waits);
        waits.iter().map(|(_, what)| what.to_string()).collect()
    }

    /// The panics on threads of this case.
    pub(crate) fn panics(&self) -> Vec<Panicked> {
        lock(&self.panics).clone()
    }

    /// Why the transport is wrong, even if the client got what it expected.
    pub(crate) fn transport_fault(&self) -> Option<String> {
        let panicked = self.panics().iter().any(|panic| !panic.is_assertion);
        let would_block = self.notes().iter().any(|note| note == WOULD_BLOCK);
        let why = match (panicked, would_block) {
            (true, _) => "the transport panicked",
            (false, true) => WOULD_BLOCK,
            (false, false) => return None,
        };
        Some(format!("the client got what it expected, but {why}"))
    }

    /// What the servers of this case have reported.
    pub(crate) fn notes(&self) -> Vec<String> {
        lock(&self.notes).clone()
    }
}

/// A thread works for a case.
pub(crate) struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        let _ = CURRENT.try_with(|current| current.take());
    }
}

/// A mutex is locked also after a panic: it is about panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn current() -> Option<Arc<Watch>> {
    CURRENT.try_with(|current| current.borrow().clone()).ok()?
}

/// How many times longer than usual the case of this thread waits.
pub(crate) fn wait_factor() -> u32 {
    current().map_or(1, |watch| watch.wait_factor)
}

/// Lets a new thread work for the case of this thread.
pub(crate) fn inherit<T>(run: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let watch = current();
    move || {
        let _entered = watch.as_ref().map(Watch::enter_scope);
        run()
    }
}

/// Adds a fact to the text of a failure of this thread's case.
pub(crate) fn note(fact: String) {
    if let Some(watch) = current() {
        lock(&watch.notes).push(fact);
    }
}

/// Awaits a future. If the time of the case ends meanwhile, the failure says for what.
pub(crate) async fn awaiting<F: Future>(
    what: impl Into<Cow<'static, str>>,
    future: F,
) -> F::Output {
    let _wait = waiting(what);
    future.await
}

/// Says what this thread's case waits for until the value is dropped.
pub(crate) fn waiting(what: impl Into<Cow<'static, str>>) -> Option<Wait> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let id = LAST.fetch_add(1, Relaxed);
    let watch = current()?;
    lock(&watch.waits).push((id, what.into()));
    Some(Wait { watch, id })
}

/// Something that a case waits for.
pub(crate) struct Wait {
    watch: Arc<Watch>,
    id: u64,
}

impl Drop for Wait {
    fn drop(&mut self) {
        lock(&self.watch.waits).retain(|(id, _)| *id != self.id);
    }
}

/// How many panics of threads that belong to no case there were.
pub(crate) fn panics_elsewhere() -> usize {
    lock(&ELSEWHERE).len()
}

/// The panics of threads that belong to no case, after the first `seen`.
pub(crate) fn panics_elsewhere_since(seen: usize) -> Vec<Panicked> {
    lock(&ELSEWHERE).get(seen..).unwrap_or_default().to_vec()
}

/// Records panics for the case in which they happen instead of printing them. The panics that apps
/// of the suite cause on purpose are not recorded.
pub(crate) fn record_panics() {
    let usual = panic::take_hook();
    let wants_backtrace = env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    panic::set_hook(Box::new(move |info| {
        let panicked = Panicked::of(info);
        if panicked.message.starts_with(DELIBERATE) {
            return;
        }
        match current() {
            // A thread without a runtime goes on after the end of its case.
            Some(watch) if watch.has_ended.load(SeqCst) && panicked.is_of_an_ended_runtime() => {}
            Some(watch) => lock(&watch.panics).push(panicked),
            None => {
                let mut elsewhere = lock(&ELSEWHERE);
                if elsewhere.len() < MAX_ELSEWHERE {
                    elsewhere.push(panicked);
                }
            }
        }
        if wants_backtrace {
            usual(info);
        }
    }));
}

impl Panicked {
    /// Something has used a timer of a tokio runtime that has ended.
    fn is_of_an_ended_runtime(&self) -> bool {
        self.message.contains("is being shutdown")
    }

    fn of(info: &PanicHookInfo<'_>) -> Self {
        let location = info.location();
        // This file is `core/testkit/src/harness/watch.rs`, with what precedes it here.
        let suite = file!().strip_suffix("harness/watch.rs");
        let is_of_suite = |file: &str| suite.is_some_and(|suite| file.starts_with(suite));
        Self {
            message: text_of(info.payload())
                .unwrap_or("a panic without a text")
                .to_owned(),
            location: location
                .map_or_else(|| "an unknown location".to_owned(), ToString::to_string),
            thread: thread::current().name().unwrap_or("unnamed").to_owned(),
            is_assertion: location.is_some_and(|location| is_of_suite(location.file())),
        }
    }
}

/// The message of a panic.
pub(crate) fn text_of(payload: &(dyn Any + Send)) -> Option<&str> {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
}

/// Notes what a server reports that the transport may have caused.
#[derive(Debug)]
pub(crate) struct Notes(Option<Arc<Watch>>);

impl Notes {
    /// For the case of this thread.
    pub(crate) fn new() -> Self {
        Self(current())
    }
}

impl Observer for Notes {
    fn on(&self, event: &Event<'_>) {
        let fact = match event {
            Event::Warning { message, .. } => format!("the server warned: {message}"),
            Event::AcceptFailed { error, .. } if error.kind() == io::ErrorKind::WouldBlock => {
                WOULD_BLOCK.to_owned()
            }
            Event::AcceptFailed { error, kind, .. } => {
                format!("the server could not accept ({kind:?}): {error}")
            }
            Event::HandshakeFailed { error, .. } => format!("a handshake failed: {error}"),
            _ => return,
        };
        if let Some(watch) = &self.0 {
            let mut notes = lock(&watch.notes);
            if !notes.contains(&fact) {
                notes.push(fact);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        task::{Context, Waker},
        time::Duration,
    };
    use tokio::{runtime::Builder, time::sleep};

    #[test]
    fn use_of_a_timer_after_its_runtime_is_recognized() {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let entered = runtime.enter();
        let mut timer = Box::pin(sleep(Duration::from_secs(3600)));
        drop(entered);
        drop(runtime);
        let mut cx = Context::from_waker(Waker::noop());
        let polled = catch_unwind(AssertUnwindSafe(|| timer.as_mut().poll(&mut cx)));
        let panicked = |message: &str| Panicked {
            message: message.to_owned(),
            location: String::new(),
            thread: String::new(),
            is_assertion: false,
        };
        let message = text_of(&*polled.unwrap_err()).unwrap().to_owned();
        assert!(panicked(&message).is_of_an_ended_runtime(), "{message}");
        assert!(!panicked("index out of bounds").is_of_an_ended_runtime());
    }
}
