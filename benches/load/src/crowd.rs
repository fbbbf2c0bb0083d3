//! Connections that are only there: what a server pays for them is its memory per connection.

use crate::{Patience, request, scanner::Scanner, stream::Connector, stream::Stream};
use anyhow::Context as _;
use anyport_bench_child::Address;
use std::io::{Read as _, Write as _};

/// Open connections that say nothing, unless they're told to ask.
#[derive(Debug)]
pub struct Crowd {
    streams: Vec<Stream>,
    request: Vec<u8>,
    patience: Patience,
}

impl Crowd {
    /// Opens all connections, and sends nothing.
    ///
    /// # Errors
    ///
    /// When one can't be opened in time.
    pub fn connect(address: &Address, connections: usize, patience: &Patience) -> anyhow::Result<Self> {
        let connector = Connector::new(address, patience)?;
        let streams = (0..connections)
            .map(|index| {
                connector
                    .connect()
                    .with_context(|| format!("connection {} of {connections}", index + 1))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            streams,
            request: request::get(address),
            patience: patience.clone(),
        })
    }

    /// The TLS handshake of each connection, one after the other.
    ///
    /// # Errors
    ///
    /// When one fails, or takes too long.
    pub fn shake_hands_each(&mut self) -> anyhow::Result<()> {
        self.each(Stream::shake_hands)
    }

    /// One request on each connection, one after the other; with TLS, after its handshake.
    ///
    /// # Errors
    ///
    /// When one isn't answered well, or not in time.
    pub fn ask_each(&mut self) -> anyhow::Result<()> {
        let request = std::mem::take(&mut self.request);
        let asked = self.each(|stream| ask(stream, &request));
        self.request = request;
        asked
    }

    fn each(&mut self, exchange: impl Fn(&mut Stream) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let connections = self.streams.len();
        for (index, stream) in self.streams.iter_mut().enumerate() {
            self.patience.check()?;
            exchange(stream).with_context(|| format!("connection {} of {connections}", index + 1))?;
        }
        Ok(())
    }
}

fn ask(stream: &mut Stream, request: &[u8]) -> anyhow::Result<()> {
    stream.shake_hands()?;
    stream.write_all(request).context("cannot send a request")?;
    let mut scanner = Scanner::default();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).context("no response came")?;
        anyhow::ensure!(read > 0, "the server closed it without a whole response");
        if scanner.feed(&buffer[..read])? {
            return Ok(());
        }
    }
}
