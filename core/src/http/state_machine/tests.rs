mod fixture;

use super::*;
use fixture::*;

#[test]
fn each_state_has_its_deadline() {
    Fixture::new(first).expect(0, HEAD, NO_HEAD);
    Fixture::new(begun).expect(0, HEAD, NO_HEAD);
    Fixture::new(closing).expect(0, HEAD, NO_HEAD);
    Fixture::new(head).expect(0, HEAD, NO_HEAD);
    Fixture::new(uploading)
        .seen(|seen| seen.is_uploading = true)
        .expect(0, GAP, KEPT_ALIVE);
    Fixture::new(hibernating).expect(0, KEEP_ALIVE, KEPT_ALIVE);
    // An app has no deadline, so the maximum age is the next one.
    Fixture::new(responding)
        .seen(|seen| seen.is_answering = true)
        .expect(0, HOUR, Action::ReachAge { shut_down: false });
}

#[test]
fn idle_connection_is_checked_then_probed_then_hibernates() {
    Fixture::new(idle(Precision::Fresh))
        .machine(|machine| machine.recently_active = true)
        .expect(0, 1000, Action::PollAgain)
        .is(|fixture| idle(Precision::Exact)(fixture.at(0)))
        .expect(1000, HEAD, Action::Probe)
        .machine(|machine| machine.reattached(false))
        .expect(HEAD, HIBERNATE_AFTER, Action::Hibernate);
    // HTTP/2 connections do not hibernate.
    Fixture::new(idle(Precision::Exact))
        .http2()
        .expect(0, KEEP_ALIVE, KEPT_ALIVE);
    // Nor does a connection that hyper would not return.
    Fixture::new(idle(Precision::Exact))
        .seen(|seen| seen.was_offered_upgrade = true)
        .expect(0, KEEP_ALIVE, KEPT_ALIVE);
}

#[test]
fn connection_with_one_request_hibernates_earlier() {
    Fixture::new(idle(Precision::Exact)).expect(0, HIBERNATE_AFTER / 40, Action::Hibernate);
    let twice = Counts {
        requests: 2,
        ..Counts::default()
    };
    Fixture::new(idle(Precision::Exact))
        .seen(|seen| seen.counts = twice)
        .machine(|machine| machine.counts = twice)
        .expect(0, HEAD, Action::Probe);
    let fixture = Fixture::new(head);
    let resumed =
        |after| Machine::resumed(fixture.at(0), false, ms(HIBERNATE_AFTER), fixture.at(after));
    assert!(
        resumed(HIBERNATE_AFTER - 1).recently_active && !resumed(HIBERNATE_AFTER).recently_active
    );
}

#[test]
fn keep_alive_timeout_ends_a_connection_before_it_hibernates() {
    let mut fixture =
        Fixture::new(idle(Precision::Probed)).machine(|machine| machine.recently_active = true);
    fixture.hibernate_after = Duration::MAX;
    fixture.expect(0, KEEP_ALIVE, Action::Hibernate);
}

#[test]
fn observations_change_the_state() {
    let asked = |fixture: Fixture| {
        fixture
            .seen(receives_request)
            .seen(|seen| seen.is_answering = true)
    };
    // A request begins, is answered, and another one begins to arrive.
    let mut fixture = asked(Fixture::new(head));
    fixture.next(10);
    let mut fixture = fixture
        .is(|_| State::Responding)
        .seen(|seen| seen.is_answering = false);
    fixture.next(20);
    let mut fixture = fixture
        .is(|fixture| idle(Precision::Fresh)(fixture.at(20)))
        .seen(reads);
    fixture.next(30);
    fixture.is(|fixture| head(fixture.at(30)));
    // A request that was answered between two checks.
    let mut fixture = Fixture::new(idle(Precision::Exact)).seen(receives_request);
    fixture.next(10);
    fixture.is(|fixture| idle(Precision::Fresh)(fixture.at(10)));
    // A response that the client does not accept is not finished.
    let mut fixture = Fixture::new(responding).seen(|seen| seen.blocked_at = Some(1));
    fixture.next(10);
    fixture.is(|_| State::Responding);
    // HTTP/2 frames begin no head timeout.
    let mut fixture = Fixture::new(idle(Precision::Exact)).http2().seen(reads);
    fixture.next(10);
    fixture.is(|fixture| idle(Precision::Exact)(fixture.at(0)));
}

#[test]
fn upload_after_its_response_has_the_body_gap_timeout() {
    let mut fixture = Fixture::new(responding).seen(|seen| seen.is_uploading = true);
    fixture.next(10);
    let mut fixture = fixture.is(|fixture| uploading(fixture.at(10)));
    fixture.next(20);
    let mut fixture = fixture.is(|fixture| uploading(fixture.at(10))).seen(reads);
    fixture.next(30);
    let mut fixture = fixture
        .is(|fixture| uploading(fixture.at(30)))
        .expect(30, 30 + GAP, KEPT_ALIVE)
        .seen(|seen| seen.is_uploading = false);
    fixture.next(30 + GAP);
    fixture.is(|fixture| idle(Precision::Fresh)(fixture.at(30 + GAP)));
}

#[test]
fn http_2_bytes_in_flight_keep_a_connection_for_the_write_stall_timeout() {
    let answers = |seen: &mut Seen| seen.counts.responses += 1;
    let mut fixture = Fixture::new(idle(Precision::Exact)).http2().seen(answers);
    fixture.next(STALL - 1);
    let mut fixture = fixture.expect(STALL - 1, STALL - 1 + KEEP_ALIVE, KEPT_ALIVE);
    fixture.machine.shut_down_since = None;
    let mut fixture = fixture.seen(answers);
    let since = fixture.machine.idle_since();
    fixture.next(STALL);
    assert_eq!(fixture.machine.idle_since(), since);
}

#[test]
fn head_timeout_of_a_pipelined_head_runs_from_the_previous_request() {
    Fixture::new(idle(Precision::Exact))
        .machine(|machine| machine.reattached(true))
        .is(|fixture| head(fixture.at(0)))
        .expect(HEAD - 1, HEAD, NO_HEAD);
}

#[test]
fn connection_is_polled_once_more_after_a_request() {
    for precision in [Precision::Exact, Precision::Probed] {
        Fixture::new(idle(precision))
            .seen(|seen| seen.was_idle = false)
            .at_once(HIBERNATE_AFTER, Action::PollAgain);
    }
    Fixture::new(idle(Precision::Exact))
        .draining(0, Stage::Closing)
        .seen(|seen| seen.was_idle = false)
        .at_once(0, Action::PollAgain);
}

#[test]
fn stalled_reader_is_checked_and_then_aborted() {
    let blocked = |seen: &mut Seen| seen.blocked_at = Some(7);
    let fixture = Fixture::new(responding)
        .seen(blocked)
        .expect(0, STALL / 16, Action::PollAgain);
    let mut fixture = fixture.expect(STALL / 16, STALL / 8, Action::PollAgain);
    // Bytes were sent.
    fixture.seen.blocked_at = Some(8);
    assert_eq!(
        fixture.next(STALL - 1),
        Action::Wait(Some(fixture.at(STALL - 1 + STALL / 16)))
    );
    assert_eq!(fixture.next(STALL - 1 + STALL), Action::PollAgain);
    assert_eq!(fixture.next(STALL - 1 + STALL), Action::Abort);
    let mut fixture = Fixture::new(responding).seen(blocked);
    fixture.timeouts = fixture
        .timeouts
        .with_write_stall(Duration::MAX)
        .with_age(Duration::MAX);
    assert_eq!(fixture.next(0), Action::Wait(None));
}

#[test]
fn connection_of_maximum_age_closes_after_a_delay() {
    let last_call = HOUR + 1000;
    // During a response: the response says `Connection: close`, and the connection closes when no
    // request follows.
    let mut fixture = Fixture::new(responding)
        .seen(|seen| seen.is_answering = true)
        .at_once(HOUR, Action::ReachAge { shut_down: false })
        .seen(|seen| seen.is_answering = false);
    fixture.next(HOUR + 5);
    fixture
        .expect(HOUR + 5, HOUR + 1005, Action::PollAgain)
        .at_once(HOUR + 1005, Action::Hibernate);
    // During idleness: a hibernating connection is resumed for the graceful shutdown.
    Fixture::new(idle(Precision::Probed))
        .machine(|machine| {
            machine.state = idle(Precision::Probed)(machine.last_read_at + ms(HOUR - 1))
        })
        .at_once(HOUR, Action::ReachAge { shut_down: false })
        .expect(HOUR, last_call, Action::Hibernate);
    let fixture = Fixture::new(hibernating);
    fixture
        .machine(|machine| machine.state = hibernating(machine.last_read_at + ms(HOUR - 1)))
        .at_once(HOUR, Action::ReachAge { shut_down: false })
        .is(|fixture| hibernating(fixture.at(HOUR)))
        .expect(HOUR, last_call, Action::ShutDown(None));
    // HTTP/2 sends GOAWAY. A client that does not answer has disconnected.
    Fixture::new(idle(Precision::Exact))
        .machine(|machine| {
            machine.state = idle(Precision::Exact)(machine.last_read_at + ms(HOUR - 1))
        })
        .http2()
        .at_once(HOUR, Action::ReachAge { shut_down: true })
        .expect(HOUR, last_call, close(None));
    // A client that answers receives everything before the connection ends.
    Fixture::new(idle(Precision::Exact))
        .http2()
        .machine(|machine| machine.shutdown_requested(machine.last_read_at))
        .seen(reads)
        .expect(10, STALL, close(None));
    // A connection without a first request has no maximum age.
    let mut fixture = Fixture::new(first);
    fixture.timeouts = fixture.timeouts.with_head(Duration::MAX);
    assert_eq!(fixture.next(HOUR), Action::Wait(None));
}

#[test]
fn connection_that_shuts_down_has_no_keep_alive_timeout() {
    Fixture::new(idle(Precision::Exact))
        .seen(|seen| seen.was_offered_upgrade = true)
        .at_once(KEEP_ALIVE, KEPT_ALIVE)
        .expect(KEEP_ALIVE, KEEP_ALIVE + 1000, close(None));
}

#[test]
fn lame_duck_stage_goes_on_serving_and_shuts_http_2_down() {
    for state in [first, begun, hibernating, closing, head] {
        let mut fixture = Fixture::new(state).draining(0, Stage::LameDuck);
        assert!(
            matches!(fixture.next(0), Action::Wait(_)),
            "{:?}",
            fixture.machine
        );
    }
    Fixture::new(idle(Precision::Exact))
        .draining(0, Stage::LameDuck)
        .expect(0, HIBERNATE_AFTER / 40, Action::Hibernate);
    for state in [State::Responding, idle(Precision::Fresh)(Instant::now())] {
        Fixture::new(|_| state)
            .draining(0, Stage::LameDuck)
            .http2()
            .at_once(0, Action::ShutDown(None));
    }
    // The client gets the lame duck stage for its first bytes.
    Fixture::new(idle(Precision::Exact))
        .draining(0, Stage::LameDuck)
        .http2()
        .at_once(0, Action::ShutDown(None))
        .expect(0, LAME_DUCK, close(None));
}

#[test]
fn closing_stage_ends_idle_connections_only() {
    let closing = |state: State| Fixture::new(move |_| state).draining(0, Stage::Closing);
    let now = Instant::now();
    Fixture::new(idle(Precision::Fresh))
        .draining(0, Stage::Closing)
        .at_once(0, Action::Hibernate);
    closing(hibernating(now)).at_once(0, Action::ShutDown(None));
    Fixture::new(idle(Precision::Exact))
        .draining(0, Stage::Closing)
        .seen(|seen| seen.was_offered_upgrade = true)
        .at_once(0, Action::ShutDown(None));
    Fixture::new(responding)
        .draining(0, Stage::Closing)
        .seen(|seen| seen.is_answering = true)
        .expect(0, HOUR, Action::ReachAge { shut_down: false });
}

#[test]
fn drain_limits_how_long_a_client_may_stop_in_a_request() {
    // The limit runs from the drain's begin, or from the last bytes if those came later.
    for state in [begun, head, uploading] {
        for stage in [Stage::LameDuck, Stage::Closing] {
            let mut fixture = Fixture::new(state).draining(100, stage);
            fixture.seen.is_uploading = matches!(fixture.machine.state, State::ReadingBody { .. });
            fixture.expect(100, 100 + SHARE, STALLED);
        }
    }
    Fixture::new(head)
        .draining(0, Stage::Closing)
        .expect(100, SHARE, STALLED);
    // The head timeout passes before the drain's limit.
    Fixture::new(head)
        .draining(HEAD - 1, Stage::Closing)
        .expect(HEAD - 1, HEAD, NO_HEAD);
}

#[test]
fn drain_limits_how_long_a_new_client_may_send_nothing() {
    let mut fixture = Fixture::new(first).draining(0, Stage::Closing);
    fixture.accepted_at = fixture.at(0);
    fixture.expect(0, LAME_DUCK, close(None));
    // A connection that was accepted long ago.
    Fixture::new(first)
        .draining(0, Stage::Closing)
        .at_once(0, close(None));
}

#[test]
fn pause_of_the_process_extends_only_timeouts_of_the_client() {
    let late = |at| at + ms(100);
    for state in [first, begun, closing, head, hibernating] {
        let mut fixture = Fixture::new(state);
        let at = match fixture.machine.state {
            State::Hibernating { .. } => KEEP_ALIVE,
            _ => HEAD,
        };
        assert_eq!(
            fixture.next_late(at + 50, late),
            Action::Wait(Some(fixture.at(at + 100))),
            "{:?}",
            fixture.machine
        );
        assert!(!matches!(
            fixture.next_late(at + 100, late),
            Action::Wait(_)
        ));
    }
    let mut fixture = Fixture::new(idle(Precision::Exact));
    assert_eq!(
        fixture.next_late(HIBERNATE_AFTER / 40, late),
        Action::Hibernate
    );
    let mut fixture = Fixture::new(hibernating)
        .machine(|machine| machine.reached_age_at = Some(machine.last_read_at));
    assert_eq!(fixture.next_late(1050, late), Action::ShutDown(None));
}
