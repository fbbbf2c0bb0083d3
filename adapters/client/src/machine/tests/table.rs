//! One decision a test.
use super::scene::Scene;
use crate::machine::Granted;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A scene with this many idle connections of origin 0.
fn idle(connections: usize, max_per_origin: usize, max_total: usize) -> Scene {
    let mut scene = Scene::new(max_per_origin, max_total);
    for _ in 0..connections {
        scene.request(0).unwrap_err();
    }
    for _ in 0..connections {
        scene.connect(0);
        scene.collect(0);
    }
    for _ in 0..connections {
        scene.end(0);
        scene.advance(SECOND);
    }
    scene
}

#[test]
fn request_waits_for_its_attempt_and_the_next_one_uses_the_connection_again() {
    let mut scene = Scene::new(2, 2);
    let waiter = scene.request(0).unwrap_err();
    let conn = scene.connect(0);
    assert_eq!(scene.granted[0].0, waiter);
    assert!(!scene.granted[0].1.was_idle);
    scene.collect(0);
    scene.end(0);
    let again = scene.request(0).unwrap();
    assert_eq!(again.conn, conn);
    assert!(again.was_idle);
    assert_eq!(scene.machine.counts().reused, 1);
}

#[test]
fn connection_that_becomes_free_serves_the_first_waiter_before_its_attempt_does() {
    let mut scene = idle(1, 2, 2);
    scene.request(0).unwrap();
    let first = scene.request(0).unwrap_err();
    let second = scene.request(0).unwrap_err();
    scene.end(0);
    assert_eq!(scene.granted[0].0, first);
    scene.connect(0);
    assert_eq!(scene.granted[1].0, second);
}

#[test]
fn last_used_connection_is_used_next() {
    let mut scene = idle(3, 3, 3);
    let open = scene.open();
    assert_eq!(scene.request(0).unwrap().conn, open[2]);
    assert_eq!(scene.request(0).unwrap().conn, open[1]);
}

#[test]
fn failed_attempt_fails_the_first_waiter_and_the_next_gets_an_attempt() {
    let mut scene = Scene::new(1, 1);
    let first = scene.request(0).unwrap_err();
    let second = scene.request(0).unwrap_err();
    assert_eq!(scene.connecting.len(), 1);
    assert_eq!(scene.fail(0), Some(first));
    assert_eq!(scene.connecting.len(), 1);
    assert_eq!(scene.fail(0), Some(second));
    assert!(scene.connecting.is_empty());
    assert_eq!(
        scene.machine.origins.len(),
        0,
        "an unused origin is forgotten"
    );
}

#[test]
fn attempt_outlives_its_request_and_fails_nobody() {
    let mut scene = Scene::new(2, 2);
    let waiter = scene.request(0).unwrap_err();
    scene.cancel(waiter);
    scene.connect(0);
    assert_eq!(scene.machine.counts().idle, 1);
    let waiter = scene.request(1).unwrap_err();
    scene.cancel(waiter);
    assert_eq!(scene.fail(0), None);
}

#[test]
fn canceled_grant_goes_to_the_next_waiter() {
    let mut scene = Scene::new(1, 1);
    let first = scene.request(0).unwrap_err();
    let second = scene.request(0).unwrap_err();
    scene.connect(0);
    assert_eq!(scene.granted[0].0, first);
    scene.cancel(first);
    assert_eq!(scene.granted[0].0, second);
}

#[test]
fn idle_connection_of_another_origin_makes_room_in_all() {
    let mut scene = idle(2, 2, 2);
    let oldest = scene.open()[0];
    let waiter = scene.request(1).unwrap_err();
    assert_eq!(scene.closing, [oldest]);
    assert!(scene.connecting.is_empty(), "the cap is exact");
    scene.close(oldest);
    scene.connect(0);
    assert_eq!(scene.granted[0].0, waiter);
}

#[test]
fn origin_that_has_waited_longest_opens_first() {
    let mut scene = Scene::new(2, 1);
    scene.request(0).unwrap_err();
    let conn = scene.connect(0);
    scene.collect(0);
    let second = scene.request(2).unwrap_err();
    let third = scene.request(1).unwrap_err();
    scene.end(0);
    assert_eq!(scene.closing, [conn], "it makes room as soon as it is idle");
    scene.close(conn);
    let conn = scene.connect(0);
    assert_eq!(scene.granted[0].0, second);
    scene.collect(0);
    scene.end(0);
    scene.close(conn);
    scene.connect(0);
    assert_eq!(scene.granted[0].0, third);
}

#[test]
fn multiplexed_connection_serves_as_many_as_it_has_streams() {
    let mut scene = Scene::new(10, 10);
    for _ in 0..5 {
        scene.request(0).unwrap_err();
    }
    assert_eq!(
        scene.connecting.len(),
        5,
        "nothing is known about the server"
    );
    let first = scene.connect_multiplexed(0);
    scene.set_capacity(first, 3);
    assert_eq!(scene.granted.len(), 3);
    let second = scene.connect_multiplexed(0);
    scene.set_capacity(second, 3);
    assert_eq!(scene.granted.len(), 5);
    scene.request(0).unwrap();
    let surplus = scene.connect_multiplexed(0);
    assert_eq!(scene.granted.len(), 5);
    scene.request(0).unwrap();
    // Now it is known that a new connection takes three requests.
    for _ in 0..3 {
        scene.request(0).unwrap_err();
    }
    assert_eq!(scene.connecting.len(), 2);
    assert!(scene.closing.is_empty());
    assert_ne!(surplus, second);
}

#[test]
fn multiplexed_connection_that_was_opened_in_vain_closes() {
    let mut scene = Scene::new(10, 10);
    scene.request(0).unwrap_err();
    scene.request(0).unwrap_err();
    let first = scene.connect_multiplexed(0);
    scene.set_capacity(first, 100);
    let second = scene.connect_multiplexed(0);
    assert!(scene.closing.is_empty(), "it may be HTTP/1.1");
    scene.set_capacity(second, 100);
    assert_eq!(scene.closing, [second]);
}

#[test]
fn retired_connection_gets_no_request_and_counts_until_it_is_closed() {
    let mut scene = idle(1, 1, 1);
    let conn = scene.open()[0];
    scene.retire(conn);
    scene.request(0).unwrap_err();
    assert!(scene.connecting.is_empty());
    scene.close(conn);
    assert_eq!(scene.connecting.len(), 1);
}

#[test]
fn idle_connections_expire_within_a_tenth_before_their_timeout() {
    let mut scene = idle(1, 1, 1);
    let (conn, since) = (scene.open()[0], scene.now - SECOND);
    let end = scene.expire(conn).unwrap();
    let idle = end - since;
    assert!(idle > SECOND * 9 && idle <= SECOND * 10, "{idle:?}");
    scene.now = end;
    assert_eq!(scene.expire(conn), None);
    assert_eq!(scene.closing, [conn]);
}

#[test]
fn busy_connection_expires_by_its_age_when_its_request_has_ended() {
    let mut scene = idle(1, 1, 1);
    let conn = scene.request(0).unwrap().conn;
    scene.advance(SECOND * 50);
    let next = scene.expire(conn).unwrap() - scene.now;
    assert!(next <= SECOND * 10, "{next:?}");
    scene.advance(SECOND * 60);
    assert_eq!(scene.expire(conn), None);
    assert!(scene.closing.is_empty());
    scene.end(0);
    assert_eq!(scene.closing, [conn]);
}

#[test]
fn after_the_last_client_connections_close_when_nobody_needs_them() {
    let mut scene = idle(2, 2, 2);
    scene.request(0).unwrap();
    scene.machine.shut_down();
    scene.advance(SECOND);
    scene.request(0).unwrap_err();
    scene.end(0);
    assert_eq!(scene.granted.len(), 1);
    scene.collect(0);
    scene.end(0);
    assert_eq!(scene.closing.len(), 2);
}

#[test]
fn idle_connections_of_an_origin_close_for_a_retry() {
    let mut scene = idle(3, 4, 4);
    let active = scene.request(0).unwrap();
    scene.request(1).unwrap_err();
    scene.connect(0);
    scene.collect(0);
    scene.close_idle(0);
    assert_eq!(scene.closing.len(), 2);
    assert!(!scene.closing.contains(&active.conn));
    assert_eq!(scene.machine.counts().idle, 0);
    // The retry gets a new connection, or one that has just been used.
    let retry = scene.request(0).unwrap_err();
    scene.end(0);
    assert_eq!(
        scene.granted[0],
        (
            retry,
            Granted {
                conn: active.conn,
                was_idle: true
            }
        )
    );
}
