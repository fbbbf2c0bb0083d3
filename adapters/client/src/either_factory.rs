//! A factory that is one of two, such as a Unix socket or a name.
use crate::{EitherConnection, MakeConnection, Origin};
use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

/// A factory that is one of two, chosen at run time.
///
/// ```
/// use anyport_client::{Client, EitherFactory, Fixed, Names};
/// use anyport_connect::HappyEyeballs;
/// use anyport_core::{Body, Runtime, runtime::Tokio, transport::{Endpoint, UnixName}};
/// use anyport_tcp::TcpConnector;
/// use anyport_unix::UnixConnector;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let socket = std::env::var_os("APP_SOCKET").map(|path| std::path::Path::new(&path).into());
/// let factory = match socket.map(|path| Endpoint::Unix(UnixName::Path(path))) {
///     Some(socket) => EitherFactory::Left(Fixed::new(UnixConnector::new(), socket)),
///     None => {
///         let timer = Tokio::current().timer();
///         EitherFactory::Right(Names::new(HappyEyeballs::new(TcpConnector::new(), timer)))
///     }
/// };
/// let client: Client<_, Body> = Client::builder(factory).build();
/// # }
/// ```
#[derive(Clone, Debug)]
pub enum EitherFactory<A, B> {
    /// The first kind.
    Left(A),
    /// The second kind.
    Right(B),
}

impl<A: MakeConnection, B: MakeConnection> MakeConnection for EitherFactory<A, B> {
    type Connection = EitherConnection<A::Connection, B::Connection>;
    type Future = MakeEither<A::Future, B::Future>;

    fn make_connection(&self, origin: &Origin) -> Self::Future {
        match self {
            Self::Left(factory) => MakeEither::Left {
                future: factory.make_connection(origin),
            },
            Self::Right(factory) => MakeEither::Right {
                future: factory.make_connection(origin),
            },
        }
    }
}

pin_project_lite::pin_project! {
    /// The future of [`EitherFactory`].
    #[project = MakeEitherProj]
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub enum MakeEither<A, B> {
        #[doc(hidden)]
        Left {
            #[pin]
            future: A,
        },
        #[doc(hidden)]
        Right {
            #[pin]
            future: B,
        },
    }
}

impl<A, B, C, D> Future for MakeEither<A, B>
where
    A: Future<Output = io::Result<C>>,
    B: Future<Output = io::Result<D>>,
{
    type Output = io::Result<EitherConnection<C, D>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            MakeEitherProj::Left { future } => future.poll(cx).map_ok(EitherConnection::Left),
            MakeEitherProj::Right { future } => future.poll(cx).map_ok(EitherConnection::Right),
        }
    }
}
