//! The crate's own tests, in one program: they're linked once, and run beside each other. Those
//! that count what the process has, or change it, are programs of their own beside this folder.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails with a line number"
)]

#[path = "../scene/mod.rs"]
mod scene;
mod stop;
mod stream;
mod turns;
mod unix;

anyport_testkit::tests_unless!(
    scene::missing();
    blocking stop::no_connection_is_lost_when_the_socket_is_closed_on_io_uring,
    blocking stop::no_connection_is_lost_when_the_socket_is_closed_on_epoll,
    blocking stop::no_connection_is_lost_when_the_sockets_of_two_workers_are_closed,
    stop::an_adopted_socket_is_not_shut_for_its_other_owners,
    stop::a_port_is_bound_again_at_once,
    stop::connections_are_closed_in_processes_that_the_app_starts,
    stream::nothing_is_lost_while_a_large_buffer_is_given_back,
    stream::what_was_written_is_sent_although_its_connection_is_gone,
    stream::slices_arrive_in_order_however_many_are_taken_at_once,
    stream::an_error_that_comes_late_is_told_and_stays,
    turns::what_is_left_when_a_worker_ends_is_dropped_on_its_thread,
    turns::a_server_of_both_drivers_and_more_drains_as_one,
    unix::a_client_is_known_and_the_path_is_gone_at_the_end,
    unix::an_adopted_socket_is_not_shut_for_its_other_owners,
    unix::an_abstract_name_is_free_again_at_once,
);
