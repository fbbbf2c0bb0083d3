//! One whole response, to be looked at: the figures are worth nothing if the servers don't say the
//! same.

use crate::connection::Connection;
use crate::conversation::Conversation;
use crate::{Patience, stream::Connector};
use anyhow::Context as _;
use anyport_bench_child::{Address, Workload};
use std::io::{Read as _, Write as _};

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
    let conversation = Conversation::new(address, workload);
    let mut connection = Connection::connect(&Connector::new(address, patience)?, &conversation)?;
    connection.shake_hands()?;
    if let Some(upgrade) = &conversation.upgrade {
        let head = connection.upgrade(upgrade)?;
        connection.ask(&conversation.request, &mut [0; 4096])?;
        let (head, _) = parse(&head)?.context("an upgrade without a whole head")?;
        let body = workload.response_body();
        return Ok(Answer { body, ..head });
    }
    let stream = connection.stream();
    stream
        .write_all(&conversation.request)
        .context("cannot send a request")?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        patience.check()?;
        let read = stream.read(&mut buffer).context("no response came")?;
        anyhow::ensure!(
            read > 0,
            "the server closed the connection without a whole response"
        );
        bytes.extend_from_slice(&buffer[..read]);
        if let Some((head, start)) = parse(&bytes)? {
            let body = &bytes[start..];
            if body.len() >= length(&head)? {
                let body = body.to_vec();
                return Ok(Answer { body, ..head });
            }
        }
    }
}

fn length(head: &Answer) -> anyhow::Result<usize> {
    head.headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .and_then(|(_, value)| value.parse().ok())
        .context("a response without a content-length")
}

/// The head, and where the body starts. Nothing, if the head isn't whole yet.
fn parse(bytes: &[u8]) -> anyhow::Result<Option<(Answer, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response
        .parse(bytes)
        .context("what came is no HTTP response")?;
    let httparse::Status::Complete(start) = parsed else {
        return Ok(None);
    };
    let mut headers: Vec<(String, String)> = response
        .headers
        .iter()
        .map(|header| {
            (
                header.name.to_ascii_lowercase(),
                String::from_utf8_lossy(header.value).into_owned(),
            )
        })
        .collect();
    headers.sort();
    let answer = Answer {
        status: response.code.unwrap_or_default(),
        headers,
        body: Vec::new(),
    };
    Ok(Some((answer, start)))
}
