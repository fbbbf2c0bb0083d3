//! tokio, twice: work stealing, and one single-threaded runtime per core.
use super::{Launch, Runtime, SharedTimer, Start};
use crate::{Error, ErrorKind, Result, Workers};
use hyper::rt::Executor;
use hyper_util::rt::TokioTimer;
use std::{future::Future, sync::Arc};
use tokio::{
    runtime::{Builder, Handle, LocalOptions},
    task,
};

/// The tokio that the server is started in. Tasks move between its threads, so apps and their futures must be `Send`.
#[derive(Clone, Copy, Debug)]
pub struct Tokio(());

/// One single-threaded tokio per worker, each on a thread of its own. Nothing moves, so nothing need be `Send`.
#[derive(Clone, Copy, Debug)]
pub struct TokioPerCore(());

impl Runtime for Tokio {
    const WORKERS: Workers = Workers::Ambient;

    fn current() -> Self {
        Self(())
    }

    fn timer(&self) -> SharedTimer {
        Arc::new(TokioTimer::new())
    }
}

impl<F> Executor<F> for Tokio
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        task::spawn(future);
    }
}

impl<F: Future<Output = ()> + Send + 'static> Launch<F> for Tokio {
    fn launch(start: Start<F>) -> Result<()> {
        if Handle::try_current().is_err() {
            return Err(Error::new(
                ErrorKind::Start,
                "this transport runs on the tokio runtime that the server is started in, and this thread is in none \
                 (use `.run()`, or `#[tokio::main]`, or a transport with threads of its own: `.per_core()`)",
            ));
        }
        if let Some(accept_loop) = start.enter() {
            task::spawn(accept_loop);
        }
        Ok(())
    }
}

impl Runtime for TokioPerCore {
    const WORKERS: Workers = Workers::PerCore;

    fn current() -> Self {
        Self(())
    }

    fn timer(&self) -> SharedTimer {
        Arc::new(TokioTimer::new())
    }
}

impl<F> Executor<F> for TokioPerCore
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        task::spawn_local(future);
    }
}

impl<F: Future<Output = ()> + 'static> Launch<F> for TokioPerCore {
    fn launch(start: Start<F>) -> Result<()> {
        let build = || {
            Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default())
        };
        start.on_thread(build, |runtime, start| {
            runtime.block_on(async move {
                if let Some(accept_loop) = start.enter() {
                    accept_loop.await;
                }
            });
        })
    }
}
