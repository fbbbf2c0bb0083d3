//! The kernel distributes connections over the workers. Each worker has a named thread, which is
//! pinned on request.
use crate::fixture::{GRACE, addr_of, connect, read_all, send_line};
use anyport_core::{Connection, Handle, protocol::Accepted, serve_raw_with};
use anyport_tcp::{Tcp, TcpConnection};
use anyport_testkit::requirements::{Tests, block_on};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, thread,
};

const WORKERS: usize = 2;

pub(crate) fn tests(tests: Tests) -> Tests {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    tests
        .always(
            "workers::connections_are_distributed_over_worker_threads",
            || block_on(connections_are_distributed_over_worker_threads()),
        )
        .unless(
            (cores < WORKERS).then(|| "needs two cores".to_owned()),
            "workers::pinned_workers_have_one_core_each",
            || block_on(pinned_workers_have_one_core_each()),
        )
}

fn two_workers() -> anyport_tcp::TcpPerCore {
    Tcp::bind("127.0.0.1:0").per_core().with_workers(WORKERS)
}

/// The lines that workers send, with how many connections got each.
fn count_lines(handle: &Handle, connections: usize) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for _ in 0..connections {
        let line = read_all(connect(addr_of(handle)).unwrap()).unwrap();
        *counts.entry(line).or_insert(0) += 1;
    }
    counts
}

/// `WORKER NAME-OF-THREAD CORES`
async fn describe_worker(connection: Accepted<TcpConnection>) {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let cores = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .unwrap();
    let worker = connection.info().worker();
    let thread = thread::current();
    let line = format!("{worker} {} {}", thread.name().unwrap_or("-"), cores.trim());
    send_line(connection, &line).await;
}

async fn connections_are_distributed_over_worker_threads() {
    let handle = serve_raw_with(two_workers(), describe_worker)
        .start()
        .unwrap();
    let counts = count_lines(&handle, 200);
    // The kernel hashes the addresses: each worker gets about half. Fewer than a tenth is
    // practically impossible.
    assert!(
        counts.len() == WORKERS && counts.values().all(|&n| n >= 20),
        "{counts:?}"
    );
    for (index, line) in counts.keys().enumerate() {
        assert!(
            line.starts_with(&format!("{index} anyport-{index} ")),
            "{counts:?}"
        );
    }
    let cores: BTreeSet<_> = counts.keys().map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(cores.len(), 1, "pinned without `.pinned()`: {counts:?}");
    handle.shutdown(GRACE).await.unwrap();
}

async fn pinned_workers_have_one_core_each() {
    let server = serve_raw_with(two_workers(), describe_worker).pinned();
    let handle = server.start().unwrap();
    let counts = count_lines(&handle, 200);
    assert_eq!(counts.len(), WORKERS, "{counts:?}");
    let cores: BTreeSet<usize> = counts
        .keys()
        .map(|line| line.rsplit(' ').next().unwrap())
        .map(|list| {
            list.parse()
                .unwrap_or_else(|_| panic!("more than one core: {list}"))
        })
        .collect();
    assert_eq!(cores.len(), WORKERS, "{counts:?}");
    handle.shutdown(GRACE).await.unwrap();
}
