//! Random sequences of inputs. The fixture checks its invariants after each.
use super::fixture::Fixture;
use crate::machine::Phase;
use proptest::{collection, prelude::*};
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
enum Step {
    Request(usize),
    Connect(usize, bool),
    Fail(usize),
    Collect(usize),
    CancelWaiting(usize),
    CancelGranted(usize),
    End(usize),
    /// The server closes a connection, in use or not.
    Close(usize),
    /// A connection that was told to close has closed.
    Closed(usize),
    Retire(usize),
    CloseIdle(usize),
    SetCapacity(usize, usize),
    Expire(usize),
    Advance(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0_usize..1000;
    prop_oneof![
        8 => (0_usize..4).prop_map(Step::Request),
        4 => (which.clone(), any::<bool>()).prop_map(|(which, is_multiplexed)| Step::Connect(which, is_multiplexed)),
        1 => which.clone().prop_map(Step::Fail),
        4 => which.clone().prop_map(Step::Collect),
        1 => which.clone().prop_map(Step::CancelWaiting),
        1 => which.clone().prop_map(Step::CancelGranted),
        4 => which.clone().prop_map(Step::End),
        1 => which.clone().prop_map(Step::Close),
        2 => which.clone().prop_map(Step::Closed),
        1 => which.clone().prop_map(Step::Retire),
        1 => (0_usize..4).prop_map(Step::CloseIdle),
        1 => (which.clone(), 0_usize..5).prop_map(|(which, capacity)| Step::SetCapacity(which, capacity)),
        1 => which.prop_map(Step::Expire),
        1 => (1_u64..20).prop_map(Step::Advance),
    ]
}

/// The item that a random number chooses.
fn pick(which: usize, count: usize) -> Option<usize> {
    (count > 0).then(|| which % count)
}

fn run(fixture: &mut Fixture, step: Step) {
    match step {
        Step::Request(origin) => drop(fixture.request(origin)),
        Step::Connect(which, is_multiplexed) => {
            if let Some(attempt) = pick(which, fixture.connecting.len()) {
                match is_multiplexed {
                    true => fixture.connect_multiplexed(attempt),
                    false => fixture.connect(attempt),
                };
            }
        }
        Step::Fail(which) => {
            if let Some(attempt) = pick(which, fixture.connecting.len()) {
                fixture.fail(attempt);
            }
        }
        Step::Collect(which) => {
            if let Some(index) = pick(which, fixture.granted.len()) {
                fixture.collect(index);
            }
        }
        Step::CancelWaiting(which) => {
            let mut waiters: Vec<_> = fixture.queues.values().flatten().copied().collect();
            waiters.extend(&fixture.failed);
            waiters.sort_by_key(|waiter| waiter.number);
            if let Some(index) = pick(which, waiters.len()) {
                fixture.cancel(waiters[index]);
            }
        }
        Step::CancelGranted(which) => {
            if let Some(index) = pick(which, fixture.granted.len()) {
                fixture.cancel(fixture.granted[index].0);
            }
        }
        Step::End(which) => {
            if let Some(index) = pick(which, fixture.in_flight.len()) {
                fixture.end(index);
            }
        }
        Step::Close(which) => {
            // Only one whose request is not between its grant and its start.
            let open = fixture.open();
            if let Some(index) = pick(which, open.len())
                && fixture
                    .granted
                    .iter()
                    .all(|(_, granted)| granted.conn != open[index])
            {
                fixture.close(open[index]);
            }
        }
        Step::Closed(which) => {
            if let Some(index) = pick(which, fixture.closing.len()) {
                fixture.close(fixture.closing[index]);
            }
        }
        Step::Retire(which) => {
            if let Some(index) = pick(which, fixture.open().len()) {
                fixture.retire(fixture.open()[index]);
            }
        }
        Step::CloseIdle(origin) => fixture.close_idle(origin),
        Step::SetCapacity(which, capacity) => {
            if let Some(index) = pick(which, fixture.open().len()) {
                fixture.set_capacity(fixture.open()[index], capacity);
            }
        }
        Step::Expire(which) => {
            if let Some(index) = pick(which, fixture.open().len()) {
                fixture.expire(fixture.open()[index]);
            }
        }
        Step::Advance(seconds) => fixture.advance(Duration::from_secs(seconds)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn invariants_hold_and_every_request_is_served(
        caps in (1_usize..4, 1_usize..6),
        steps in collection::vec(step(), 1..120),
    ) {
        let mut fixture = Fixture::new(caps.0, caps.1);
        for step in steps {
            run(&mut fixture, step);
        }
        serve_all(&mut fixture);
        close_all(&mut fixture);
    }
}

/// From now on, every attempt connects and every request ends: nobody waits for ever.
fn serve_all(fixture: &mut Fixture) {
    for _ in 0..1000 {
        if fixture.machine.counts().waiting == 0 && fixture.granted.is_empty() {
            return;
        }
        for step in [
            Step::Connect(0, false),
            Step::Collect(0),
            Step::End(0),
            Step::Closed(0),
        ] {
            run(fixture, step);
        }
        // A server with room for no request, or that does not say for how many, serves nobody.
        for conn in fixture.open() {
            let state = &fixture.machine.conns[conn.index];
            if state.capacity == 0 || state.is_promise {
                fixture.set_capacity(conn, 1);
            }
        }
        // A retired connection ends with its requests.
        for conn in fixture.conns(|c| c.phase == Phase::Retired && c.in_use == 0) {
            fixture.close(conn);
        }
    }
    panic!("requests still wait: {:?}", fixture.machine);
}

/// Nothing is left when everything is closed.
fn close_all(fixture: &mut Fixture) {
    for waiter in fixture.failed.clone() {
        fixture.cancel(waiter);
    }
    while !fixture.in_flight.is_empty() {
        fixture.end(0);
    }
    fixture.machine.shut_down();
    fixture.connecting.clear();
    for conn in fixture.conns(|_| true) {
        fixture.close(conn);
    }
    let machine = &fixture.machine;
    assert!(
        machine.conns.is_empty() && machine.origins.is_empty(),
        "{machine:?}"
    );
    assert!(
        machine.waiters.is_empty() && machine.blocked.is_empty(),
        "{machine:?}"
    );
    assert_eq!(machine.closing, 0);
}
