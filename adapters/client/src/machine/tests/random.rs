//! Random sequences of inputs. The scene checks its invariants after each.
use super::scene::Scene;
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

fn run(scene: &mut Scene, step: Step) {
    match step {
        Step::Request(origin) => drop(scene.request(origin)),
        Step::Connect(which, is_multiplexed) => {
            if let Some(attempt) = pick(which, scene.connecting.len()) {
                match is_multiplexed {
                    true => scene.connect_multiplexed(attempt),
                    false => scene.connect(attempt),
                };
            }
        }
        Step::Fail(which) => {
            if let Some(attempt) = pick(which, scene.connecting.len()) {
                scene.fail(attempt);
            }
        }
        Step::Collect(which) => {
            if let Some(index) = pick(which, scene.granted.len()) {
                scene.collect(index);
            }
        }
        Step::CancelWaiting(which) => {
            let mut waiters: Vec<_> = scene.queues.values().flatten().copied().collect();
            waiters.extend(&scene.failed);
            waiters.sort_by_key(|waiter| waiter.number);
            if let Some(index) = pick(which, waiters.len()) {
                scene.cancel(waiters[index]);
            }
        }
        Step::CancelGranted(which) => {
            if let Some(index) = pick(which, scene.granted.len()) {
                scene.cancel(scene.granted[index].0);
            }
        }
        Step::End(which) => {
            if let Some(index) = pick(which, scene.in_flight.len()) {
                scene.end(index);
            }
        }
        Step::Close(which) => {
            // Only one whose request is not between its grant and its start.
            let open = scene.open();
            if let Some(index) = pick(which, open.len())
                && scene
                    .granted
                    .iter()
                    .all(|(_, granted)| granted.conn != open[index])
            {
                scene.close(open[index]);
            }
        }
        Step::Closed(which) => {
            if let Some(index) = pick(which, scene.closing.len()) {
                scene.close(scene.closing[index]);
            }
        }
        Step::Retire(which) => {
            if let Some(index) = pick(which, scene.open().len()) {
                scene.retire(scene.open()[index]);
            }
        }
        Step::CloseIdle(origin) => scene.close_idle(origin),
        Step::SetCapacity(which, capacity) => {
            if let Some(index) = pick(which, scene.open().len()) {
                scene.set_capacity(scene.open()[index], capacity);
            }
        }
        Step::Expire(which) => {
            if let Some(index) = pick(which, scene.open().len()) {
                scene.expire(scene.open()[index]);
            }
        }
        Step::Advance(seconds) => scene.advance(Duration::from_secs(seconds)),
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
        let mut scene = Scene::new(caps.0, caps.1);
        for step in steps {
            run(&mut scene, step);
        }
        serve_all(&mut scene);
        close_all(&mut scene);
    }
}

/// From now on, every attempt connects and every request ends: nobody waits for ever.
fn serve_all(scene: &mut Scene) {
    for _ in 0..1000 {
        if scene.machine.counts().waiting == 0 && scene.granted.is_empty() {
            return;
        }
        for step in [
            Step::Connect(0, false),
            Step::Collect(0),
            Step::End(0),
            Step::Closed(0),
        ] {
            run(scene, step);
        }
        // A server with room for no request, or that does not say for how many, serves nobody.
        for conn in scene.open() {
            let state = &scene.machine.conns[conn.index];
            if state.capacity == 0 || state.is_promise {
                scene.set_capacity(conn, 1);
            }
        }
        // A retired connection ends with its requests.
        for conn in scene.conns(|c| c.phase == Phase::Retired && c.in_use == 0) {
            scene.close(conn);
        }
    }
    panic!("requests still wait: {:?}", scene.machine);
}

/// Nothing is left when everything is closed.
fn close_all(scene: &mut Scene) {
    for waiter in scene.failed.clone() {
        scene.cancel(waiter);
    }
    while !scene.in_flight.is_empty() {
        scene.end(0);
    }
    scene.machine.shut_down();
    scene.connecting.clear();
    for conn in scene.conns(|_| true) {
        scene.close(conn);
    }
    let machine = &scene.machine;
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
