//! Lookups on threads: they block no caller, and the number of threads is limited.
use crate::{Answer, Resolve, SystemResolver, family::Family};
use futures_util::{StreamExt, stream::Stream};
use std::{
    io,
    net::IpAddr,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    task::{Context, Poll, Waker},
};
use tokio::runtime::Builder;

/// Lookups that report when they begin, and end when the test releases them.
struct Blocked {
    begun: mpsc::Receiver<String>,
    end: mpsc::Sender<()>,
    resolver: SystemResolver,
    at_most: Arc<AtomicUsize>,
}

fn blocked(max_threads: usize) -> Blocked {
    let (begin, begun) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let ended = Mutex::new(ended);
    let (running, at_most) = (AtomicUsize::new(0), Arc::<AtomicUsize>::default());
    let most = Arc::clone(&at_most);
    let lookup = move |host: &str, family: Family| {
        most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
        begin.send(format!("{host} {family}")).unwrap();
        let _ = ended.lock().unwrap().recv();
        running.fetch_sub(1, SeqCst);
        Ok(addresses())
    };
    let resolver = SystemResolver::with_lookup(lookup).with_max_threads(max_threads);
    Blocked {
        begun,
        end,
        resolver,
        at_most,
    }
}

fn addresses() -> Vec<IpAddr> {
    vec!["2001:db8::1".parse().unwrap(), "192.0.2.1".parse().unwrap()]
}

fn poll(answers: &mut (impl Stream<Item = Answer> + Unpin)) -> Poll<Option<Answer>> {
    pin!(answers).poll_next(&mut Context::from_waker(Waker::noop()))
}

fn wait<F: Future>(future: F) -> F::Output {
    Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn stuck_lookups_block_nobody_and_have_a_bounded_number_of_threads() {
    let blocked = blocked(2);
    let mut first = blocked.resolver.resolve("first");
    let mut both = [blocked.begun.recv().unwrap(), blocked.begun.recv().unwrap()];
    both.sort();
    assert_eq!(both, ["first A", "first AAAA"]);
    assert!(poll(&mut first).is_pending());
    // A thousand lookups whose callers give up never run, and do not accumulate.
    for _ in 0..1000 {
        let mut waiting = blocked.resolver.clone().resolve("dropped");
        assert!(poll(&mut waiting).is_pending());
    }
    let second = blocked.resolver.resolve("second");
    let debug = format!("{:?}", blocked.resolver);
    assert!(debug.contains("threads: 2, waiting: 2,"), "{debug}");
    for _ in 0..4 {
        blocked.end.send(()).unwrap();
    }
    assert_eq!(wait(first.collect::<Vec<_>>()).len(), 2);
    assert_eq!(wait(second.collect::<Vec<_>>()).len(), 2);
    let rest: Vec<_> = blocked.begun.try_iter().collect();
    assert!(
        rest.iter().all(|lookup| lookup.starts_with("second")),
        "{rest:?}"
    );
    assert_eq!(blocked.at_most.load(SeqCst), 2);
}

#[test]
fn families_are_answered_apart_and_addresses_of_the_other_family_are_ignored() {
    let (end, ended) = mpsc::channel::<()>();
    let ended = Mutex::new(ended);
    let resolver = SystemResolver::with_lookup(move |_, family| {
        if family == Family::V6 {
            let _ = ended.lock().unwrap().recv();
        }
        Ok(addresses())
    });
    let mut answers = resolver.resolve("example.com");
    let first = wait(answers.next());
    assert!(
        matches!(&first, Some(Answer::A(Ok(all))) if all.len() == 1),
        "{first:?}"
    );
    assert!(poll(&mut answers).is_pending());
    end.send(()).unwrap();
    let second = wait(answers.next());
    assert!(
        matches!(&second, Some(Answer::Aaaa(Ok(all))) if all.len() == 1),
        "{second:?}"
    );
    assert!(wait(answers.next()).is_none());
}

#[test]
fn panic_of_a_lookup_is_an_error_and_frees_its_thread() {
    let resolver = SystemResolver::with_lookup(|_, _| -> io::Result<Vec<IpAddr>> {
        std::panic::resume_unwind(Box::new("no hook, no message"))
    });
    for _ in 0..20 {
        let answers = wait(resolver.resolve("x").collect::<Vec<_>>());
        for answer in answers {
            let error = match answer {
                Answer::Aaaa(answer) => answer.err(),
                Answer::A(answer) => answer.err(),
            };
            assert_eq!(error.unwrap().to_string(), "the lookup panicked");
        }
    }
}

#[test]
fn system_says_that_a_host_does_not_exist() {
    // RFC 6761, section 6.4: no such name exists, and a stub resolver may know that.
    let answers = wait(
        SystemResolver::new()
            .resolve("anyport.invalid")
            .collect::<Vec<_>>(),
    );
    assert_eq!(answers.len(), 2);
    for answer in answers {
        let error = match answer {
            Answer::Aaaa(answer) => answer.err(),
            Answer::A(answer) => answer.err(),
        };
        let error = error.expect("no address");
        let expected = ["no such host, or no such record", "no name server answers"];
        assert!(expected.contains(&&*error.to_string()), "{error}");
    }
}
