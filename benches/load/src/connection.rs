//! One connection: what's still to be sent over it, and how many answers it's owed.

use crate::conversation::Conversation;
use crate::scanner::{Scanner, check_upgrade};
use crate::stream::{Connector, Stream};
use anyhow::Context as _;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsRawFd, RawFd};

#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    scanner: Scanner,
    is_upgraded: bool,
    /// Bytes at the end of what's being sent that the socket had no room for.
    unsent: usize,
    /// Requests whose answer isn't whole yet.
    in_flight: usize,
    answered: u64,
}

/// What came.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Received {
    /// So many whole answers.
    Answers(usize),
    /// The end, after all answers.
    End,
}

impl Connection {
    /// Connects, and says nothing.
    pub(crate) fn connect(
        connector: &Connector,
        conversation: &Conversation,
    ) -> anyhow::Result<Self> {
        Ok(Self::over(connector.connect()?, conversation))
    }

    /// Begins to connect, and waits for nobody.
    pub(crate) fn begin(
        connector: &Connector,
        conversation: &Conversation,
    ) -> anyhow::Result<Self> {
        Ok(Self::over(connector.begin()?, conversation))
    }

    fn over(stream: Stream, conversation: &Conversation) -> Self {
        Self {
            stream,
            scanner: conversation.scanner(),
            is_upgraded: false,
            unsent: 0,
            in_flight: 0,
            answered: 0,
        }
    }

    /// Makes the handshake and the upgrade, where there are such and they haven't been made; while
    /// the stream is a blocking one.
    pub(crate) fn open(&mut self, conversation: &Conversation) -> anyhow::Result<()> {
        self.shake_hands()?;
        match &conversation.upgrade {
            Some(upgrade) if !self.is_upgraded => {
                let upgraded = self.upgrade(upgrade);
                upgraded
                    .map(drop)
                    .context("the server doesn't upgrade to a WebSocket")
            }
            _ => Ok(()),
        }
    }

    /// Makes the handshake, if there's one to be made and it hasn't been; while the stream is a
    /// blocking one.
    pub(crate) fn shake_hands(&mut self) -> anyhow::Result<()> {
        self.stream.shake_hands()
    }

    /// Gives the head that agrees; while the stream is a blocking one.
    pub(crate) fn upgrade(&mut self, request: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.stream
            .write_all(request)
            .context("cannot ask for an upgrade")?;
        let mut head = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let read = self
                .stream
                .read(&mut buffer)
                .context("no answer to the upgrade came")?;
            anyhow::ensure!(
                read > 0,
                "the server closed the connection instead of upgrading it"
            );
            head.extend_from_slice(&buffer[..read]);
            if let Some(length) = check_upgrade(&head)? {
                anyhow::ensure!(
                    length == head.len(),
                    "the server sent a message that nobody asked for"
                );
                self.is_upgraded = true;
                return Ok(head);
            }
        }
    }

    /// One request and its whole answer; while the stream is a blocking one.
    pub(crate) fn ask(&mut self, request: &[u8], buffer: &mut [u8]) -> anyhow::Result<()> {
        self.stream
            .write_all(request)
            .context("cannot send a request")?;
        loop {
            let read = self.stream.read(buffer).context("no response came")?;
            anyhow::ensure!(read > 0, "the server closed it without a whole response");
            if self.scanner.feed(&buffer[..read], 1)? == 1 {
                return Ok(());
            }
        }
    }

    /// What it's all sent over.
    pub(crate) fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    pub(crate) fn set_nonblocking(&self) -> io::Result<()> {
        self.stream.set_nonblocking()
    }

    /// The last `more` of `bytes` are to be sent, too, which ends so many requests; says whether
    /// there was room for them.
    pub(crate) fn send(&mut self, bytes: &[u8], more: usize, requests: usize) -> io::Result<bool> {
        self.unsent += more;
        self.in_flight += requests;
        self.flush(bytes)
    }

    /// Whether there's something to send.
    pub(crate) fn wants_room(&self) -> bool {
        self.unsent > 0 || self.stream.wants_room()
    }

    /// Sends what's still to be sent, which is the end of `bytes`; says whether there was room for
    /// it.
    pub(crate) fn flush(&mut self, bytes: &[u8]) -> io::Result<bool> {
        while self.unsent > 0 {
            match self.stream.write(&bytes[bytes.len() - self.unsent..]) {
                Ok(written) => self.unsent -= written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        if self.stream.wants_room() {
            match self.stream.flush() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                flushed => flushed?,
            }
        }
        Ok(true)
    }

    /// Reads what's there.
    ///
    /// # Errors
    ///
    /// When it's wrong, or when the connection ends before all answers are whole.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> anyhow::Result<Received> {
        self.receive_up_to(usize::MAX, buffer)
    }

    /// The same with a single read: a slow reader leaves the rest.
    pub(crate) fn receive_once(&mut self, buffer: &mut [u8]) -> anyhow::Result<Received> {
        self.receive_up_to(1, buffer)
    }

    fn receive_up_to(&mut self, mut reads: usize, buffer: &mut [u8]) -> anyhow::Result<Received> {
        let mut answers = 0;
        loop {
            let read = match self.stream.read(buffer) {
                Ok(0) if self.in_flight == 0 => return Ok(Received::End),
                Ok(0) => return Err(lost(&ErrorKind::UnexpectedEof.into())),
                Ok(read) => read,
                // A server that ends TLS without saying so.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof && self.in_flight == 0 => {
                    return Ok(Received::End);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(Received::Answers(answers));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(lost(&error)),
            };
            let whole = self.scanner.feed(&buffer[..read], self.in_flight)?;
            self.in_flight -= whole;
            self.answered += whole as u64;
            answers += whole;
            // A short read emptied the socket: what comes later is a new event (epoll(7)). With the
            // last answer, nothing more is to come.
            let short = read < buffer.len() && self.is_drained_by_short_read();
            reads -= 1;
            if short || reads == 0 || self.in_flight == 0 {
                return Ok(Received::Answers(answers));
            }
        }
    }

    /// Whether a read that doesn't fill the buffer took all that was there.
    pub(crate) fn is_drained_by_short_read(&self) -> bool {
        self.stream.is_drained_by_short_read()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many answers there were since it was opened.
    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }
}

/// What became of the connection.
pub(crate) fn lost(error: &io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => anyhow::anyhow!("the server closed it"),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            anyhow::anyhow!("the server reset it")
        }
        _ => anyhow::anyhow!("{error}"),
    }
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}
