//! `reverse_proxy` in front of nginx, of our own server, and of targets that misbehave.
mod bodies;
mod failures;
mod messages;
mod programs;
mod target;
mod upgrades;

use crate::{
    add,
    example::{Example, binary},
};
use anyport_testkit::requirements::{Tests, needs_program};
use std::process::Command;

pub(crate) fn tests(tests: Tests) -> Tests {
    use bodies::*;
    use failures::*;
    use messages::*;
    use programs::*;
    use upgrades::*;
    let tests = add!(
        tests,
        reverse_proxy,
        each_transport_reaches_each_target,
        fields_of_one_connection_do_not_pass,
        requests_cannot_be_smuggled,
        failing_target_is_a_502_and_a_slow_one_a_504,
        wrong_options_are_errors,
        request_ends_when_its_client_leaves,
        cut_bodies_stay_cut,
        bodies_pass_in_constant_memory,
        slow_reader_slows_the_target_down,
        web_sockets_pass_over_both_versions_of_http,
        refused_upgrade_passes,
    );
    let tests = add!(
        tests, reverse_proxy unless needs_program("nginx").or_else(|| needs_program("curl")),
        nginx_answers_as_it_does_directly,
    );
    add!(tests, reverse_proxy unless needs_python(), python_opens_a_web_socket)
}

/// The transports that carry TCP.
const OVER_TCP: &[&str] = &[
    "tcp",
    "tcp-per-core",
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    "monoio",
    #[cfg(all(feature = "glommio", target_os = "linux"))]
    "glommio",
];

/// A running proxy.
struct ProxyUnderTest {
    example: Example,
}

impl ProxyUnderTest {
    /// Over TCP on tokio, with a target.
    fn start(target: &str) -> Self {
        Self::with(target, &[])
    }

    fn on(transport: &str, target: &str) -> Self {
        Self::with(target, &["--transport", transport])
    }

    fn with(target: &str, options: &[&str]) -> Self {
        let mut proxy = Command::new(binary("reverse_proxy"));
        proxy.args(["--listen", "127.0.0.1:0", "--target", target]);
        Self::spawn(proxy.args(options))
    }

    /// Waits until it listens.
    fn spawn(command: &mut Command) -> Self {
        let mut example = Example::spawn(command).unwrap();
        example.endpoint = example.line_after("listening on ");
        Self { example }
    }

    /// Ends it. No test may make it print an error.
    fn end(self) {
        self.example.terminate().assert_success();
    }
}
