//! One whole response, to be looked at: the figures are worth nothing if the servers don't say the
//! same.

use crate::connection::Client;
use crate::run::{runtime, watched};
use crate::scanner::parse;
use crate::{Patience, tls};
use anyhow::Context as _;
use anyport_bench_child::{Address, Workload};
use std::cell::Cell;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case and values, in the order of their names.
    pub headers: Vec<(String, String)>,
    /// What came after the head, at least as many bytes as `content-length` says.
    pub body: Vec<u8>,
}

/// Asks once, on a connection of its own. What a WebSocket answers is the head of the upgrade, and
/// as its body the text of the message that came back, which is compared with the expected one:
/// another is an error.
///
/// # Errors
///
/// When there's no whole response in time.
pub fn ask(address: &Address, workload: Workload, patience: &Patience) -> anyhow::Result<Answer> {
    let came = Cell::new(0);
    let silent = || "no response came".to_owned();
    let asking = ask_once(address, workload, &came);
    runtime()?.block_on(watched(patience, || came.get(), silent, asking))
}

async fn ask_once(
    address: &Address,
    workload: Workload,
    came: &Cell<u64>,
) -> anyhow::Result<Answer> {
    let client = Client::new(address, workload)?;
    let stream = client.connect().await?;
    if workload.is_websocket() {
        let mut connection = client.open(stream).await?;
        connection.exchange(&client.request).await?;
        let head = connection.upgraded.take();
        let head = head.context("an upgrade without a head")?;
        let (status, headers) = (head.status, head.headers);
        let body = workload.response_body();
        return Ok(Answer {
            status,
            headers,
            body,
        });
    }
    let mut stream = match &client.tls {
        Some(config) => Box::new(tls::shake_hands(config, stream).await?),
        None => stream,
    };
    let mut bytes = Vec::new();
    let sent = async {
        stream.write_all(&client.request).await?;
        stream.flush().await
    };
    // Who answers before it has all may be worth listening to.
    let sent = sent.await.context("cannot send a request");
    loop {
        let read = stream.read_buf(&mut bytes).await;
        let read = read.context("no response came")?;
        if read == 0 {
            sent?;
            anyhow::bail!("the server closed the connection without a whole response");
        }
        came.set(came.get() + read as u64);
        if let Some((mut head, start)) = parse(&bytes)? {
            let length = head
                .length
                .context("a response without a content-length")??;
            if bytes.len() >= start + length {
                head.headers.sort();
                return Ok(Answer {
                    status: head.status,
                    headers: head.headers,
                    body: bytes.split_off(start),
                });
            }
        }
    }
}
