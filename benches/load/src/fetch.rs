//! One whole response, for the bench to compare with what it has to be.

use crate::Timeout;
use crate::connection::{Connector, read_response, write};
use crate::run::{runtime, with_timeout};
use anyport_bench_child::{Address, Workload};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A response of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case and values, sorted by name.
    pub headers: Vec<(String, String)>,
    /// All bytes that followed the head, at least as many as `content-length` says.
    pub body: Vec<u8>,
}

/// Sends one request on its own connection.
///
/// # Errors
///
/// When no whole response comes in time.
pub fn fetch(address: &Address, workload: Workload, timeout: &Timeout) -> anyhow::Result<Response> {
    let received = AtomicU64::new(0);
    let reason = || "no response came".to_owned();
    let response = fetch_once(address, workload, &received);
    runtime()?.block_on(with_timeout(
        timeout,
        || received.load(Relaxed),
        reason,
        response,
    ))
}

async fn fetch_once(
    address: &Address,
    workload: Workload,
    received: &AtomicU64,
) -> anyhow::Result<Response> {
    let connector = Connector::new(address, workload)?;
    let mut stream = connector.secure(connector.connect().await?).await?;
    // A server may respond, and close, before it has read the whole request.
    let sent = write(&mut stream, &connector.request).await;
    let response = read_response(&mut stream, received).await;
    response.map_err(|error| sent.err().unwrap_or(error))
}
