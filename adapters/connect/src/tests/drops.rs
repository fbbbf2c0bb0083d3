//! The future is dropped at every poll.
use super::{
    fixture::{example, scripted},
    network::{
        Fate::{Connects, Fails, SilentHandshake},
        Network, a, aaaa,
    },
};
use std::io::ErrorKind;

#[test]
fn dropped_at_any_poll_it_leaves_no_socket_and_no_timer() {
    let answers = || {
        vec![
            (10, a("192.0.2.1 192.0.2.2 192.0.2.3")),
            (100, aaaa("2001:db8::1 2001:db8::2")),
        ]
    };
    let mut polls = 0;
    loop {
        let network = Network::new(&[
            ("192.0.2.1", Fails(700, ErrorKind::ConnectionRefused)),
            ("192.0.2.2", SilentHandshake(2_000)),
        ]);
        let future = example(&scripted(&network, answers));
        let ended = network.clock.run_polls(future, polls).is_some();
        assert_eq!(network.open_sockets(), 0, "after {polls} polls");
        assert_eq!(network.clock.pending_sleeps(), 0, "after {polls} polls");
        if ended {
            break;
        }
        polls += 1;
    }
    assert!(polls > 8, "{polls} polls to the deadline of the handshake");
}

#[test]
fn connect_that_is_never_polled_does_nothing() {
    let network = Network::new(&[("192.0.2.1", Connects(0))]);
    let future = example(&scripted(&network, || panic!("a lookup")));
    drop(future);
    assert!(network.log().is_empty());
}
