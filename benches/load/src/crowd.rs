//! Connections that are only there: what a server pays for them is its memory per connection.

use crate::{Patience, request, scanner::Scanner, socket};
use anyhow::Context as _;
use anyport_bench_child::Address;
use socket2::Socket;
use std::io::{Read as _, Write as _};

/// Open connections that say nothing, unless they're told to ask.
#[derive(Debug)]
pub struct Crowd {
    sockets: Vec<Socket>,
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
        let sockets = (0..connections)
            .map(|index| {
                socket::connect(address, patience)
                    .with_context(|| format!("connection {} of {connections}", index + 1))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            sockets,
            request: request::get(address),
            patience: patience.clone(),
        })
    }

    /// One request on each connection, one after the other.
    ///
    /// # Errors
    ///
    /// When one isn't answered well, or not in time.
    pub fn ask_each(&self) -> anyhow::Result<()> {
        for (index, socket) in self.sockets.iter().enumerate() {
            self.patience.check()?;
            self.ask(socket)
                .with_context(|| format!("connection {} of {}", index + 1, self.sockets.len()))?;
        }
        Ok(())
    }

    fn ask(&self, mut socket: &Socket) -> anyhow::Result<()> {
        socket.write_all(&self.request).context("cannot send a request")?;
        let mut scanner = Scanner::default();
        let mut buffer = [0; 4096];
        loop {
            let read = socket.read(&mut buffer).context("no response came")?;
            anyhow::ensure!(read > 0, "the server closed it without a whole response");
            if scanner.feed(&buffer[..read])? {
                return Ok(());
            }
        }
    }
}
