//! A subject with its types erased, so that each case is compiled only once.
use crate::{
    Capabilities, Capability,
    app::{
        local::LocalApp,
        script::{HandlerThread, Script},
        state::State,
    },
    client::Io,
    harness::{
        faulty_listener::Mode,
        instrumented::Counters,
        recorded_calls::Calls,
        subject::{LocalSubject, Served},
        test_server::TestServer,
        watch::Notes,
    },
};
use anyport_core::{
    Runtime, Server, Timeouts, Transport,
    runtime::{Worker, Workers},
    transport::Endpoint,
};
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

type Borrowed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The endpoint of a server, for tests that have no handle.
pub(crate) type BoundEndpoint = Arc<Mutex<Option<Endpoint>>>;

/// A subject of any type.
#[derive(Clone)]
pub(crate) struct AnySubject {
    subject: Arc<dyn Erased>,
    thread: HandlerThread,
    wrapper: Option<Arc<MakeWrapper>>,
}

/// Makes a server over the subject's wrapper, around a transport that records its calls.
type MakeWrapper = dyn Fn(&Arc<Calls>) -> Server + Send + Sync;

trait Erased: Send + Sync {
    fn http(&self, state: Arc<State>) -> Server;
    fn instrumented(&self, state: Arc<State>, counters: Arc<Counters>) -> Server;
    fn local(&self, make: fn(&Worker) -> LocalApp) -> Option<Server>;
    fn raw(&self, script: Script, thread: HandlerThread) -> Server;
    fn raw_recording_endpoint(&self, script: Script, bound: BoundEndpoint) -> Server;
    fn faulty(&self, script: Script, mode: Arc<Mode>) -> Server;
    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>>;
    fn connect_h2<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>>;
    fn connect_lazily<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>>;
    fn connect_resetting<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>>;
    fn has_worker_threads(&self) -> bool;
    fn unavailable(&self) -> Option<String>;
    fn capabilities(&self) -> Capabilities;
}

impl AnySubject {
    pub(crate) fn new<S: Served>(subject: S) -> Self {
        Self::of(Plain(subject))
    }

    pub(crate) fn new_local<S: LocalSubject>(subject: S) -> Self {
        Self::of(Local(Plain(subject)))
    }

    fn of(subject: impl Erased + 'static) -> Self {
        Self {
            subject: Arc::new(subject),
            thread: HandlerThread::Worker,
            wrapper: None,
        }
    }

    /// The same subject, which wraps another transport.
    pub(crate) fn wrapping(
        self,
        make: impl Fn(&Arc<Calls>) -> Server + Send + Sync + 'static,
    ) -> Self {
        Self {
            wrapper: Some(Arc::new(make)),
            ..self
        }
    }

    /// The same subject, with upgraded connections and raw handlers on this thread.
    pub(crate) fn on(&self, thread: HandlerThread) -> Self {
        Self {
            subject: Arc::clone(&self.subject),
            thread,
            wrapper: self.wrapper.clone(),
        }
    }

    fn state(&self) -> Arc<State> {
        Arc::new(State::on(self.thread))
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        match self.wrapper {
            Some(_) => self.subject.capabilities().and(Capability::Wrapper),
            None => self.subject.capabilities(),
        }
    }

    /// The subject's wrapper around a transport that records its calls.
    pub(crate) fn serve_recorded(&self, calls: &Arc<Calls>) -> TestServer {
        let make = self.wrapper.as_ref();
        let make = make.expect("only registered for wrappers");
        TestServer::start(self, make(calls), Arc::default())
    }

    /// The reason why the subject cannot be tested on this machine, if there is one.
    pub(crate) fn unavailable(&self) -> Option<String> {
        self.subject.unavailable()
    }

    /// Serves the suite's app with default settings.
    pub(crate) fn serve(&self) -> TestServer {
        self.serve_configured(|server| server)
    }

    /// Serves the suite's app with the given settings.
    pub(crate) fn serve_configured(&self, configure: impl FnOnce(Server) -> Server) -> TestServer {
        let state = self.state();
        let server = configure(self.subject.http(Arc::clone(&state)));
        TestServer::start(self, server, state)
    }

    /// Does the same as `serve_configured`, with counters of hibernations, polls and reads.
    pub(crate) fn serve_instrumented(
        &self,
        configure: impl FnOnce(Server) -> Server,
    ) -> (TestServer, Arc<Counters>) {
        let (state, counters) = (self.state(), Arc::new(Counters::default()));
        let server = configure(
            self.subject
                .instrumented(Arc::clone(&state), Arc::clone(&counters)),
        );
        (TestServer::start(self, server, state), counters)
    }

    /// The server of the suite's app, not started.
    pub(crate) fn server(&self) -> Server {
        self.subject.http(Arc::default())
    }

    /// The server of an app that is not `Send`, not started.
    pub(crate) fn local_server(&self, make: fn(&Worker) -> LocalApp) -> Server {
        let server = self.subject.local(make);
        server.expect("only registered for local subjects")
    }

    /// Runs a raw handler on each connection.
    pub(crate) fn raw(&self, script: Script) -> TestServer {
        TestServer::start(self, self.subject.raw(script, self.thread), Arc::default())
    }

    /// As `raw`, with settings. What the server reports is part of the text of a failure.
    pub(crate) fn raw_noted(
        &self,
        script: Script,
        configure: impl FnOnce(Server) -> Server,
    ) -> TestServer {
        let server = self.subject.raw(script, self.thread).observer(Notes::new());
        TestServer::start(self, configure(server), Arc::default())
    }

    /// Whether its workers have threads of their own, so that there can be any number.
    pub(crate) fn has_worker_threads(&self) -> bool {
        self.subject.has_worker_threads()
    }

    /// Makes the server of `raw`, not started. `bound` receives the endpoint at the start.
    pub(crate) fn raw_server(&self, script: Script, bound: &BoundEndpoint) -> Server {
        self.subject
            .raw_recording_endpoint(script, Arc::clone(bound))
    }

    /// Does the same as `raw`, with a listener that has faults.
    pub(crate) fn faulty(&self, script: Script, mode: &Arc<Mode>) -> TestServer {
        TestServer::start(self, self.faulty_server(script, mode), Arc::default())
    }

    /// Does the same as `faulty`, with a handshake timeout.
    pub(crate) fn faulty_with_handshake_timeout(
        &self,
        script: Script,
        mode: &Arc<Mode>,
        handshake: Duration,
    ) -> TestServer {
        let timeouts = Timeouts::default().with_handshake(handshake);
        let server = self.faulty_server(script, mode).timeouts(timeouts);
        TestServer::start(self, server, Arc::default())
    }

    /// Makes the server of `faulty`, not started.
    pub(crate) fn faulty_server(&self, script: Script, mode: &Arc<Mode>) -> Server {
        self.subject.faulty(script, Arc::clone(mode))
    }

    pub(crate) async fn connect(&self, endpoint: &Endpoint) -> io::Result<Io> {
        self.subject.connect(endpoint).await
    }

    /// Connects a client that uses HTTP/2.
    pub(crate) async fn connect_h2(&self, endpoint: &Endpoint) -> io::Result<Io> {
        self.subject.connect_h2(endpoint).await
    }

    /// Connects a client that resets its connection when it is dropped.
    pub(crate) async fn connect_resetting(&self, endpoint: &Endpoint) -> io::Result<Io> {
        self.subject.connect_resetting(endpoint).await
    }

    /// Connects without waiting for the server's part of the handshake.
    pub(crate) async fn connect_lazily(&self, endpoint: &Endpoint) -> io::Result<Io> {
        self.subject.connect_lazily(endpoint).await
    }
}

struct Plain<S>(S);

impl<S: Served> Erased for Plain<S> {
    fn http(&self, state: Arc<State>) -> Server {
        self.0.http(state)
    }

    fn instrumented(&self, state: Arc<State>, counters: Arc<Counters>) -> Server {
        self.0.instrumented(state, counters)
    }

    fn local(&self, _: fn(&Worker) -> LocalApp) -> Option<Server> {
        None
    }

    fn raw(&self, script: Script, thread: HandlerThread) -> Server {
        self.0.raw(script, thread)
    }

    fn raw_recording_endpoint(&self, script: Script, bound: BoundEndpoint) -> Server {
        self.0.raw_recording_endpoint(script, bound)
    }

    fn faulty(&self, script: Script, mode: Arc<Mode>) -> Server {
        self.0.faulty(script, mode)
    }

    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        Box::pin(async move { Ok(Box::new(self.0.connect(endpoint).await?) as Io) })
    }

    fn connect_h2<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        Box::pin(async move { Ok(Box::new(self.0.connect_h2(endpoint).await?) as Io) })
    }

    fn connect_lazily<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        Box::pin(async move { Ok(Box::new(self.0.connect_lazily(endpoint).await?) as Io) })
    }

    fn connect_resetting<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        Box::pin(async move {
            let stream = self.0.connect(endpoint).await?;
            self.0.reset_on_drop(&stream)?;
            Ok(Box::new(stream) as Io)
        })
    }

    fn has_worker_threads(&self) -> bool {
        <S::Transport as Transport>::Runtime::WORKERS != Workers::Ambient
    }

    fn unavailable(&self) -> Option<String> {
        self.0.unavailable()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
}

struct Local<S>(Plain<S>);

impl<S: LocalSubject> Erased for Local<S> {
    fn http(&self, state: Arc<State>) -> Server {
        self.0.http(state)
    }

    fn instrumented(&self, state: Arc<State>, counters: Arc<Counters>) -> Server {
        self.0.instrumented(state, counters)
    }

    fn local(&self, make: fn(&Worker) -> LocalApp) -> Option<Server> {
        Some(self.0.0.local(make))
    }

    fn raw(&self, script: Script, thread: HandlerThread) -> Server {
        self.0.raw(script, thread)
    }

    fn raw_recording_endpoint(&self, script: Script, bound: BoundEndpoint) -> Server {
        self.0.raw_recording_endpoint(script, bound)
    }

    fn faulty(&self, script: Script, mode: Arc<Mode>) -> Server {
        self.0.faulty(script, mode)
    }

    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        self.0.connect(endpoint)
    }

    fn connect_h2<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        self.0.connect_h2(endpoint)
    }

    fn connect_lazily<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        self.0.connect_lazily(endpoint)
    }

    fn connect_resetting<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        self.0.connect_resetting(endpoint)
    }

    fn has_worker_threads(&self) -> bool {
        self.0.has_worker_threads()
    }

    fn unavailable(&self) -> Option<String> {
        self.0.unavailable()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities().and(Capability::Local)
    }
}

#[cfg(test)]
impl AnySubject {
    /// A subject that declares capabilities and cannot be served.
    pub(crate) fn unserved(can: Capabilities) -> Self {
        Self::of(Unserved(can))
    }
}

#[cfg(test)]
struct Unserved(Capabilities);

#[cfg(test)]
impl Erased for Unserved {
    fn http(&self, _: Arc<State>) -> Server {
        unreachable!("not served")
    }

    fn instrumented(&self, _: Arc<State>, _: Arc<Counters>) -> Server {
        unreachable!("not served")
    }

    fn local(&self, _: fn(&Worker) -> LocalApp) -> Option<Server> {
        None
    }

    fn raw(&self, _: Script, _: HandlerThread) -> Server {
        unreachable!("not served")
    }

    fn raw_recording_endpoint(&self, _: Script, _: BoundEndpoint) -> Server {
        unreachable!("not served")
    }

    fn faulty(&self, _: Script, _: Arc<Mode>) -> Server {
        unreachable!("not served")
    }

    fn connect<'a>(&'a self, _: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        unreachable!("not served")
    }

    fn connect_h2<'a>(&'a self, _: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        unreachable!("not served")
    }

    fn connect_lazily<'a>(&'a self, _: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        unreachable!("not served")
    }

    fn connect_resetting<'a>(&'a self, _: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        unreachable!("not served")
    }

    fn has_worker_threads(&self) -> bool {
        unreachable!("not served")
    }

    fn unavailable(&self) -> Option<String> {
        None
    }

    fn capabilities(&self) -> Capabilities {
        self.0
    }
}
