//! The client on every runtime: each test runs on tokio, on a tokio per core, on monoio and on
//! glommio.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod canceling;
mod factories;
mod faults;
mod http2;
mod kit;
mod pooling;
mod server;
mod timeouts;

use anyport_testkit::requirements::Tests;
use std::process::ExitCode;

fn main() -> ExitCode {
    let tests = Tests::default();
    let tests = kit::on_every_runtime!(
        tests;
        pooling::sequential_requests_use_one_connection,
        pooling::bodies_stream_both_ways,
        pooling::thousand_requests_on_ten_connections_are_served_in_order,
        pooling::request_that_waits_too_long_is_an_error,
        pooling::idle_connections_close,
        pooling::origins_share_the_cap_in_all,
        pooling::keys_separate_connections,
        pooling::last_client_closes_its_connections,
        pooling::request_of_a_dropped_client_is_served,
        pooling::changed_address_takes_effect_at_the_maximum_age,
        http2::alpn_chooses_http2_and_requests_share_a_connection,
        http2::connections_are_added_when_streams_run_out,
        http2::prior_knowledge_needs_no_tls,
        http2::goaway_loses_no_request,
        http2::refused_request_is_sent_again_if_it_may_be,
        http2::request_that_is_always_refused_is_an_error,
        http2::dropped_requests_free_their_streams,
        http2::https_without_http2_speaks_http1,
        http2::untrusted_certificate_is_an_error,
        canceling::request_dropped_at_any_poll_leaves_nothing,
        canceling::request_dropped_after_its_response_frees_its_connection,
        faults::broken_responses_are_errors_of_the_right_kind,
        faults::connection_that_the_server_closed_is_replaced,
        faults::request_without_a_response_is_repeated_once_if_it_may_be,
        faults::connection_close_is_heeded,
        faults::bytes_after_a_response_are_no_response,
        faults::early_response_is_delivered,
        faults::request_body_that_fails_is_an_error,
        faults::silent_server_is_a_timeout,
        faults::refusing_server_is_an_error,
        faults::server_that_restarts_is_reached_again,
        faults::upgraded_connection_counts_until_it_ends,
    );
    timeouts::tests(factories::tests(tests)).run()
}
