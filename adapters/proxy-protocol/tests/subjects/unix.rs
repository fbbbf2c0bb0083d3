//! PROXY protocol over Unix sockets, from a proxy of this process's user.
use super::{BINARY, begin, begin_if_open};
use anyport_core::transport::{Endpoint, UnixName};
use anyport_proxy_protocol::{Policy, ProxyProtocol, ProxyProtocolExt, Trusted};
use anyport_testkit::{Capabilities, Capability, Subject};
use anyport_unix::Unix;
use std::io;
use tempfile::TempDir;
use tokio::net::UnixStream;

pub(crate) struct OverUnix(TempDir);

impl Default for OverUnix {
    fn default() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl OverUnix {
    async fn open(&self, endpoint: &Endpoint) -> io::Result<UnixStream> {
        match endpoint {
            Endpoint::Unix(UnixName::Path(path)) => UnixStream::connect(path).await,
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

impl Subject for OverUnix {
    const NAME: &str = "proxy-unix";
    type Transport = ProxyProtocol<Unix>;
    type Stream = UnixStream;

    fn transport(&self) -> Self::Transport {
        let folder = tempfile::tempdir_in(&self.0).unwrap().keep();
        let user = rustix::process::geteuid().as_raw();
        let trusted = Trusted::default().with_unix_users([user]);
        Unix::bind(folder.join("s")).proxy_protocol(Policy::required_from(trusted))
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        begin(self.open(endpoint).await?, BINARY).await
    }

    async fn connect_lazily(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        Ok(begin_if_open(self.open(endpoint).await?, BINARY).await)
    }

    fn capabilities(&self) -> Capabilities {
        // A Unix socket has no reset.
        Capabilities::all()
            .without(Capability::PortZero)
            .without(Capability::Reset)
    }
}
