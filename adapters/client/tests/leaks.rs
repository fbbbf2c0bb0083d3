//! Requests that end in every way leave no descriptor and no task.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

#[allow(dead_code, reason = "this test uses some of it")]
#[path = "it/kit.rs"]
mod kit;
#[allow(dead_code, reason = "this test uses some of it")]
#[path = "it/server.rs"]
mod server;

use anyport_client::ErrorKind;
use anyport_core::runtime::local;
use anyport_testkit::{fixture::descriptors, requirements::Tests};
use futures_util::future::join_all;
use kit::{Kit, get, text};
use server::{OK, Script, Served, read_head};
use std::{process::ExitCode, task::Poll, time::Duration};
use tokio::io::AsyncWriteExt;

/// Responses, broken responses, closed connections, timeouts and dropped requests.
async fn requests<K: Kit>(kit: K, script: &Script, served: &Served) {
    let builder = kit.builder().max_per_origin(10);
    let client = kit.build(builder.head_timeout(Duration::from_millis(20)));
    let ways = ["/ok", "/garbage", "/close", "/silent", "/ok", "/ok"];
    let scripted = (0..60).map(|n| text(&client, get(&script.uri(ways[n % ways.len()]))));
    join_all(scripted).await;
    let secure = (0..20).map(|_| text(&client, get(&served.secure_uri("/"))));
    join_all(secure).await;
    let mut dropped: Vec<_> = (0..20)
        .map(|_| Box::pin(client.send(get(&script.uri("/silent")))))
        .collect();
    for request in &mut dropped {
        // Only a machine that stalls within a poll meets the timeout here.
        if let Poll::Ready(result) = futures_util::poll!(request.as_mut()) {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::HeadTimeout);
        }
    }
}

async fn leave_nothing<K: Kit>(kit: K) {
    let script = Script::start(async |mut stream, _| {
        loop {
            let head = read_head(&mut stream).await?;
            match head.split(' ').nth(1) {
                Some("/ok") => stream.write_all(OK).await?,
                Some("/garbage") => stream.write_all(b"garbage\r\n\r\n").await?,
                Some("/silent") => {}
                _ => return Ok(()),
            }
        }
    });
    let served = Served::https(|server| server);
    // What the process opens once.
    requests(kit, &script, &served).await;
    kit.timer().sleep(Duration::from_millis(500)).await;
    let (before, tasks) = (descriptors(), local::task_count());
    for _ in 0..20 {
        requests(kit, &script, &served).await;
    }
    kit.wait_until("no task is left", || local::task_count() <= tasks)
        .await;
    kit.wait_until("no descriptor is left", || descriptors() <= before)
        .await;
}

mod alone {
    pub(crate) use super::leave_nothing as requests_leave_nothing;
}

/// Descriptors are counted for the whole process, so one test runs at a time.
fn main() -> ExitCode {
    kit::on_every_runtime!(Tests::default(); alone::requests_leave_nothing).run_one_at_a_time()
}
