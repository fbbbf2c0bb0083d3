//! Workers: the kernel spreads the connections over them, and each has a thread of its own, named
//! and, on request, pinned.
use crate::scene::{GRACE, addr_of, connect, listen_to, say};
use anyport_core::{Accepted, Connection, Handle, serve_raw_with};
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
            "workers::connections_are_spread_over_the_workers_and_each_has_its_thread",
            || block_on(connections_are_spread_over_the_workers_and_each_has_its_thread()),
        )
        .unless(
            (cores < WORKERS).then(|| "needs two cores".to_owned()),
            "workers::pinned_workers_have_a_core_each",
            || block_on(pinned_workers_have_a_core_each()),
        )
}

fn two_workers() -> anyport_tcp::TcpPerCore {
    Tcp::bind("127.0.0.1:0").per_core().with_workers(WORKERS)
}

/// What each worker said, and how often, over as many connections.
fn ask_all(handle: &Handle, connections: usize) -> BTreeMap<String, usize> {
    let mut said = BTreeMap::new();
    for _ in 0..connections {
        let line = listen_to(connect(addr_of(handle)).unwrap()).unwrap();
        *said.entry(line).or_insert(0) += 1;
    }
    said
}

/// `WORKER NAME-OF-THREAD CORES`
async fn where_it_runs(connection: Accepted<TcpConnection>) {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let cores = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .unwrap();
    let worker = connection.info().worker();
    let thread = thread::current();
    let line = format!("{worker} {} {}", thread.name().unwrap_or("-"), cores.trim());
    say(connection, &line).await;
}

async fn connections_are_spread_over_the_workers_and_each_has_its_thread() {
    let handle = serve_raw_with(two_workers(), where_it_runs)
        .start()
        .unwrap();
    let said = ask_all(&handle, 200);
    // Chosen by a hash: each gets about half; a tenth is beyond all chance.
    assert!(
        said.len() == WORKERS && said.values().all(|&n| n >= 20),
        "{said:?}"
    );
    for (index, line) in said.keys().enumerate() {
        assert!(
            line.starts_with(&format!("{index} anyport-{index} ")),
            "{said:?}"
        );
    }
    let cores: BTreeSet<_> = said.keys().map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(
        cores.len(),
        1,
        "pinned, though nobody asked for it: {said:?}"
    );
    handle.shutdown(GRACE).await.unwrap();
}

async fn pinned_workers_have_a_core_each() {
    let server = serve_raw_with(two_workers(), where_it_runs).pinned();
    let handle = server.start().unwrap();
    let said = ask_all(&handle, 200);
    assert_eq!(said.len(), WORKERS, "{said:?}");
    let cores: BTreeSet<usize> = said
        .keys()
        .map(|line| line.rsplit(' ').next().unwrap())
        .map(|list| {
            list.parse()
                .unwrap_or_else(|_| panic!("more than one core: {list}"))
        })
        .collect();
    assert_eq!(cores.len(), WORKERS, "{said:?}");
    handle.shutdown(GRACE).await.unwrap();
}
