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
use scene::{GRACE, get};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::{
    env,
    process::Command,
    sync::{Arc, Mutex},
};

/// Tells the binary that it's to be the server of a test.
const ROLE: &str = "ANYPORT_TEST_SERVER";
/// `io_uring_setup`, the same on all architectures.
const SETUP: i64 = 425;
const EPERM: u32 = 1;

/// Runs `body` in a process of its own, in which the kernel refuses io_uring. What it printed; `None` there.
fn without_io_uring(test: &str, body: impl FnOnce()) -> Option<String> {
    if env::var_os(ROLE).is_some() {
        let refuse = [(SETUP, vec![])].into_iter().collect();
        let arch = env::consts::ARCH.try_into().unwrap();
        let filter = SeccompFilter::new(refuse, SeccompAction::Allow, SeccompAction::Errno(EPERM), arch);
        let program: BpfProgram = filter.unwrap().try_into().unwrap();
        seccompiler::apply_filter(&program).unwrap();
        body();
        return None;
    }
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ROLE, "")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    let complained = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{said}\n{complained}");
    Some(said)
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

#[test]
fn a_refused_server_waits_with_epoll_and_says_so_once() {
    let said = without_io_uring("a_refused_server_waits_with_epoll_and_says_so_once", || {
        let warnings = Warnings::default();
        let driver = block_on(serves(Driver::Auto, warnings.clone())).unwrap();
        println!("driver: {driver}");
        for warning in warnings.0.lock().unwrap().iter() {
            println!("warning: {warning}");
        }
    });
    let Some(said) = said else { return };
    assert!(said.contains("driver: epoll"), "{said}");
    assert_eq!(said.matches("warning: ").count(), 1, "{said}");
    assert!(
        said.contains(
            "io_uring is refused (Operation not permitted (os error 1)), so the workers wait with epoll"
        ),
        "{said}"
    );
}

#[test]
fn a_refused_server_that_must_have_io_uring_does_not_start() {
    let said = without_io_uring("a_refused_server_that_must_have_io_uring_does_not_start", || {
        let error = block_on(serves(Driver::IoUring, Warnings::default())).unwrap_err();
        println!("error: {error}");
    });
    let Some(said) = said else { return };
    assert!(
        said.contains("error: cannot start the runtime of worker") && said.contains("io_uring is refused"),
        "{said}"
    );
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
