//! getaddrinfo(3), on threads.
use super::{Answer, Resolve};
use crate::family::Family;
use dns_lookup::{AddrFamily, AddrInfoHints, LookupError, LookupErrorKind, SockType, getaddrinfo};
use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use std::{
    collections::VecDeque,
    fmt, io,
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    thread,
};

/// The resolver of the system: getaddrinfo(3), with `/etc/hosts`, `/etc/nsswitch.conf` and the
/// caches that it has. It works on every runtime.
///
/// getaddrinfo blocks its thread, and cannot be ended. So each lookup of one record type runs on a
/// thread, of which all clones of a resolver have [16](Self::with_max_threads) at most. More
/// lookups wait until one of the threads is free. A thread ends when no lookup waits. It
/// does not delay the end of the process.
///
/// If a lookup is dropped while it waits, it never runs. If it runs, its thread goes on until
/// getaddrinfo returns: with a silent server, after the timeout of resolv.conf(5).
#[derive(Clone)]
pub struct SystemResolver {
    lookup: Lookup,
    max_threads: usize,
    queue: Arc<Mutex<Queue>>,
}

/// A lookup, which blocks until the addresses are known.
type Lookup = Arc<dyn Fn(&str, Family) -> io::Result<Vec<IpAddr>> + Send + Sync>;

const MAX_THREADS: usize = 16;

#[derive(Default)]
struct Queue {
    /// How many threads run.
    threads: usize,
    waiting: VecDeque<Job>,
}

struct Job {
    host: Arc<str>,
    family: Family,
    answer: UnboundedSender<Answer>,
}

impl SystemResolver {
    /// The resolver of the system.
    #[must_use]
    pub fn new() -> Self {
        Self::with_lookup(lookup)
    }

    pub(crate) fn with_lookup(
        lookup: impl Fn(&str, Family) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            lookup: Arc::new(lookup),
            max_threads: MAX_THREADS,
            queue: Arc::default(),
        }
    }

    /// Sets how many lookups run at the same time. Default: 16. Connecting to a name needs two.
    /// Zero counts as one.
    #[must_use]
    pub fn with_max_threads(mut self, threads: usize) -> Self {
        self.max_threads = threads.max(1);
        self
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, job: Job) {
        let mut queue = self.lock();
        if queue.threads >= self.max_threads {
            // Lookups that were dropped must not accumulate behind threads that are stuck.
            queue.waiting.retain(|job| !job.answer.is_closed());
            queue.waiting.push_back(job);
            return;
        }
        queue.waiting.push_back(job);
        queue.threads += 1;
        drop(queue);
        let resolver = self.clone();
        let thread = thread::Builder::new().name("anyport-resolve".into());
        if let Err(error) = thread.spawn(move || resolver.run()) {
            self.without_thread(&error);
        }
    }

    /// Runs lookups until none waits.
    fn run(&self) {
        while let Some(job) = self.next() {
            if job.answer.is_closed() {
                continue;
            }
            // A panic would leave the number of threads wrong for ever.
            let looked_up = catch_unwind(AssertUnwindSafe(|| (self.lookup)(&job.host, job.family)));
            let panicked = |_| Err(io::Error::other("the lookup panicked"));
            job.answer(looked_up.unwrap_or_else(panicked));
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        let job = queue.waiting.pop_front();
        if job.is_none() {
            queue.threads -= 1;
        }
        job
    }

    /// A thread could not be started. If no other thread runs, all waiting lookups fail.
    fn without_thread(&self, error: &io::Error) {
        let mut queue = self.lock();
        queue.threads -= 1;
        if queue.threads > 0 {
            return;
        }
        let failed = std::mem::take(&mut queue.waiting);
        drop(queue);
        for job in failed {
            let what = format!("cannot start a thread for the lookup: {error}");
            job.answer(Err(io::Error::new(error.kind(), what)));
        }
    }
}

impl Job {
    /// Sends the answer, unless the receiver was dropped.
    fn answer(self, addresses: io::Result<Vec<IpAddr>>) {
        let _ = self.answer.unbounded_send(match self.family {
            Family::V6 => Answer::Aaaa(addresses.map(|all| {
                let six = all.into_iter().filter_map(|address| match address {
                    IpAddr::V6(address) => Some(address),
                    IpAddr::V4(_) => None,
                });
                six.collect()
            })),
            Family::V4 => Answer::A(addresses.map(|all| {
                let four = all.into_iter().filter_map(|address| match address {
                    IpAddr::V4(address) => Some(address),
                    IpAddr::V6(_) => None,
                });
                four.collect()
            })),
        });
    }
}

fn lookup(host: &str, family: Family) -> io::Result<Vec<IpAddr>> {
    let address = match family {
        Family::V6 => AddrFamily::Inet6,
        Family::V4 => AddrFamily::Inet,
    };
    let hints = AddrInfoHints {
        address: address.into(),
        // One entry for each address, and not one for each kind of socket.
        socktype: SockType::Stream.into(),
        ..AddrInfoHints::default()
    };
    let found = getaddrinfo(Some(host), None, Some(hints)).map_err(lookup_error)?;
    found.map(|info| Ok(info?.sockaddr.ip())).collect()
}

fn lookup_error(error: LookupError) -> io::Error {
    let (kind, text) = match error.kind() {
        LookupErrorKind::NoName | LookupErrorKind::NoData => {
            (io::ErrorKind::NotFound, "no such host, or no such record")
        }
        LookupErrorKind::Again => (io::ErrorKind::TimedOut, "no name server answers"),
        _ => return error.into(),
    };
    io::Error::new(kind, text)
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.lock();
        f.debug_struct("SystemResolver")
            .field("max_threads", &self.max_threads)
            .field("threads", &queue.threads)
            .field("waiting", &queue.waiting.len())
            .finish_non_exhaustive()
    }
}

impl Resolve for SystemResolver {
    type Answers = SystemAnswers;

    fn resolve(&self, host: &str) -> SystemAnswers {
        let (answer, answers) = unbounded();
        let host = Arc::<str>::from(host);
        for family in Family::BOTH {
            self.start(Job {
                host: Arc::clone(&host),
                family,
                answer: answer.clone(),
            });
        }
        SystemAnswers(answers)
    }
}

/// The answers of a [`SystemResolver`].
#[derive(Debug)]
pub struct SystemAnswers(UnboundedReceiver<Answer>);

impl futures_core::Stream for SystemAnswers {
    type Item = Answer;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Answer>> {
        Pin::new(&mut self.0).poll_next(cx)
    }
}
