//! io_uring refused, as container runtimes do by a seccomp filter: the server waits with epoll, and says so; or doesn't start, if it's to have io_uring.
//!
//! A filter is the process's for good, so each server is in one of its own: this test's binary, run once more.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod scene;

use anyport_core::{Event, Observer, per_worker, serve_with};
use anyport_monoio::{Driver, Monoio};
use anyport_testkit::process::{Process, allow_locked_memory};
use scene::{GRACE, get};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::{
    env,
    sync::{Arc, Mutex},
};

/// `io_uring_setup`, the same on all architectures.
const SETUP: i64 = 425;
const EPERM: u32 = 1;

/// What `body` says in a process of its own, in which the kernel refuses io_uring. None there.
fn without_io_uring(test: &str, body: impl FnOnce(&mut dyn FnMut(&str))) -> Option<Vec<String>> {
    let process = Process::start(test, |say| {
        let refuse = [(SETUP, vec![])].into_iter().collect();
        let arch = env::consts::ARCH.try_into().unwrap();
        let filter = SeccompFilter::new(refuse, SeccompAction::Allow, SeccompAction::Errno(EPERM), arch);
        let program: BpfProgram = filter.unwrap().try_into().unwrap();
        seccompiler::apply_filter(&program).unwrap();
        body(say);
    });
    Some(process?.ends())
}

#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Observer for Warnings {
    fn on(&self, event: &Event<'_>) {
        if let Event::Warning { message, .. } = event {
            self.0.lock().unwrap().push((*message).to_owned());
        }
    }
}

/// A server of two workers whose app answers with what the worker waits with.
async fn serves(driver: Driver, observer: Warnings) -> anyport_core::Result<String> {
    let app = per_worker(|_: &anyport_core::Worker| {
        let driver = Driver::current().unwrap().to_string();
        tower::service_fn(move |_: http::Request<anyport_core::Body>| {
            std::future::ready(Ok::<_, std::io::Error>(http::Response::new(driver.clone())))
        })
    });
    let monoio = Monoio::bind("127.0.0.1:0").with_driver(driver).with_workers(2);
    let handle = serve_with(monoio, app).observer(observer).start()?;
    let driver = get(&handle, "/").unwrap();
    handle.shutdown(GRACE).await?;
    Ok(driver)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(future)
}

/// Starts such a server, and says what it waits with, or why it doesn't start, and of what it warned.
fn say_how_it_starts(driver: Driver, say: &mut dyn FnMut(&str)) {
    let warnings = Warnings::default();
    match block_on(serves(driver, warnings.clone())) {
        Ok(driver) => say(&format!("driver: {driver}")),
        Err(error) => say(&format!("error: {error}")),
    }
    for warning in warnings.0.lock().unwrap().iter() {
        say(&format!("warning: {warning}"));
    }
}

#[test]
fn a_refused_server_waits_with_epoll_and_says_so_once() {
    let test = "a_refused_server_waits_with_epoll_and_says_so_once";
    let said = without_io_uring(test, |say| say_how_it_starts(Driver::Auto, say));
    let Some(said) = said else { return };
    assert_eq!(said.len(), 2, "{said:#?}");
    assert_eq!(said[0], "driver: epoll");
    assert!(
        said[1].starts_with(
            "warning: io_uring is refused (Operation not permitted (os error 1)), so the workers wait with epoll"
        ),
        "{said:#?}"
    );
}

#[test]
fn a_refused_server_that_must_have_io_uring_does_not_start() {
    let test = "a_refused_server_that_must_have_io_uring_does_not_start";
    let said = without_io_uring(test, |say| say_how_it_starts(Driver::IoUring, say));
    let Some(said) = said else { return };
    assert!(is_refusal(&said), "{said:#?}");
}

fn is_refusal(said: &[String]) -> bool {
    said.len() == 1
        && said[0].starts_with("error: cannot start the runtime of worker")
        && said[0].contains("io_uring is refused")
}

/// Kernels since 5.12 don't charge rings to this limit, and those before refuse them.
#[test]
fn without_the_right_to_lock_memory_it_serves_or_says_that_io_uring_is_refused() {
    let test = "without_the_right_to_lock_memory_it_serves_or_says_that_io_uring_is_refused";
    let process = Process::start(test, |say| {
        allow_locked_memory(0);
        say_how_it_starts(Driver::IoUring, say);
    });
    let Some(process) = process else { return };
    let said = process.ends();
    assert!(said == ["driver: io_uring"] || is_refusal(&said), "{said:#?}");
}

#[test]
fn without_the_right_to_lock_memory_there_is_always_something_to_wait_with() {
    let test = "without_the_right_to_lock_memory_there_is_always_something_to_wait_with";
    let process = Process::start(test, |say| {
        allow_locked_memory(0);
        say_how_it_starts(Driver::Auto, say);
    });
    let Some(process) = process else { return };
    let said = process.ends();
    let falls_back = said.len() == 2 && said[0] == "driver: epoll" && said[1].contains("io_uring is refused");
    assert!(said == ["driver: io_uring"] || falls_back, "{said:#?}");
}

#[test]
fn a_server_that_is_to_wait_with_epoll_warns_of_nothing() {
    let warnings = Warnings::default();
    assert_eq!(
        block_on(serves(Driver::Epoll, warnings.clone())).unwrap(),
        "epoll"
    );
    assert!(warnings.0.lock().unwrap().is_empty());
}

#[test]
fn where_io_uring_is_to_be_had_it_is_used() {
    let warnings = Warnings::default();
    let driver = block_on(serves(Driver::Auto, warnings.clone())).unwrap();
    match block_on(serves(Driver::IoUring, Warnings::default())) {
        Ok(_) => assert_eq!(driver, "io_uring"),
        Err(_) => assert_eq!(warnings.0.lock().unwrap().len(), 1),
    }
}
