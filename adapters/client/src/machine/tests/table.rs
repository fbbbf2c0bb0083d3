//! One decision a test.
use super::fixture::Fixture;
use crate::machine::Granted;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A fixture with this many idle connections of origin 0.
fn idle(connections: usize, max_per_origin: usize, max_total: usize) -> Fixture {
    let mut fixture = Fixture::new(max_per_origin, max_total);
    for _ in 0..connections {
        fixture.request(0).unwrap_err();
    }
    for _ in 0..connections {
        fixture.connect(0);
        fixture.collect(0);
    }
    for _ in 0..connections {
        fixture.end(0);
        fixture.advance(SECOND);
    }
    fixture
}

#[test]
fn request_waits_for_its_attempt_and_the_next_one_uses_the_connection_again() {
    let mut fixture = Fixture::new(2, 2);
    let waiter = fixture.request(0).unwrap_err();
    let conn = fixture.connect(0);
    assert_eq!(fixture.granted[0].0, waiter);
    assert!(!fixture.granted[0].1.was_idle);
    fixture.collect(0);
    fixture.end(0);
    let again = fixture.request(0).unwrap();
    assert_eq!(again.conn, conn);
    assert!(again.was_idle);
    assert_eq!(fixture.machine.counts().reused, 1);
}

#[test]
fn connection_that_becomes_free_serves_the_first_waiter_before_its_attempt_does() {
    let mut fixture = idle(1, 2, 2);
    fixture.request(0).unwrap();
    let first = fixture.request(0).unwrap_err();
    let second = fixture.request(0).unwrap_err();
    fixture.end(0);
    assert_eq!(fixture.granted[0].0, first);
    fixture.connect(0);
    assert_eq!(fixture.granted[1].0, second);
}

#[test]
fn last_used_connection_is_used_next() {
    let mut fixture = idle(3, 3, 3);
    let open = fixture.open();
    assert_eq!(fixture.request(0).unwrap().conn, open[2]);
    assert_eq!(fixture.request(0).unwrap().conn, open[1]);
}

#[test]
fn failed_attempt_fails_the_first_waiter_and_the_next_gets_an_attempt() {
    let mut fixture = Fixture::new(1, 1);
    let first = fixture.request(0).unwrap_err();
    let second = fixture.request(0).unwrap_err();
    assert_eq!(fixture.connecting.len(), 1);
    assert_eq!(fixture.fail(0), Some(first));
    assert_eq!(fixture.connecting.len(), 1);
    assert_eq!(fixture.fail(0), Some(second));
    assert!(fixture.connecting.is_empty());
    assert_eq!(
        fixture.machine.origins.len(),
        0,
        "an unused origin is forgotten"
    );
}

#[test]
fn attempt_outlives_its_request_and_fails_nobody() {
    let mut fixture = Fixture::new(2, 2);
    let waiter = fixture.request(0).unwrap_err();
    fixture.cancel(waiter);
    fixture.connect(0);
    assert_eq!(fixture.machine.counts().idle, 1);
    let waiter = fixture.request(1).unwrap_err();
    fixture.cancel(waiter);
    assert_eq!(fixture.fail(0), None);
}

#[test]
fn canceled_grant_goes_to_the_next_waiter() {
    let mut fixture = Fixture::new(1, 1);
    let first = fixture.request(0).unwrap_err();
    let second = fixture.request(0).unwrap_err();
    fixture.connect(0);
    assert_eq!(fixture.granted[0].0, first);
    fixture.cancel(first);
    assert_eq!(fixture.granted[0].0, second);
}

#[test]
fn idle_connection_of_another_origin_makes_room_in_all() {
    let mut fixture = idle(2, 2, 2);
    let oldest = fixture.open()[0];
    let waiter = fixture.request(1).unwrap_err();
    assert_eq!(fixture.closing, [oldest]);
    assert!(fixture.connecting.is_empty(), "the cap is exact");
    fixture.close(oldest);
    fixture.connect(0);
    assert_eq!(fixture.granted[0].0, waiter);
}

#[test]
fn origin_that_has_waited_longest_opens_first() {
    let mut fixture = Fixture::new(2, 1);
    fixture.request(0).unwrap_err();
    let conn = fixture.connect(0);
    fixture.collect(0);
    let second = fixture.request(2).unwrap_err();
    let third = fixture.request(1).unwrap_err();
    fixture.end(0);
    assert_eq!(
        fixture.closing,
        [conn],
        "it makes room as soon as it is idle"
    );
    fixture.close(conn);
    let conn = fixture.connect(0);
    assert_eq!(fixture.granted[0].0, second);
    fixture.collect(0);
    fixture.end(0);
    fixture.close(conn);
    fixture.connect(0);
    assert_eq!(fixture.granted[0].0, third);
}

#[test]
fn multiplexed_connection_serves_as_many_as_it_has_streams() {
    let mut fixture = Fixture::new(10, 10);
    for _ in 0..5 {
        fixture.request(0).unwrap_err();
    }
    assert_eq!(
        fixture.connecting.len(),
        5,
        "nothing is known about the server"
    );
    let first = fixture.connect_multiplexed(0);
    fixture.set_capacity(first, 3);
    assert_eq!(fixture.granted.len(), 3);
    let second = fixture.connect_multiplexed(0);
    fixture.set_capacity(second, 3);
    assert_eq!(fixture.granted.len(), 5);
    fixture.request(0).unwrap();
    let surplus = fixture.connect_multiplexed(0);
    assert_eq!(fixture.granted.len(), 5);
    fixture.request(0).unwrap();
    // Now it is known that a new connection takes three requests.
    for _ in 0..3 {
        fixture.request(0).unwrap_err();
    }
    assert_eq!(fixture.connecting.len(), 2);
    assert!(fixture.closing.is_empty());
    assert_ne!(surplus, second);
}

#[test]
fn multiplexed_connection_that_was_opened_in_vain_closes() {
    let mut fixture = Fixture::new(10, 10);
    fixture.request(0).unwrap_err();
    fixture.request(0).unwrap_err();
    let first = fixture.connect_multiplexed(0);
    fixture.set_capacity(first, 100);
    let second = fixture.connect_multiplexed(0);
    assert!(fixture.closing.is_empty(), "it may be HTTP/1.1");
    fixture.set_capacity(second, 100);
    assert_eq!(fixture.closing, [second]);
}

#[test]
fn retired_connection_gets_no_request_and_counts_until_it_is_closed() {
    let mut fixture = idle(1, 1, 1);
    let conn = fixture.open()[0];
    fixture.retire(conn);
    fixture.request(0).unwrap_err();
    assert!(fixture.connecting.is_empty());
    fixture.close(conn);
    assert_eq!(fixture.connecting.len(), 1);
}

#[test]
fn idle_connections_expire_within_a_tenth_before_their_timeout() {
    let mut fixture = idle(1, 1, 1);
    let (conn, since) = (fixture.open()[0], fixture.now - SECOND);
    let end = fixture.expire(conn).unwrap();
    let idle = end - since;
    assert!(idle > SECOND * 9 && idle <= SECOND * 10, "{idle:?}");
    fixture.now = end;
    assert_eq!(fixture.expire(conn), None);
    assert_eq!(fixture.closing, [conn]);
}

#[test]
fn busy_connection_expires_by_its_age_when_its_request_has_ended() {
    let mut fixture = idle(1, 1, 1);
    let conn = fixture.request(0).unwrap().conn;
    fixture.advance(SECOND * 50);
    let next = fixture.expire(conn).unwrap() - fixture.now;
    assert!(next <= SECOND * 10, "{next:?}");
    fixture.advance(SECOND * 60);
    assert_eq!(fixture.expire(conn), None);
    assert!(fixture.closing.is_empty());
    fixture.end(0);
    assert_eq!(fixture.closing, [conn]);
}

#[test]
fn after_the_last_client_connections_close_when_nobody_needs_them() {
    let mut fixture = idle(2, 2, 2);
    fixture.request(0).unwrap();
    fixture.machine.shut_down();
    fixture.advance(SECOND);
    fixture.request(0).unwrap_err();
    fixture.end(0);
    assert_eq!(fixture.granted.len(), 1);
    fixture.collect(0);
    fixture.end(0);
    assert_eq!(fixture.closing.len(), 2);
}

#[test]
fn idle_connections_of_an_origin_close_for_a_retry() {
    let mut fixture = idle(3, 4, 4);
    let active = fixture.request(0).unwrap();
    fixture.request(1).unwrap_err();
    fixture.connect(0);
    fixture.collect(0);
    fixture.close_idle(0);
    assert_eq!(fixture.closing.len(), 2);
    assert!(!fixture.closing.contains(&active.conn));
    assert_eq!(fixture.machine.counts().idle, 0);
    // The retry gets a new connection, or one that has just been used.
    let retry = fixture.request(0).unwrap_err();
    fixture.end(0);
    assert_eq!(
        fixture.granted[0],
        (
            retry,
            Granted {
                conn: active.conn,
                was_idle: true
            }
        )
    );
}
