//! The crate's own tests, linked into one program, so that they run at the same time. Tests that
//! count or change the resources of the process are programs of their own, beside this folder.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails with a line number"
)]

#[path = "../fixture/mod.rs"]
mod fixture;
mod stop;
mod stream;
mod unix;
mod worker_tasks;

anyport_testkit::tests_unless!(
    fixture::unavailable();
    blocking stop::closing_the_socket_loses_no_connection_on_io_uring,
    blocking stop::closing_the_socket_loses_no_connection_on_epoll,
    blocking stop::closing_the_sockets_of_two_workers_loses_no_connection,
    stop::adopted_socket_stays_open_for_its_other_owners,
    stop::port_is_free_after_shutdown,
    stop::accepted_sockets_are_close_on_exec,
    stream::releasing_a_large_buffer_loses_no_bytes,
    stream::bytes_written_before_drop_are_sent,
    stream::vectored_writes_arrive_in_order,
    stream::deferred_send_error_is_returned_and_persists,
    worker_tasks::pending_tasks_are_dropped_on_their_worker_thread,
    worker_tasks::server_with_both_drivers_drains_as_one,
    unix::peer_credentials_are_known_and_shutdown_removes_the_path,
    unix::adopted_socket_stays_open_for_its_other_owners,
    unix::abstract_name_is_free_after_shutdown,
);
