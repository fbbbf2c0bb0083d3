//! Ten thousand races with losers in flight leave no descriptor and no task.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod fixture;

use anyport_core::{
    Connection, Runtime,
    runtime::{RuntimeOptions, SharedTimer, Tokio, block_on, local},
    transport::Connector,
};
use anyport_glommio::{GlommioConnector, GlommioPerCore};
use anyport_monoio::{Driver, MonoioConnector, MonoioPerCore};
use anyport_tcp::TcpConnector;
use anyport_testkit::{fixture::descriptors, requirements::Tests};
use fixture::{ALIVE, DEAD, Loopback, REFUSING, host};
use futures_util::future::join_all;
use std::{
    net::SocketAddr,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::runtime::{Builder, Handle};

const RACES: usize = 10_000;
/// How many run at the same time.
const RUNNERS: usize = 100;

/// Connects this many times. The first address never answers, the second refuses, and the third
/// wins while the first is in flight.
async fn runner<C: Connector>(connector: C, timer: SharedTimer, port: u16, races: usize) {
    let happy_eyeballs = host(connector, timer, &[DEAD, REFUSING, ALIVE]);
    let happy_eyeballs = happy_eyeballs.with_attempt_delay(Duration::from_millis(10));
    for _ in 0..races {
        let mut connection = happy_eyeballs.connect("host.test", port).await.unwrap();
        assert_eq!(
            connection.info().peer(),
            &SocketAddr::new(ALIVE, port).into()
        );
        // Leaves no port in TIME_WAIT.
        connection.reset();
    }
}

/// Waits until this holds: operations of io_uring and tasks of tokio end a little later.
async fn wait_until(timer: &SharedTimer, what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        timer.sleep(Duration::from_millis(10)).await;
    }
    panic!(
        "not within a minute: {what}; {} descriptors are open",
        descriptors()
    );
}

/// All races on this worker.
async fn races<C: Connector>(connector: C, timer: SharedTimer, port: u16) {
    let run = |races| {
        let runner = |_| runner(connector.clone(), timer.clone(), port, races);
        join_all((0..RUNNERS).map(runner))
    };
    // What the worker opens once; then its operations end.
    run(1).await;
    timer.sleep(Duration::from_millis(200)).await;
    let (before, tasks) = (descriptors(), local::task_count());
    run(RACES / RUNNERS).await;
    wait_until(&timer, "no task is left", || local::task_count() <= tasks).await;
    wait_until(&timer, "no descriptor is left", || descriptors() <= before).await;
}

fn tcp() {
    let loopback = Loopback::new();
    let port = loopback.port;
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let timer = Tokio::current().timer();
        let run = async |races| {
            let runner = |_| {
                let runner = runner(TcpConnector::new(), timer.clone(), port, races);
                tokio::spawn(runner)
            };
            let tasks: Vec<_> = (0..RUNNERS).map(runner).collect();
            for task in tasks {
                task.await.unwrap();
            }
        };
        run(1).await;
        let before = descriptors();
        run(RACES / RUNNERS).await;
        wait_until(&timer, "no descriptor is left", || descriptors() <= before).await;
        let metrics = Handle::current().metrics();
        wait_until(&timer, "no task is left", || metrics.num_alive_tasks() == 0).await;
    });
}

fn monoio(driver: Driver) {
    let loopback = Loopback::new();
    let port = loopback.port;
    let options: RuntimeOptions = Arc::new(driver);
    let races = move || {
        races(
            MonoioConnector::new(),
            MonoioPerCore::current().timer(),
            port,
        )
    };
    block_on::<MonoioPerCore, _>(Some(options), races).unwrap();
}

fn glommio() {
    let loopback = Loopback::new();
    let port = loopback.port;
    let races = move || {
        races(
            GlommioConnector::new(),
            GlommioPerCore::current().timer(),
            port,
        )
    };
    block_on::<GlommioPerCore, _>(None, races).unwrap();
}

/// Descriptors are counted for the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone(test: impl FnOnce()) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    test();
}

fn main() -> ExitCode {
    let missing = |driver: Driver| driver.check().err().map(|error| error.to_string());
    Tests::default()
        .always("races_on_tcp_leave_nothing", || alone(tcp))
        .unless(
            missing(Driver::IoUring),
            "races_on_monoio_leave_nothing",
            || {
                alone(|| monoio(Driver::IoUring));
            },
        )
        .unless(
            missing(Driver::Epoll),
            "races_on_monoio_with_epoll_leave_nothing",
            || {
                alone(|| monoio(Driver::Epoll));
            },
        )
        .unless(
            GlommioPerCore::check().err().map(|error| error.to_string()),
            "races_on_glommio_leave_nothing",
            || alone(glommio),
        )
        .run()
}
