//! Workers: the kernel spreads the connections over them, and each has a thread of its own, named and, on request, pinned.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod scene;

use anyport_core::{Accepted, Connection, Handle, serve_raw_with};
use anyport_tcp::{Tcp, TcpConnection};
use scene::{GRACE, addr_of, connect, listen_to, say, skipped};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, thread,
};

const WORKERS: usize = 2;

fn two_workers() -> Tcp<anyport_core::runtime::TokioPerCore> {
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

#[tokio::test]
async fn connections_are_spread_over_the_workers_and_each_has_its_thread() {
    let handle = serve_raw_with(two_workers(), where_it_runs).start().unwrap();
    let said = ask_all(&handle, 200);
    // Chosen by a hash: each gets about half; a tenth is beyond all chance.
    assert!(
        said.len() == WORKERS && said.values().all(|&n| n >= 20),
        "{said:?}"
    );
    for (index, line) in said.keys().enumerate() {
        assert!(line.starts_with(&format!("{index} anyport-{index} ")), "{said:?}");
    }
    let cores: BTreeSet<_> = said.keys().map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(cores.len(), 1, "pinned, though nobody asked for it: {said:?}");
    handle.shutdown(GRACE).await.unwrap();
}

#[tokio::test]
async fn pinned_workers_have_a_core_each() {
    let cores = thread::available_parallelism().unwrap().get();
    if cores < WORKERS {
        return skipped("pinned_workers_have_a_core_each", "one core only");
    }
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
