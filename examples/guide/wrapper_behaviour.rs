use anyport::{Tcp, transport::Endpoint};
use anyport_testkit::{Subject, Suite};
use own_wrapper::Counted;
use std::{io, process::ExitCode, sync::Arc};
use tokio::net::TcpStream;

struct CountedTcp;

impl Subject for CountedTcp {
    const NAME: &str = "counted";
    type Transport = Counted<Tcp>;
    type Stream = TcpStream;

    fn transport(&self) -> Counted<Tcp> {
        Counted::new(Tcp::bind("127.0.0.1:0"), Arc::default())
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
    Suite::new().with(CountedTcp).run()
}
