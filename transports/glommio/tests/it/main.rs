//! The crate's own tests, in one program: they're linked once, and run beside each other. Those
//! that count what the process has, or change it, are programs of their own beside this folder.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails with a line number"
)]

#[path = "../scene/mod.rs"]
mod scene;
mod stream;
mod turns;
mod unix;

anyport_testkit::tests_unless!(
    scene::missing();
    stream::nothing_is_lost_when_a_pending_read_is_left,
    stream::what_was_written_is_sent_although_its_connection_is_gone,
    stream::slices_arrive_in_order_however_many_are_taken_at_once,
    stream::a_write_that_was_pending_is_followed_by_a_wake,
    stream::a_stream_is_readable_when_there_is_something_to_be_read,
    stream::a_half_that_ended_leaves_the_other_one_open,
    stream::the_error_of_a_peer_that_left_is_told_and_stays,
    turns::no_wake_from_another_thread_is_lost,
    turns::what_is_left_when_a_worker_ends_is_dropped_on_its_thread,
    turns::a_server_of_several_transports_drains_as_one,
    turns::thirty_two_workers_have_room,
    turns::timers_go_off_in_their_order,
    unix::it_knows_who_connected_and_leaves_no_file,
    unix::a_server_that_is_aborted_lets_nobody_in,
    unix::an_address_is_free_as_soon_as_its_server_has_ended,
    unix::a_name_in_the_abstract_namespace_is_served,
    unix::an_adopted_socket_stays_open_for_its_other_owners,
);
