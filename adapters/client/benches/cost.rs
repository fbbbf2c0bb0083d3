//! The costs of a GET over TCP on a single-threaded tokio, beside those of a bare
//! `hyper::client::conn` and of hyper-util's client: `cargo bench -p anyport-client --bench cost`.
//!
//! Each client runs in a process of its own, and sends one request after another on one connection
//! to a thread of this process. `send` is `Client::send`, and `service` is the tower service.
//!
//! - allocations per request, as the allocator counts them
//! - user instructions per request, as callgrind counts them (needs valgrind)
//! - CPU time per request, user and system: the least of nine runs, which take turns
use anyhow::{Context as _, Result, bail};
use anyport_client::{Client, Fixed};
use anyport_core::{Body as AnyBody, runtime::TokioPerCore};
use anyport_tcp::TcpConnector;
use bytes::Bytes;
use http::{Request, Response, Uri, header::HOST};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioIo},
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    env,
    future::Future,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};
use tower::ServiceExt;
