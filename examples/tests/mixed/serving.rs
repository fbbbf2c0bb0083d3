//! While it serves: each part answers, limits are the whole server's, and what goes wrong in one is
//! no other's affair.
use crate::{
    GRACE,
    parts::PARTS,
    site::{Plan, Site},
};
use anyport::Limits;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_part_serves_and_all_connections_are_counted() {
    let site = Plan::of_all().start();
    assert_eq!(site.handle.endpoints().len(), site.len());
    let mut clients = site.connect_all().await;
    for (name, client) in &mut clients {
        for _ in 0..10 {
            assert_eq!(client.ask("/").await, (200, (*name).to_owned()));
        }
    }
    assert_eq!(site.handle.connections(), site.len());
    let report = site.handle.shutdown(GRACE).await.unwrap();
    assert_eq!(
        (report.completed, report.aborted),
        (site.len(), 0),
        "{report}"
    );
}

/// Each part next to each other one, and in either order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_leaves_makes_room_on_whatever_part_another_waits() {
    for (index, first) in PARTS.iter().enumerate() {
        let others = PARTS
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index);
        for (_, second) in others {
            let site = Plan::of([first, second])
                .map(|server| server.limits(Limits::default().with_connections(1)))
                .start();
            let mut inside = site.connect(0).await;
            assert_eq!(inside.ask("/").await.0, 200);
            let mut outside = site.connect(1).await;
            outside.send("/", "").await;
            assert_eq!(site.handle.connections(), 1);
            drop(inside);
            let answer = outside.answer().await.unwrap();
            assert_eq!(
                answer,
                (200, second.name.to_owned()),
                "after {}",
                first.name
            );
            drop(outside);
            drained(site).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_an_app_costs_its_request_alone() {
    let site = Plan::of_all().start();
    let mut others = site.connect_all().await;
    for (name, mut client) in site.connect_all().await {
        assert_eq!(client.ask("/panic").await.0, 500, "{name}");
    }
    for (name, client) in &mut others {
        assert_eq!(client.ask("/").await, (200, (*name).to_owned()));
    }
    drop(others);
    drained(site).await;
}

async fn drained(site: Site) {
    let report = site.handle.shutdown(GRACE).await.unwrap();
    assert_eq!(report.aborted, 0, "{report}");
}
