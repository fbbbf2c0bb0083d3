//! The client: it starts a server as a process of its own and opens WebSockets to it.
use crate::server::{CERTIFICATE, DRAIN, KEY};
use anyhow::{Context as _, Result};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Duration,
};

const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

pub(crate) trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// A server in a process of its own.
pub(crate) struct Served {
    child: Child,
    output: BufReader<ChildStdout>,
    addr: String,
    /// The client's configuration, for a server over TLS.
    client: Option<Arc<ClientConfig>>,
}

impl Served {
    /// Starts a server under the command `under`, if there is one.
    pub(crate) fn start(under: &[&str], transport: &str, library: &str) -> Result<Self> {
        let this = env::current_exe()?.display().to_string();
        let all: Vec<&str> = under
            .iter()
            .copied()
            .chain([&*this, "serve", transport, library])
            .collect();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([NAME.to_owned()])?;
        let client = match transport {
            "tls" => Some(client_config(cert.der())?),
            _ => None,
        };
        let mut child = Command::new(all[0])
            .args(&all[1..])
            .env(CERTIFICATE, cert.pem())
            .env(KEY, signing_key.serialize_pem())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(child.stdout.take().context("no output")?);
        let mut addr = String::new();
        output.read_line(&mut addr)?;
        Ok(Self {
            child,
            output,
            addr: addr.trim().to_owned(),
            client,
        })
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Opens a WebSocket.
    pub(crate) fn open(&self) -> Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(&self.addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut stream: Box<dyn Stream> = match &self.client {
            Some(client) => Box::new(StreamOwned::new(session(client)?, stream)),
            None => Box::new(stream),
        };
        stream.write_all(REQUEST)?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        Ok(stream)
    }

    /// Starts the graceful shutdown of the server.
    pub(crate) fn drain(&mut self) -> Result<()> {
        let input = self.child.stdin.as_mut().context("no input")?;
        Ok(writeln!(input, "{DRAIN}")?)
    }

    /// The report of a server that drains, once its shutdown has ended.
    pub(crate) fn report(&mut self) -> Result<String> {
        let mut report = String::new();
        self.output.read_line(&mut report)?;
        Ok(report)
    }

    /// Ends the server and returns its standard error.
    pub(crate) fn end(mut self) -> Result<String> {
        drop(self.child.stdin.take());
        let mut errors = String::new();
        self.child
            .stderr
            .take()
            .context("no errors")?
            .read_to_string(&mut errors)?;
        self.child.wait()?;
        Ok(errors)
    }
}

/// The name in the certificates.
pub(crate) const NAME: &str = "localhost";

pub(crate) fn client_config(certificate: &CertificateDer<'static>) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

pub(crate) fn session(client: &Arc<ClientConfig>) -> Result<ClientConnection> {
    let name = ServerName::try_from(NAME)?;
    Ok(ClientConnection::new(Arc::clone(client), name)?)
}

/// Reads the echo of [`message`].
pub(crate) fn read_echo(stream: &mut dyn Stream) -> Result<()> {
    let mut echoed = [0; 18];
    stream.read_exact(&mut echoed)?;
    Ok(())
}

/// A binary message of 16 bytes, masked with zeros.
pub(crate) fn message() -> [u8; 22] {
    let mut message = [b'x'; 22];
    message[..6].copy_from_slice(&[0x82, 0x90, 0, 0, 0, 0]);
    message
}
