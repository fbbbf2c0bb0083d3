//! The behaviour suite over glommio.
#![cfg_attr(not(target_os = "linux"), allow(unused))]

#[cfg(target_os = "linux")]
mod subject {
    use anyport_core::{Endpoint, spawn};
    use anyport_glommio::Glommio;
    use anyport_testkit::Subject;
    use std::{io, pin::Pin};
    use tokio::net::TcpStream;

    pub(super) struct Tcp;

    impl Subject for Tcp {
        const NAME: &str = "glommio";
        type Transport = Glommio;
        type Stream = TcpStream;

        fn transport(&self) -> Glommio {
            Glommio::bind("127.0.0.1:0").with_workers(2)
        }

        async fn connect(&self, endpoint: &Endpoint) -> io::Result<TcpStream> {
            let addr = endpoint.socket_addr().ok_or(io::ErrorKind::InvalidInput)?;
            let stream = TcpStream::connect(addr).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }

        #[expect(clippy::unwrap_used, reason = "it's called on a worker")]
        fn spawn(future: Pin<Box<dyn Future<Output = ()> + Send>>) {
            spawn(future).unwrap();
        }
    }
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    anyport_testkit::Suite::new().with_local(subject::Tcp).run()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
