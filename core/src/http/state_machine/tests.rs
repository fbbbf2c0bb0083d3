mod scene;

use super::*;
use scene::*;

#[test]
fn each_state_has_its_deadline() {
    Scene::new(first).expect(0, HEAD, NO_HEAD);
    Scene::new(begun).expect(0, HEAD, NO_HEAD);
    Scene::new(leaving).expect(0, HEAD, NO_HEAD);
    Scene::new(head).expect(0, HEAD, NO_HEAD);
    Scene::new(uploading)
        .seen(|seen| seen.is_uploading = true)
        .expect(0, GAP, KEPT_ALIVE);
    Scene::new(hibernating).expect(0, KEEP_ALIVE, KEPT_ALIVE);
    // An app has no deadline, so the maximum age is the next one.
    Scene::new(busy)
        .seen(|seen| seen.is_answering = true)
        .expect(0, HOUR, Action::ReachAge { shut_down: false });
}

#[test]
fn idle_connection_is_checked_then_probed_then_hibernates() {
    Scene::new(idle(Precision::Fresh))
        .machine(|machine| machine.recently_active = true)
        .expect(0, 1000, Action::PollAgain)
        .is(|scene| idle(Precision::Exact)(scene.at(0)))
        .expect(1000, HEAD, Action::Probe)
        .machine(|machine| machine.reattached(false))
        .expect(HEAD, SLEEP, Action::Hibernate);
    // HTTP/2 connections do not hibernate.
    Scene::new(idle(Precision::Exact))
        .http2()
        .expect(0, KEEP_ALIVE, KEPT_ALIVE);
    // Nor does a connection that hyper would not return.
    Scene::new(idle(Precision::Exact))
        .seen(|seen| seen.was_offered_upgrade = true)
        .expect(0, KEEP_ALIVE, KEPT_ALIVE);
}

#[test]
fn connection_with_one_request_hibernates_earlier() {
    Scene::new(idle(Precision::Exact)).expect(0, SLEEP / 40, Action::Hibernate);
    let twice = Counts {
        requests: 2,
        ..Counts::default()
    };
    Scene::new(idle(Precision::Exact))
        .seen(|seen| seen.counts = twice)
        .machine(|machine| machine.counts = twice)
        .expect(0, HEAD, Action::Probe);
    let scene = Scene::new(head);
    let resumed = |after| Machine::resumed(scene.at(0), false, ms(SLEEP), scene.at(after));
    assert!(resumed(SLEEP - 1).recently_active && !resumed(SLEEP).recently_active);
}

#[test]
fn keep_alive_timeout_ends_a_connection_before_it_hibernates() {
    let mut scene =
        Scene::new(idle(Precision::Probed)).machine(|machine| machine.recently_active = true);
    scene.hibernate_after = Duration::MAX;
    scene.expect(0, KEEP_ALIVE, Action::Hibernate);
}

#[test]
fn observations_change_the_state() {
    let asked = |scene: Scene| scene.seen(asks).seen(|seen| seen.is_answering = true);
    // A request begins, is answered, and another one begins to arrive.
    let mut scene = asked(Scene::new(head));
    scene.next(10);
    let mut scene = scene
        .is(|_| State::Responding)
        .seen(|seen| seen.is_answering = false);
    scene.next(20);
    let mut scene = scene
        .is(|scene| idle(Precision::Fresh)(scene.at(20)))
        .seen(reads);
    scene.next(30);
    scene.is(|scene| head(scene.at(30)));
    // A request that was answered between two checks.
    let mut scene = Scene::new(idle(Precision::Exact)).seen(asks);
    scene.next(10);
    scene.is(|scene| idle(Precision::Fresh)(scene.at(10)));
    // A response that the client does not accept is not finished.
    let mut scene = Scene::new(busy).seen(|seen| seen.blocked_at = Some(1));
    scene.next(10);
    scene.is(|_| State::Responding);
    // HTTP/2 frames begin no head timeout.
    let mut scene = Scene::new(idle(Precision::Exact)).http2().seen(reads);
    scene.next(10);
    scene.is(|scene| idle(Precision::Exact)(scene.at(0)));
}

#[test]
fn upload_after_its_response_has_the_body_gap_timeout() {
    let mut scene = Scene::new(busy).seen(|seen| seen.is_uploading = true);
    scene.next(10);
    let mut scene = scene.is(|scene| uploading(scene.at(10)));
    scene.next(20);
    let mut scene = scene.is(|scene| uploading(scene.at(10))).seen(reads);
    scene.next(30);
    let mut scene = scene
        .is(|scene| uploading(scene.at(30)))
        .expect(30, 30 + GAP, KEPT_ALIVE)
        .seen(|seen| seen.is_uploading = false);
    scene.next(30 + GAP);
    scene.is(|scene| idle(Precision::Fresh)(scene.at(30 + GAP)));
}

#[test]
fn http_2_bytes_in_flight_keep_a_connection_for_the_write_stall_timeout() {
    let answers = |seen: &mut Seen| seen.counts.responses += 1;
    let mut scene = Scene::new(idle(Precision::Exact)).http2().seen(answers);
    scene.next(STALL - 1);
    let mut scene = scene.expect(STALL - 1, STALL - 1 + KEEP_ALIVE, KEPT_ALIVE);
    scene.machine.shut_down_since = None;
    let mut scene = scene.seen(answers);
    let since = scene.machine.quiet_since();
    scene.next(STALL);
    assert_eq!(scene.machine.quiet_since(), since);
}

#[test]
fn head_timeout_of_a_pipelined_head_runs_from_the_previous_request() {
    Scene::new(idle(Precision::Exact))
        .machine(|machine| machine.reattached(true))
        .is(|scene| head(scene.at(0)))
        .expect(HEAD - 1, HEAD, NO_HEAD);
}

#[test]
fn connection_is_polled_once_more_after_a_request() {
    for precision in [Precision::Exact, Precision::Probed] {
        Scene::new(idle(precision))
            .seen(|seen| seen.was_idle = false)
            .at_once(SLEEP, Action::PollAgain);
    }
    Scene::new(idle(Precision::Exact))
        .draining(0, Stage::Closing)
        .seen(|seen| seen.was_idle = false)
        .at_once(0, Action::PollAgain);
}

#[test]
fn stalled_reader_is_checked_and_then_aborted() {
    let blocked = |seen: &mut Seen| seen.blocked_at = Some(7);
    let scene = Scene::new(busy)
        .seen(blocked)
        .expect(0, STALL / 16, Action::PollAgain);
    let mut scene = scene.expect(STALL / 16, STALL / 8, Action::PollAgain);
    // Bytes were sent.
    scene.seen.blocked_at = Some(8);
    assert_eq!(
        scene.next(STALL - 1),
        Action::Wait(Some(scene.at(STALL - 1 + STALL / 16)))
    );
    assert_eq!(scene.next(STALL - 1 + STALL), Action::PollAgain);
    assert_eq!(scene.next(STALL - 1 + STALL), Action::Abort);
    let mut scene = Scene::new(busy).seen(blocked);
    scene.timeouts = scene
        .timeouts
        .with_write_stall(Duration::MAX)
        .with_age(Duration::MAX);
    assert_eq!(scene.next(0), Action::Wait(None));
}

#[test]
fn connection_of_maximum_age_closes_after_a_delay() {
    let last_call = HOUR + 1000;
    // During a response: the response says `Connection: close`, and the connection closes when no
    // request follows.
    let mut scene = Scene::new(busy)
        .seen(|seen| seen.is_answering = true)
        .at_once(HOUR, Action::ReachAge { shut_down: false })
        .seen(|seen| seen.is_answering = false);
    scene.next(HOUR + 5);
    scene
        .expect(HOUR + 5, HOUR + 1005, Action::PollAgain)
        .at_once(HOUR + 1005, Action::Hibernate);
    // During idleness: a hibernating connection is resumed for the graceful shutdown.
    Scene::new(idle(Precision::Probed))
        .machine(|machine| {
            machine.state = idle(Precision::Probed)(machine.last_read_at + ms(HOUR - 1))
        })
        .at_once(HOUR, Action::ReachAge { shut_down: false })
        .expect(HOUR, last_call, Action::Hibernate);
    let scene = Scene::new(hibernating);
    scene
        .machine(|machine| machine.state = hibernating(machine.last_read_at + ms(HOUR - 1)))
        .at_once(HOUR, Action::ReachAge { shut_down: false })
        .is(|scene| hibernating(scene.at(HOUR)))
        .expect(HOUR, last_call, Action::ShutDown(None));
    // HTTP/2 sends GOAWAY. A client that does not answer has disconnected.
    Scene::new(idle(Precision::Exact))
        .machine(|machine| {
            machine.state = idle(Precision::Exact)(machine.last_read_at + ms(HOUR - 1))
        })
        .http2()
        .at_once(HOUR, Action::ReachAge { shut_down: true })
        .expect(HOUR, last_call, close(None));
    // A client that answers receives everything before the connection ends.
    Scene::new(idle(Precision::Exact))
        .http2()
        .machine(|machine| machine.shutdown_requested(machine.last_read_at))
        .seen(reads)
        .expect(10, STALL, close(None));
    // A connection without a first request has no maximum age.
    let mut scene = Scene::new(first);
    scene.timeouts = scene.timeouts.with_head(Duration::MAX);
    assert_eq!(scene.next(HOUR), Action::Wait(None));
}

#[test]
fn connection_that_shuts_down_has_no_keep_alive_timeout() {
    Scene::new(idle(Precision::Exact))
        .seen(|seen| seen.was_offered_upgrade = true)
        .at_once(KEEP_ALIVE, KEPT_ALIVE)
        .expect(KEEP_ALIVE, KEEP_ALIVE + 1000, close(None));
}

#[test]
fn lame_duck_stage_goes_on_serving_and_shuts_http_2_down() {
    for state in [first, begun, hibernating, leaving, head] {
        let mut scene = Scene::new(state).draining(0, Stage::LameDuck);
        assert!(
            matches!(scene.next(0), Action::Wait(_)),
            "{:?}",
            scene.machine
        );
    }
    Scene::new(idle(Precision::Exact))
        .draining(0, Stage::LameDuck)
        .expect(0, SLEEP / 40, Action::Hibernate);
    for state in [State::Responding, idle(Precision::Fresh)(Instant::now())] {
        Scene::new(|_| state)
            .draining(0, Stage::LameDuck)
            .http2()
            .at_once(0, Action::ShutDown(None));
    }
    // The client gets the lame duck stage for its first bytes.
    Scene::new(idle(Precision::Exact))
        .draining(0, Stage::LameDuck)
        .http2()
        .at_once(0, Action::ShutDown(None))
        .expect(0, LAME_DUCK, close(None));
}

#[test]
fn closing_stage_ends_idle_connections_only() {
    let closing = |state: State| Scene::new(move |_| state).draining(0, Stage::Closing);
    let now = Instant::now();
    Scene::new(idle(Precision::Fresh))
        .draining(0, Stage::Closing)
        .at_once(0, Action::Hibernate);
    closing(hibernating(now)).at_once(0, Action::ShutDown(None));
    Scene::new(idle(Precision::Exact))
        .draining(0, Stage::Closing)
        .seen(|seen| seen.was_offered_upgrade = true)
        .at_once(0, Action::ShutDown(None));
    Scene::new(busy)
        .draining(0, Stage::Closing)
        .seen(|seen| seen.is_answering = true)
        .expect(0, HOUR, Action::ReachAge { shut_down: false });
}

#[test]
fn drain_limits_how_long_a_client_may_stop_in_a_request() {
    // The limit runs from the drain's begin, or from the last bytes if those came later.
    for state in [begun, head, uploading] {
        for stage in [Stage::LameDuck, Stage::Closing] {
            let mut scene = Scene::new(state).draining(100, stage);
            scene.seen.is_uploading = matches!(scene.machine.state, State::ReadingBody { .. });
            scene.expect(100, 100 + SHARE, STALLED);
        }
    }
    Scene::new(head)
        .draining(0, Stage::Closing)
        .expect(100, SHARE, STALLED);
    // The head timeout passes before the drain's limit.
    Scene::new(head)
        .draining(HEAD - 1, Stage::Closing)
        .expect(HEAD - 1, HEAD, NO_HEAD);
}

#[test]
fn drain_limits_how_long_a_new_client_may_send_nothing() {
    let mut scene = Scene::new(first).draining(0, Stage::Closing);
    scene.accepted_at = scene.at(0);
    scene.expect(0, LAME_DUCK, close(None));
    // A connection that was accepted long ago.
    Scene::new(first)
        .draining(0, Stage::Closing)
        .at_once(0, close(None));
}

#[test]
fn pause_of_the_process_extends_only_timeouts_of_the_client() {
    let late = |at| at + ms(100);
    for state in [first, begun, leaving, head, hibernating] {
        let mut scene = Scene::new(state);
        let at = match scene.machine.state {
            State::Hibernating { .. } => KEEP_ALIVE,
            _ => HEAD,
        };
        assert_eq!(
            scene.next_late(at + 50, late),
            Action::Wait(Some(scene.at(at + 100))),
            "{:?}",
            scene.machine
        );
        assert!(!matches!(scene.next_late(at + 100, late), Action::Wait(_)));
    }
    let mut scene = Scene::new(idle(Precision::Exact));
    assert_eq!(scene.next_late(SLEEP / 40, late), Action::Hibernate);
    let mut scene =
        Scene::new(hibernating).machine(|machine| machine.old = Some(machine.last_read_at));
    assert_eq!(scene.next_late(1050, late), Action::ShutDown(None));
}
