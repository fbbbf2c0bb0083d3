//! The client on every transport and runtime: with this crate's server, and with peers that answer
//! wrongly. One list of cases runs over each transport.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod answers;
mod cases;
mod drops;
mod peer;
mod subject;
mod subjects;

use anyport_testkit::requirements::{Tests, block_on};
use peer::Peer;
use std::process::ExitCode;
use subject::{Client, Subject, with_server};

/// Adds each case over one transport.
macro_rules! add {
    ($tests:ident, $subject:ty; $($module:ident::$case:ident over $peer:expr),+ $(,)?) => {
        $(
            let name = format!("{}::{}", <$subject>::NAME, stringify!($case));
            $tests = $tests.unless(<$subject>::missing(), &name, || {
                block_on(with_server::<$subject, _>($peer, |client: Client<$subject>| $module::$case(client)));
            });
        )+
    };
}

fn over<S: Subject>(mut tests: Tests) -> Tests {
    add!(tests, S;
        cases::messages_of_every_size_are_echoed over Peer::Echo,
        cases::compressed_messages_are_echoed over Peer::Echo,
        cases::first_common_subprotocol_is_selected over Peer::Echo,
        cases::split_halves_work_in_turn over Peer::Echo,
        cases::fed_messages_are_written_together over Peer::Echo,
        cases::close_of_the_client_is_answered over Peer::Echo,
        cases::close_of_the_server_is_received over Peer::Echo,
        cases::too_large_message_is_a_violation over Peer::Echo,
        cases::refusal_has_the_status_and_the_start_of_the_body over Peer::Echo,
        cases::wss_without_tls_is_refused over Peer::Echo,
        drops::handshake_dropped_at_any_poll_leaves_nothing over Peer::Echo,
        drops::web_socket_dropped_at_any_poll_leaves_nothing over Peer::Echo,
    );
    if !S::IS_HTTP2 {
        add!(tests, S;
            answers::wrong_answers_are_errors_of_the_right_kind over Peer::Answers,
            answers::answers_cut_at_any_byte_are_errors over Peer::Answers,
            answers::silent_server_meets_the_deadline over Peer::Answers,
            answers::masked_frame_is_a_violation over Peer::Answers,
            drops::handshake_without_an_answer_dropped_at_any_poll_leaves_nothing over Peer::Answers,
        );
    } else {
        add!(tests, S;
            answers::server_without_extended_connect_is_an_error over Peer::PlainHttp2,
            answers::peer_that_closes_is_an_error over Peer::Answers,
        );
    }
    tests
}

fn main() -> ExitCode {
    let tests = subjects::all(Tests::default());
    #[cfg(target_os = "linux")]
    let tests = subjects::linux(tests);
    tests.run()
}
