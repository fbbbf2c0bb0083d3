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

/// Sends one request on its own connection. Of a WebSocket, the response is that to the upgrade,
/// and its body is the text that was echoed.
///
/// # Errors
///
/// When no whole response comes in time, or a WebSocket echoes another text.
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
    if workload.is_websocket() {
        let mut connection = connector.open(connector.connect().await?).await?;
        connection.exchange(&connector.request).await?;
    }
    let mut stream = connector.secure(connector.connect().await?).await?;
    let request = connector.upgrade.as_ref().unwrap_or(&connector.request);
    // A server may respond, and close, before it has read the whole request.
    let sent = write(&mut stream, request).await;
    let mut response = match read_response(&mut stream, received).await {
        Ok(response) => response,
        Err(error) => return Err(sent.err().unwrap_or(error)),
    };
    if workload.is_websocket() {
        response.body = workload.response_body();
    }
    Ok(response)
}
