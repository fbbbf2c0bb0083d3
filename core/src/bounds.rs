//! Traits and types that stand in signatures and in the compiler's messages. You seldom name one.
//!
//! **Why they exist.** An app is any tower service, and a transport's runtime decides whether that
//! service must be `Send`. In one `where` clause, a missing property is reported somewhere in
//! hyper's types. So each property of an app is a separate trait with its own message:
//!
//! | the compiler names | what is missing |
//! |---|---|
//! | [`HttpService`], [`RequestService`] | the app is not a `tower::Service` of `http::Request<Body>`, or not `Clone` |
//! | [`HttpResponse`], [`ResponseBody`] | the response is not an `http::Response`, or its body is not an `http_body::Body` |
//! | [`AppError`] | its error does not become a [`BoxError`](crate::error::BoxError) |
//! | [`CanReceive`], [`SendService`] | it is not `Send` and cannot be moved to the workers |
//! | [`SpawnOn`] | its futures or bodies are not `Send`, and the runtime moves tasks between threads |
//!
//! **Generic code** over apps and transports needs one bound: `A: AppOver<T>` for
//! [`serve_with`](crate::serve_with), or `P: ProtocolOver<T>` for
//! [`serve_protocol_with`](crate::protocol::serve_protocol_with). The other traits follow from it.
//!
//! ```
//! use anyport_core::{Result, Transport, bounds::AppOver, serve_with};
//!
//! async fn serve<T: Transport, A: AppOver<T>>(transport: T, app: A) -> Result<()> {
//!     serve_with(transport, app).await?;
//!     Ok(())
//! }
//! ```
//!
//! **The types** are the futures of tasks and the results of functions. A runtime states in the
//! bounds of its [`Launch`](crate::runtime::Launch) and [`Executor`](hyper::rt::Executor) whether
//! [`AcceptLoop`], [`ConnTask`] and the others must be `Send`. The compiler derives that from the
//! types inside them, which is why they have names and are not boxed.
pub use crate::{
    app::{
        AppError, CanReceive, HttpResponse, HttpService, PerWorker, RequestService, ResponseBody,
        SendService,
    },
    engine::{AcceptLoop, ConnTask},
    http::{Call, ConnService, HttpTask, Reply, SpawnStreams, StreamTask, Streams},
    server::{
        AppBounds, AppOver, HttpRuntime, ProtocolOver, ProtocolRuntime, RuntimeFor, Serve, SpawnOn,
        TaskBounds, TaskWith, Wait,
    },
    transport::ListenerFn,
};
