//! The subject of a test with its types erased, so that each test is compiled once.
use crate::{
    Capabilities, Capability,
    app::{
        local::LocalApp,
        script::{Place, Script},
        state::State,
    },
    client::Io,
    harness::{
        running::Running,
        subject::{LocalSubject, Served},
        watch::Notes,
        wrap::Mood,
    },
};
use anyport_core::{Endpoint, Server, Timeouts, Worker};
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

type Borrowed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where the server says that it listens, even to those who have no handle.
pub(crate) type Told = Arc<Mutex<Option<Endpoint>>>;

/// One subject.
#[derive(Clone)]
pub(crate) struct Site {
    subject: Arc<dyn Erased>,
    place: Place,
}

trait Erased: Send + Sync {
    fn http(&self, state: Arc<State>) -> Server;
    fn watched(&self, state: Arc<State>, notes: Arc<Notes>) -> Server;
    fn local(&self, make: fn(&Worker) -> LocalApp) -> Option<Server>;
    fn raw(&self, script: Script, place: Place) -> Server;
    fn spied(&self, script: Script, told: Told) -> Server;
    fn moody(&self, script: Script, mood: Arc<Mood>) -> Server;
    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>>;
    fn connect_h2<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>>;
    fn knock<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>>;
    fn connect_resetting<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>>;
    fn missing(&self) -> Option<String>;
    fn capabilities(&self) -> Capabilities;
}

impl Site {
    pub(crate) fn new<S: Served>(subject: S) -> Self {
        Self::of(Plain(subject))
    }

    pub(crate) fn new_local<S: LocalSubject>(subject: S) -> Self {
        Self::of(Local(Plain(subject)))
    }

    fn of(subject: impl Erased + 'static) -> Self {
        Self {
            subject: Arc::new(subject),
            place: Place::Home,
        }
    }

    /// The same with upgraded connections and raw handlers elsewhere.
    pub(crate) fn at(&self, place: Place) -> Self {
        Self {
            subject: Arc::clone(&self.subject),
            place,
        }
    }

    fn state(&self) -> Arc<State> {
        Arc::new(State::at(self.place))
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        self.subject.capabilities()
    }

    /// Why it can't be tested here.
    pub(crate) fn missing(&self) -> Option<String> {
        self.subject.missing()
    }

    /// Serves the suite's app with default settings.
    pub(crate) fn serve(&self) -> Running {
        self.serve_as(|server| server)
    }

    /// Serves the suite's app with settings.
    pub(crate) fn serve_as(&self, configure: impl FnOnce(Server) -> Server) -> Running {
        let state = self.state();
        let server = configure(self.subject.http(Arc::clone(&state)));
        Running::start(self, server, state)
    }

    /// The same, and notes about its connections.
    pub(crate) fn serve_watched(
        &self,
        configure: impl FnOnce(Server) -> Server,
    ) -> (Running, Arc<Notes>) {
        let (state, notes) = (self.state(), Arc::new(Notes::default()));
        let server = configure(self.subject.watched(Arc::clone(&state), Arc::clone(&notes)));
        (Running::start(self, server, state), notes)
    }

    /// The server alone, not started.
    pub(crate) fn server(&self) -> Server {
        self.subject.http(Arc::default())
    }

    /// An app whose state is `!Send`, not started.
    pub(crate) fn local_server(&self, make: fn(&Worker) -> LocalApp) -> Server {
        let server = self.subject.local(make);
        server.expect("only registered for local subjects")
    }

    /// Has a script at the server's end of each connection.
    pub(crate) fn raw(&self, script: Script) -> Running {
        Running::start(self, self.subject.raw(script, self.place), Arc::default())
    }

    /// The same, not started; `told` gets the endpoint when it is.
    pub(crate) fn raw_server(&self, script: Script, told: &Told) -> Server {
        self.subject.spied(script, Arc::clone(told))
    }

    /// The same with a listener that has its moods.
    pub(crate) fn moody(&self, script: Script, mood: &Arc<Mood>) -> Running {
        Running::start(self, self.moody_server(script, mood), Arc::default())
    }

    /// The same, and how long a handshake may take.
    pub(crate) fn moody_for(
        &self,
        script: Script,
        mood: &Arc<Mood>,
        handshake: Duration,
    ) -> Running {
        let timeouts = Timeouts::default().with_handshake(handshake);
        let server = self.moody_server(script, mood).timeouts(timeouts);
        Running::start(self, server, Arc::default())
    }

    /// The same, not started.
    pub(crate) fn moody_server(&self, script: Script, mood: &Arc<Mood>) -> Server {
        self.subject.moody(script, Arc::clone(mood))
    }

    pub(crate) async fn connect(&self, endpoint: &Endpoint) -> io::Result<Io> {
        self.subject.connect(endpoint).await
    }

    /// Connects a client that speaks HTTP/2.
    pub(crate) async fn connect_h2(&self, endpoint: &Endpoint) -> io::Result<Io> {
        self.subject.connect_h2(endpoint).await
    }

    /// Connects a client that resets its connection when it is dropped.
    pub(crate) async fn connect_resetting(&self, endpoint: &Endpoint) -> io::Result<Io> {
        self.subject.connect_resetting(endpoint).await
    }

    /// Connects to a server that may have nothing to say: also where that needs a handshake, it's
    /// not waited for.
    pub(crate) async fn knock(&self, endpoint: &Endpoint) -> io::Result<Io> {
        self.subject.knock(endpoint).await
    }
}

struct Plain<S>(S);

impl<S: Served> Erased for Plain<S> {
    fn http(&self, state: Arc<State>) -> Server {
        self.0.http(state)
    }

    fn watched(&self, state: Arc<State>, notes: Arc<Notes>) -> Server {
        self.0.watched(state, notes)
    }

    fn local(&self, _: fn(&Worker) -> LocalApp) -> Option<Server> {
        None
    }

    fn raw(&self, script: Script, place: Place) -> Server {
        self.0.raw(script, place)
    }

    fn spied(&self, script: Script, told: Told) -> Server {
        self.0.spied(script, told)
    }

    fn moody(&self, script: Script, mood: Arc<Mood>) -> Server {
        self.0.moody(script, mood)
    }

    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        Box::pin(async move { Ok(Box::new(self.0.connect(endpoint).await?) as Io) })
    }

    fn connect_h2<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        Box::pin(async move { Ok(Box::new(self.0.connect_h2(endpoint).await?) as Io) })
    }

    fn knock<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        Box::pin(async move { Ok(Box::new(self.0.knock(endpoint).await?) as Io) })
    }

    fn connect_resetting<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        Box::pin(async move {
            let stream = self.0.connect(endpoint).await?;
            self.0.reset_on_drop(&stream)?;
            Ok(Box::new(stream) as Io)
        })
    }

    fn missing(&self) -> Option<String> {
        self.0.missing()
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

    fn watched(&self, state: Arc<State>, notes: Arc<Notes>) -> Server {
        self.0.watched(state, notes)
    }

    fn local(&self, make: fn(&Worker) -> LocalApp) -> Option<Server> {
        Some(self.0.0.local(make))
    }

    fn raw(&self, script: Script, place: Place) -> Server {
        self.0.raw(script, place)
    }

    fn spied(&self, script: Script, told: Told) -> Server {
        self.0.spied(script, told)
    }

    fn moody(&self, script: Script, mood: Arc<Mood>) -> Server {
        self.0.moody(script, mood)
    }

    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        self.0.connect(endpoint)
    }

    fn connect_h2<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        self.0.connect_h2(endpoint)
    }

    fn knock<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        self.0.knock(endpoint)
    }

    fn connect_resetting<'a>(&'a self, endpoint: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        self.0.connect_resetting(endpoint)
    }

    fn missing(&self) -> Option<String> {
        self.0.missing()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities().and(Capability::Local)
    }
}

#[cfg(test)]
impl Site {
    /// None that could be served, but one that says what it can.
    pub(crate) fn imaginary(can: Capabilities) -> Self {
        Self::of(Imaginary(can))
    }
}

#[cfg(test)]
struct Imaginary(Capabilities);

#[cfg(test)]
impl Erased for Imaginary {
    fn http(&self, _: Arc<State>) -> Server {
        unreachable!("not served")
    }

    fn watched(&self, _: Arc<State>, _: Arc<Notes>) -> Server {
        unreachable!("not served")
    }

    fn local(&self, _: fn(&Worker) -> LocalApp) -> Option<Server> {
        None
    }

    fn raw(&self, _: Script, _: Place) -> Server {
        unreachable!("not served")
    }

    fn spied(&self, _: Script, _: Told) -> Server {
        unreachable!("not served")
    }

    fn moody(&self, _: Script, _: Arc<Mood>) -> Server {
        unreachable!("not served")
    }

    fn connect<'a>(&'a self, _: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        unreachable!("not served")
    }

    fn connect_h2<'a>(&'a self, _: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        unreachable!("not served")
    }

    fn knock<'a>(&'a self, _: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        unreachable!("not served")
    }

    fn connect_resetting<'a>(&'a self, _: &'a Endpoint) -> Borrowed<'a, io::Result<Io>> {
        unreachable!("not served")
    }

    fn missing(&self) -> Option<String> {
        None
    }

    fn capabilities(&self) -> Capabilities {
        self.0
    }
}
