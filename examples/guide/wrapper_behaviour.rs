use anyport::{
    Tcp,
    transport::{Endpoint, MapConnection},
};
use anyport_testkit::{Subject, Suite};
use own_wrapper::Counter;
use std::{io, process::ExitCode};
use tokio::net::TcpStream;

struct CountedTcp;

impl Subject for CountedTcp {
    const NAME: &str = "counted";
    type Transport = MapConnection<Tcp, Counter>;
    type Stream = TcpStream;

    fn transport(&self) -> Self::Transport {
        MapConnection::new(Tcp::bind("127.0.0.1:0"), Counter::default())
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<TcpStream> {
        let address = endpoint.socket_addr().ok_or(io::ErrorKind::InvalidInput)?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn reset_on_drop(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_zero_linger()
    }
}

fn main() -> ExitCode {
    let inner = || Tcp::bind("127.0.0.1:0");
    let counted = |inner| MapConnection::new(inner, Counter::default());
    Suite::new().with_wrapper(CountedTcp, inner, counted).run()
}
