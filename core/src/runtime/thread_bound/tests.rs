use super::*;
use std::{sync::atomic::AtomicBool, task::Wake, thread};

/// Each test runs on a thread of its own, because a mailbox belongs to one thread.
fn on_a_thread(f: impl FnOnce() + Send + 'static) {
    thread::spawn(f).join().unwrap();
}

fn is_send<T: Send>(value: T) -> T {
    value
}

#[test]
fn other_threads_get_an_error_and_the_owner_drops_the_value() {
    on_a_thread(|| {
        let witness = Rc::new(());
        let mut bound = is_send(ThreadBound::new(Rc::clone(&witness)));
        bound
            .with(|value| assert_eq!(Rc::strong_count(value), 2))
            .unwrap();
        let bound = thread::spawn(move || {
            let error = bound.with(|_| ()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
            assert!(!bound.is_owner());
            bound
        });
        drop(bound.join().unwrap());
        assert_eq!(Rc::strong_count(&witness), 1, "dropped by its owner");
    });
}

#[test]
fn value_dropped_on_another_thread_is_dropped_by_its_owner() {
    struct Flag(AtomicBool);
    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    on_a_thread(|| {
        let witness = Rc::new(());
        let bound = ThreadBound::new(Rc::clone(&witness));
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&flag));
        assert!(poll_mailbox(&mut Context::from_waker(&waker)).is_pending());
        thread::spawn(move || drop(bound)).join().unwrap();
        assert!(flag.0.load(Ordering::SeqCst), "woken");
        assert_eq!(
            Rc::strong_count(&witness),
            2,
            "not yet: the owner has not been polled"
        );
        assert!(poll_mailbox(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(Rc::strong_count(&witness), 1);
    });
}

#[test]
fn values_are_dropped_at_the_end_of_their_thread() {
    let (bound, dropped) = thread::spawn(|| {
        struct Drops(Arc<AtomicBool>);
        impl Drop for Drops {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let dropped = Arc::new(AtomicBool::new(false));
        (ThreadBound::new(Drops(Arc::clone(&dropped))), dropped)
    })
    .join()
    .unwrap();
    assert!(dropped.load(Ordering::SeqCst));
    let mut bound = bound;
    assert!(bound.with(|_| ()).is_err());
}

#[test]
fn value_that_holds_another_one_is_dropped() {
    on_a_thread(|| {
        let inner = ThreadBound::new(1);
        drop(ThreadBound::new(inner));
        LOCAL.with(|local| assert!(local.values.borrow().is_empty()));
    });
}

#[test]
fn drop_all_drops_the_values_of_the_thread() {
    on_a_thread(|| {
        let witness = Rc::new(());
        let mut bound = ThreadBound::new(Rc::clone(&witness));
        drop_all();
        assert_eq!(Rc::strong_count(&witness), 1);
        let mut other = ThreadBound::new(Rc::new(()));
        assert!(bound.with(|_| ()).is_err());
        drop(bound);
        assert!(other.with(|_| ()).is_ok(), "a later value has its own key");
    });
}
