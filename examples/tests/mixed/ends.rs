//! What ends one part ends the server: the other parts finish what they have, and the error says
//! which part it was.
use crate::{
    PATIENCE,
    app::{Signals, app},
    client::Client,
    fault::Fault,
    parts::{Dial, FAULTY, PARTS},
    site::{Plan, Site},
};
use anyport::{Error, ErrorKind};
use std::thread;
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};

/// A request that waits, on each part.
async fn waiting(site: &Site) -> Vec<(&'static str, Client)> {
    let mut clients = site.connect_all().await;
    for (_, client) in &mut clients {
        client.send("/slow", "").await;
    }
    timeout(PATIENCE, site.signals.arrived(clients.len()))
        .await
        .unwrap();
    clients
}

/// The server's error, after what waits has been answered.
async fn error_after_answers(site: &Site, clients: &mut [(&'static str, Client)]) -> Error {
    site.signals.release(clients.len());
    for (name, client) in clients {
        assert_eq!(client.answer().await.unwrap(), (200, (*name).to_owned()));
        client.closed().await;
    }
    timeout(PATIENCE, site.handle.wait())
        .await
        .unwrap()
        .unwrap_err()
}

/// All parts, and a faulty one to which a client comes.
async fn ends_by(fault: Fault, kind: ErrorKind, says: impl Fn(&str) -> String) {
    for (name, add) in FAULTY {
        let app = app("faulty", Signals::new());
        let site = Plan::of_all().map(|server| add(server, fault, app)).start();
        let mut clients = waiting(&site).await;
        let faulty = site.handle.endpoints().last().unwrap().clone();
        Dial::Endpoint.connect(&faulty).await.closed().await;
        let error = error_after_answers(&site, &mut clients).await;
        assert_eq!(error.kind(), kind, "{name}: {error}");
        let says = says(&faulty.to_string());
        assert!(
            error.to_string().ends_with(&says),
            "{name}: {error}, not {says}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_panics_leaves_the_other_parts_their_time() {
    ends_by(Fault::PanicsAtAccept, ErrorKind::Worker, |place| {
        format!(" of {place} ended before its time: its listener panicked")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_is_broken_leaves_the_other_parts_their_time() {
    ends_by(Fault::CannotAccept, ErrorKind::Accept, |place| {
        format!(" of {place} failed for good: a deliberate fault")
    })
    .await;
}

/// Parts with threads of their own outlive the runtime in which the server was started; those on it
/// can't.
#[test]
fn a_runtime_that_is_shut_down_takes_its_own_part_along_and_the_others_have_their_time() {
    let (ambient, others) = PARTS.split_first().unwrap();
    let others = others
        .iter()
        .filter(|part| !matches!(part.name, "unix" | "memory"));
    let client = runtime();
    let server = runtime();
    let site = server.block_on(async { Plan::of(others.chain([ambient])).start() });
    client.block_on(async {
        let mut clients = waiting(&site).await;
        let (name, mut on_it) = clients.pop().unwrap();
        assert_eq!(name, ambient.name);
        let place = site.handle.endpoints().last().unwrap().to_string();
        // Not in this runtime's thread, where it's not allowed to block.
        thread::spawn(|| drop(server)).join().unwrap();
        on_it.closed().await;
        let error = error_after_answers(&site, &mut clients).await;
        assert_eq!(
            error.to_string(),
            format!("worker 0 of {place} ended before its time: its runtime was shut down")
        );
    });
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}
