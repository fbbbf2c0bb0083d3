//! One whole response, to be looked at: the figures are worth nothing if the servers don't say the same.

use crate::{Patience, request, stream::Connector};
use anyhow::Context as _;
use anyport_bench_child::Address;
use std::io::{Read as _, Write as _};

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case and values, in the order of their names.
    pub headers: Vec<(String, String)>,
    /// As many bytes as `content-length` says.
    pub body: Vec<u8>,
}

/// Asks once, on a connection of its own.
///
/// # Errors
///
/// When there's no whole response in time.
pub fn ask(address: &Address, patience: &Patience) -> anyhow::Result<Answer> {
    let mut stream = Connector::new(address, patience)?.connect()?;
    stream.shake_hands()?;
    stream
        .write_all(&request::get(address))
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
        if let Some(answer) = parse(&bytes)? {
            return Ok(answer);
        }
    }
}

fn parse(bytes: &[u8]) -> anyhow::Result<Option<Answer>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(bytes).context("what came is no HTTP response")?;
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
    let length: usize = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .and_then(|(_, value)| value.parse().ok())
        .context("a response without a content-length")?;
    let body = &bytes[start..];
    Ok((body.len() >= length).then(|| Answer {
        status: response.code.unwrap_or_default(),
        headers,
        body: body.to_vec(),
    }))
}
