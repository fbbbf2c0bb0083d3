//! One drain for all parts: it waits for each, tells each, and ends each.
use crate::{
    GRACE, PATIENCE,
    client::Client,
    site::{Plan, Site},
};
use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};
use tokio::time::timeout;

/// A request that waits and a connection that echoes, on each part.
async fn busy(site: &Site) -> (Vec<Client>, Vec<Client>) {
    let (mut waiting, mut echoing) = (Vec::new(), Vec::new());
    for (_, mut client) in site.connect_all().await {
        client.send("/slow", "").await;
        waiting.push(client);
    }
    for (_, mut client) in site.connect_all().await {
        client.upgrade().await;
        echoing.push(client);
    }
    timeout(PATIENCE, site.signals.arrived(site.len()))
        .await
        .unwrap();
    (waiting, echoing)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_drain_waits_for_what_is_busy_on_every_part_upgraded_or_not() {
    let site = Plan::of_all().start();
    let parts = site.len();
    let (mut waiting, mut echoing) = busy(&site).await;
    // This one is idle, on the first part.
    let mut idle = site.connect(0).await;
    assert_eq!(idle.ask("/").await.0, 200);

    let mut draining = pin!(site.handle.shutdown(GRACE));
    timeout(PATIENCE, idle.closed()).await.unwrap();
    site.signals.release(parts);
    for client in &mut waiting {
        assert_eq!(client.answer().await.unwrap().0, 200);
        client.closed().await;
    }
    // Those that echo are all that's left; part by part they go, and the last one ends the drain.
    while let Some(mut client) = echoing.pop() {
        let pending = poll_fn(|cx| Poll::Ready(draining.as_mut().poll(cx).is_pending())).await;
        assert!(pending, "it's over, with {} still there", echoing.len() + 1);
        client.echoes().await;
    }
    let report = timeout(PATIENCE, draining).await.unwrap().unwrap();
    let counts = (report.completed, report.aborted, report.upgraded);
    assert_eq!(counts, (2 * parts + 1, 0, parts), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_end_of_the_grace_every_part_cuts_off_what_is_left() {
    let site = Plan::of_all().start();
    let parts = site.len();
    let (mut waiting, mut echoing) = busy(&site).await;
    let draining = site.handle.shutdown(Duration::from_millis(50));
    let report = timeout(PATIENCE, draining).await.unwrap().unwrap();
    let counts = (report.completed, report.aborted, report.upgraded);
    assert_eq!(counts, (0, 2 * parts, parts), "{report}");
    for client in waiting.iter_mut().chain(&mut echoing) {
        client.closed().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_ends_every_part_at_once() {
    let site = Plan::of_all().start();
    let parts = site.len();
    let (mut waiting, mut echoing) = busy(&site).await;
    // As long as it takes, a drain that's going on is cut short, too.
    let draining = site.handle.shutdown(GRACE);
    let report = timeout(PATIENCE, site.handle.abort())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (report.aborted, report.upgraded),
        (2 * parts, parts),
        "{report}"
    );
    assert_eq!(draining.await.unwrap(), report);
    for client in waiting.iter_mut().chain(&mut echoing) {
        client.closed().await;
    }
    assert_eq!(site.handle.connections(), 0);
}
