//! The behaviour suite over monoio: on io_uring, and on epoll.
#![cfg_attr(not(target_os = "linux"), allow(unused))]

#[cfg(target_os = "linux")]
mod subjects {
    use anyport_core::{Endpoint, spawn};
    use anyport_monoio::{Driver, Monoio};
    use anyport_testkit::Subject;
    use std::{io, pin::Pin};
    use tokio::net::TcpStream;

    pub(super) struct IoUring;
    pub(super) struct Epoll;

    impl Subject for IoUring {
        const NAME: &str = "monoio-io-uring";
        type Transport = Monoio;
        type Stream = TcpStream;

        fn transport(&self) -> Monoio {
            transport(Driver::IoUring)
        }

        async fn connect(&self, endpoint: &Endpoint) -> io::Result<TcpStream> {
            connect(endpoint).await
        }

        fn spawn(future: Pin<Box<dyn Future<Output = ()> + Send>>) {
            background(future);
        }
    }

    impl Subject for Epoll {
        const NAME: &str = "monoio-epoll";
        type Transport = Monoio;
        type Stream = TcpStream;

        fn transport(&self) -> Monoio {
            transport(Driver::Epoll)
        }

        async fn connect(&self, endpoint: &Endpoint) -> io::Result<TcpStream> {
            connect(endpoint).await
        }

        fn spawn(future: Pin<Box<dyn Future<Output = ()> + Send>>) {
            background(future);
        }
    }

    #[expect(clippy::unwrap_used, reason = "it's called on a worker")]
    fn background(future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        spawn(future).unwrap();
    }

    fn transport(driver: Driver) -> Monoio {
        Monoio::bind("127.0.0.1:0").with_driver(driver).with_workers(2)
    }

    async fn connect(endpoint: &Endpoint) -> io::Result<TcpStream> {
        let addr = endpoint.socket_addr().ok_or(io::ErrorKind::InvalidInput)?;
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    anyport_testkit::Suite::new()
        .with_local(subjects::IoUring)
        .with_local(subjects::Epoll)
        .run()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
