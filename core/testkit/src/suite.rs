//! Selects the cases that apply to a subject, and runs them.
use crate::{
    LocalSubject, Served,
    app::{
        Boxed,
        script::{Handler, HandlerThread, Script},
    },
    cases::GROUPS,
    harness::{
        any_subject::AnySubject,
        case::{Case, Group},
        concurrency,
        failure::Failure,
        gate::Gate,
        recorded_calls::{Calls, Recorded},
        watch::{self, Watch, text_of},
    },
};
use anyport_core::{
    Listener, bounds::ProtocolOver, protocol::Raw, serve_raw_with, transport::ByteTransport,
};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{runtime::Builder, time::timeout};

/// Time limit of one case. A case that takes longer fails.
const LIMIT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 60 });

/// The behaviour suite, for one or more subjects.
#[derive(Default)]
#[must_use = "a suite does nothing unless it is run"]
pub struct Suite {
    trials: Vec<(Trial, Arc<Gate>)>,
    /// The last gate of each subject.
    last: Vec<Arc<Gate>>,
    not_run: Arc<AtomicUsize>,
}

impl Suite {
    /// Creates a suite without a subject. Running it in this state fails.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a subject, with every case that applies to it.
    pub fn with<S: Served>(self, subject: S) -> Self {
        self.with_any(S::NAME, &AnySubject::new(subject))
    }

    /// Adds a subject whose workers have threads of their own. It also runs the cases that serve a
    /// `!Send` app.
    pub fn with_local<S: LocalSubject>(self, subject: S) -> Self {
        self.with_any(S::NAME, &AnySubject::new_local(subject))
    }

    /// Adds a subject whose transport wraps another, with every case that applies to it. One case
    /// tests that the wrapper forwards all methods that have a default, such as
    /// [`Listener::stop`](anyport_core::Listener::stop).
    ///
    /// `inner` creates the inner transport, at a free address, and `wrap` puts the wrapper around
    /// it. The subject connects the clients. If a wrapper implements one of these methods without
    /// calling that of the inner transport, add it by [`with`](Self::with).
    ///
    /// ```no_run
    /// # use anyport_core::{ConnInfo, Listener, Result, Transport, runtime::{Tokio, Worker}};
    /// # use anyport_core::transport::{Conn, Connecting, Endpoint, MapConnection};
    /// # use anyport_testkit::{Subject, Suite};
    /// # use hyper_util::rt::TokioIo;
    /// # use std::{future::Ready, io, process::ExitCode, task::{Context, Poll}};
    /// # use tokio::io::DuplexStream;
    /// # type C = Conn<TokioIo<DuplexStream>>;
    /// # #[derive(Clone)] struct Pipe;
    /// # impl Transport for Pipe {
    /// #     type Runtime = Tokio; type Socket = (); type Listener = Pipe;
    /// #     fn open(&self, _: usize) -> Result<Vec<()>> { todo!() }
    /// #     fn endpoint(&self, _: &()) -> io::Result<Endpoint> { todo!() }
    /// #     fn listen(&self, _: (), _: &Worker) -> io::Result<Pipe> { todo!() }
    /// # }
    /// # impl Listener for Pipe {
    /// #     type Connection = C; type Handshake = Ready<io::Result<C>>;
    /// #     fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<Connecting<Self::Handshake>>> { todo!() }
    /// # }
    /// # struct TracedPipe;
    /// # impl Subject for TracedPipe {
    /// #     const NAME: &str = "traced"; type Transport = Pipe; type Stream = DuplexStream;
    /// #     fn transport(&self) -> Pipe { Pipe }
    /// #     async fn connect(&self, _: &Endpoint) -> io::Result<DuplexStream> { todo!() }
    /// # }
    /// # fn traced<T: Transport>(inner: T) -> T { inner }
    /// fn main() -> ExitCode {
    ///     Suite::new().with_wrapper(TracedPipe, || Pipe, |inner| traced(inner)).run()
    /// }
    /// ```
    pub fn with_wrapper<S, T, W>(
        self,
        subject: S,
        inner: impl Fn() -> T + Send + Sync + 'static,
        wrap: impl Fn(Recorded<T>) -> W + Send + Sync + 'static,
    ) -> Self
    where
        S: Served,
        T: ByteTransport,
        W: ByteTransport,
        Raw<Handler<<W::Listener as Listener>::Connection>>: ProtocolOver<W>,
    {
        let make = move |calls: &Arc<Calls>| {
            let transport = wrap(Recorded::new(inner(), Arc::clone(calls)));
            serve_raw_with(transport, Script::CallAll.handler(HandlerThread::Worker))
        };
        self.with_any(S::NAME, &AnySubject::new(subject).wrapping(make))
    }

    fn with_any(mut self, prefix: &str, subject: &AnySubject) -> Self {
        let can = subject.capabilities();
        let unavailable_here = subject.unavailable();
        let mut applied = 0_usize;
        let mut gate = Gate::after(None);
        for group in GROUPS {
            for case in group.cases {
                if group.name == "contract" {
                    // One after the other.
                    gate = Gate::after(Some(gate));
                }
                let threads: &[_] = match case.also_cross_thread {
                    true => &[HandlerThread::Worker, HandlerThread::Other],
                    false => &[HandlerThread::Worker],
                };
                let needed = case.needs.filter(|&needed| !can.have(needed));
                applied += threads.len() * usize::from(needed.is_none());
                let reason = needed.map(|needed| needed.needed().to_owned());
                let reason = unavailable_here.clone().or(reason);
                for &thread in threads {
                    let suffix = match thread {
                        HandlerThread::Worker => "",
                        HandlerThread::Other => "_cross_thread",
                    };
                    let name = format!("{prefix}::{}::{}{suffix}", group.name, case.name);
                    let test = Test {
                        group,
                        case,
                        thread,
                        subject: subject.on(thread),
                    };
                    self.add(name, &gate, reason.clone(), test);
                }
            }
            if matches!(group.name, "contract" | "byte_stream") {
                gate = Gate::after(Some(gate));
            }
        }
        let meta = move || match applied {
            0 => Err(Failed::from(
                "no case applies to this subject, so nothing was tested",
            )),
            _ => Ok(()),
        };
        let name = format!("{prefix}::suite::some_cases_apply");
        self.trials
            .push((Trial::test(name, meta), Gate::after(None)));
        self.last.push(gate);
        self
    }

    /// Adds a case, which is ignored if there is a `reason`.
    fn add(&mut self, name: String, gate: &Arc<Gate>, reason: Option<String>, test: Test) {
        let (own, not_run) = (Arc::clone(gate), Arc::clone(&self.not_run));
        let trial = match reason {
            // This trial fails even with `--ignored`: a case that cannot run must never pass.
            Some(why) => {
                let fails = Failed::from(&why);
                let run = move || {
                    own.end_one(None);
                    Err(fails)
                };
                Trial::test(name, run)
                    .with_kind(why)
                    .with_ignored_flag(true)
            }
            None => Trial::ignorable_test(name.clone(), move || {
                if let Err(failed) = own.open() {
                    own.end_one(None);
                    not_run.fetch_add(1, Relaxed);
                    let why = format!("not run, because `{failed}` failed");
                    return Ok(Completion::ignored_with(why));
                }
                let result = test.check();
                own.end_one(result.is_err().then_some(&name));
                result.map(|()| Completion::Completed)
            }),
        };
        self.trials.push((trial, Arc::clone(gate)));
    }

    /// Runs the cases that the command line selects (filters, `--list`, `--ignored`), as `cargo
    /// test` does. Call it from the `main` of a test target with `harness = false`.
    ///
    /// The cases of `contract` run first, one after the other, then those of `byte_stream`. If one
    /// of them fails, the others are not run.
    #[must_use = "it says whether the tests failed"]
    pub fn run(self) -> ExitCode {
        if self.trials.is_empty() {
            eprintln!("error: the suite has no subject: add one by `.with(subject)`");
            return ExitCode::FAILURE;
        }
        watch::record_panics();
        let mut arguments = Arguments::from_args();
        arguments
            .test_threads
            .get_or_insert_with(concurrency::max_concurrent_tests);
        let mut trials = Vec::new();
        for (trial, gate) in self.trials {
            if !arguments.is_filtered_out(&trial) && !arguments.is_ignored(&trial) {
                gate.expect_one();
            }
            trials.push(trial);
        }
        let conclusion = libtest_mimic::run(&arguments, trials);
        let failed: Vec<_> = self.last.iter().filter_map(|gate| gate.failed()).collect();
        let not_run = self.not_run.load(Relaxed);
        if not_run > 0 {
            println!(
                "{not_run} cases were not run, because they build on cases that failed: {}",
                failed.join(", ")
            );
        }
        conclusion.exit_code()
    }
}

/// One case for one subject.
struct Test {
    group: &'static Group,
    case: &'static Case,
    thread: HandlerThread,
    subject: AnySubject,
}

impl Test {
    /// Runs the case. The failure is a text for the author of the transport.
    fn check(&self) -> Result<(), Failed> {
        let current = Mutex::new(Watch::new(1));
        let elsewhere = watch::panics_elsewhere();
        let run = || {
            concurrency::run_limited(|| {
                let watch = Watch::new(self.subject.capabilities().wait_factor());
                current.lock().unwrap().clone_from(&watch);
                run_case(&self.subject, self.case.run, &watch)
            })
        };
        let ended = catch_unwind(AssertUnwindSafe(run));
        let watch = current.lock().unwrap().clone();
        let seen = match ended {
            Ok(Ok(())) => match watch.transport_fault() {
                Some(fault) => fault,
                None => return Ok(()),
            },
            Ok(Err(error)) => error,
            Err(panic) => text_of(&*panic)
                .unwrap_or("a panic without a text")
                .to_owned(),
        };
        let failure = Failure {
            group: self.group,
            case: self.case,
            thread: self.thread,
            seen,
            watch: &watch,
            elsewhere: watch::panics_elsewhere_since(elsewhere),
        };
        Err(failure.text().into())
    }
}

/// Runs one case on a runtime of its own, whose threads work for this case only.
fn run_case(
    subject: &AnySubject,
    run: fn(AnySubject) -> Boxed<()>,
    watch: &Arc<Watch>,
) -> Result<(), String> {
    let of_thread = Arc::clone(watch);
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_start(move || of_thread.enter())
        .build()
        .map_err(|error| format!("no tokio runtime for the client: {error}"))?;
    let limit = LIMIT * subject.capabilities().wait_factor();
    let _entered = watch.enter_scope();
    let result = runtime.block_on(async {
        let mut case = pin!(run(subject.clone()));
        let ended = timeout(limit, &mut case).await;
        // The waits are read before the case is dropped, because that also drops them.
        ended.map_err(|_| match &watch.waits()[..] {
            [] => format!("the case is not done after {limit:?}"),
            waits => format!(
                "the case is not done after {limit:?}; it waits for {}",
                waits.join(", and for ")
            ),
        })
    });
    watch.end();
    runtime.shutdown_background();
    result
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suite")
            .field("trials", &self.trials.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Capabilities, Capability};
    use std::collections::HashSet;

    /// The trials of a suite, without their gates.
    fn trials(suite: &Suite) -> impl Iterator<Item = &Trial> {
        suite.trials.iter().map(|(trial, _)| trial)
    }

    #[test]
    fn names_of_cases_are_unique() {
        let suite = Suite::new()
            .with_any("one", &AnySubject::unserved(Capabilities::all()))
            .with_any("two", &AnySubject::unserved(Capabilities::all()));
        let names: HashSet<_> = trials(&suite).map(Trial::name).collect();
        assert_eq!(names.len(), suite.trials.len());
        assert!(names.contains("one::upgrade::extended_connect_echoes"));
    }

    #[test]
    fn missing_capability_ignores_a_case_with_the_reason() {
        let lacking = Capabilities::all().without(Capability::HalfClose);
        let suite = Suite::new().with_any("limited", &AnySubject::unserved(lacking));
        let kinds: HashSet<_> = trials(&suite)
            .filter(|trial| trial.has_ignored_flag())
            .map(Trial::kind)
            .collect();
        // `Local` and `Wrapper` are added by `with_local` and `with_wrapper` only.
        assert_eq!(
            kinds,
            HashSet::from([
                "needs half-close",
                "needs a transport that wraps another",
                "needs workers with threads of their own"
            ])
        );
    }

    #[test]
    fn failure_says_what_was_asked_and_what_was_seen() {
        watch::record_panics();
        let group = &GROUPS[1];
        let failure = |run| {
            let case = Case {
                name: "grace_is_kept",
                needs: None,
                clause: Some(crate::harness::contract::STOP),
                also_cross_thread: false,
                run,
            };
            let test = Test {
                group,
                case: Box::leak(Box::new(case)),
                thread: HandlerThread::Worker,
                subject: AnySubject::unserved(Capabilities::all()),
            };
            test.check().unwrap_err().message().unwrap().to_owned()
        };
        let text = failure(|_| {
            Box::pin(async {
                watch::note("the server is away".to_owned());
                watch::awaiting("a sign", std::future::pending()).await
            })
        });
        let wanted = [
            "asked of the transport: grace is kept\n  Bytes go through a connection",
            "contract of `Listener::stop`: \"From now on `poll_accept` returns only",
            "\nseen: the case is not done after 1s; it waits for a sign\n",
            "\nreported: the server is away\nlook at: `Listener::stop`",
            "\nthe case: src/cases/byte_stream.rs, of anyport-testkit",
        ];
        assert!(wanted.iter().all(|part| text.contains(part)), "{text}");
        let text = failure(|_| {
            Box::pin(async {
                let transport =
                    tokio::spawn(async { Some(1).filter(|n| *n > 1).unwrap_or_default() });
                drop(transport.await);
                panic!("not echoed")
            })
        });
        assert!(
            text.contains("\nseen: not echoed (core/testkit/src/suite.rs:"),
            "{text}"
        );
    }
}
