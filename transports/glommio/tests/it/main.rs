//! The crate's own tests, linked into one program, so that they run at the same time. Tests that
//! count or change the resources of the process are programs of their own, beside this folder.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails with a line number"
)]

#[path = "../fixture/mod.rs"]
mod fixture;
mod stream;
mod unix;
mod worker_tasks;

anyport_testkit::tests_unless!(
    fixture::unavailable();
    stream::abandoned_pending_read_loses_no_bytes,
    stream::bytes_written_before_drop_are_sent,
    stream::vectored_writes_arrive_in_order,
    stream::pending_write_always_wakes_its_task,
    stream::poll_readable_is_ready_only_with_data_or_eof,
    stream::write_half_stays_open_after_peer_fin,
    stream::peer_reset_error_is_returned_and_persists,
    worker_tasks::wake_from_another_thread_is_not_lost,
    worker_tasks::pending_tasks_are_dropped_on_their_worker_thread,
    worker_tasks::server_with_two_transports_drains_as_one,
    worker_tasks::thirty_two_workers_fit_into_the_default_memlock_limit,
    worker_tasks::timers_fire_in_order,
    unix::peer_credentials_are_known_and_shutdown_removes_the_path,
    unix::aborted_server_refuses_new_connections,
    unix::address_is_free_after_shutdown,
    unix::abstract_name_accepts_connections,
    unix::adopted_socket_stays_open_for_its_other_owners,
);
