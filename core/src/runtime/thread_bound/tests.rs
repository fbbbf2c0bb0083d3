use super::*;
use std::{sync::atomic::AtomicBool, task::Wake, thread};

/// A mailbox belongs to one thread, so each test has one of its own.
fn on_a_thread(f: impl FnOnce() + Send + 'static) {
    thread::spawn(f).join().unwrap();
}

fn is_send<T: Send>(value: T) -> T {
    value
}

#[test]
fn a_foreign_thread_gets_an_error_and_home_the_value() {
    on_a_thread(|| {
        let witness = Rc::new(());
        let mut bound = is_send(ThreadBound::new(Rc::clone(&witness)));
        bound
            .with(|value| assert_eq!(Rc::strong_count(value), 2))
            .unwrap();
        let bound = thread::spawn(move || {
            let error = bound.with(|_| ()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
            assert!(!bound.is_home());
            bound
        });
        drop(bound.join().unwrap());
        assert_eq!(Rc::strong_count(&witness), 1, "dropped at home");
    });
}

#[test]
fn what_is_dropped_elsewhere_comes_home() {
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
        assert!(poll_mail(&mut Context::from_waker(&waker)).is_pending());
        thread::spawn(move || drop(bound)).join().unwrap();
        assert!(flag.0.load(Ordering::SeqCst), "woken");
        assert_eq!(Rc::strong_count(&witness), 2, "not yet: nobody has looked");
        assert!(poll_mail(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(Rc::strong_count(&witness), 1);
    });
}

#[test]
fn a_thread_that_ends_takes_its_values_along() {
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
fn a_value_that_holds_another_is_dropped() {
    on_a_thread(|| {
        let inner = ThreadBound::new(1);
        drop(ThreadBound::new(inner));
        HOME.with(|home| assert!(home.values.borrow().is_empty()));
    });
}

#[test]
fn a_runtime_that_ends_drops_what_is_bound_to_its_thread() {
    on_a_thread(|| {
        let witness = Rc::new(());
        let mut bound = ThreadBound::new(Rc::clone(&witness));
        drop_all();
        assert_eq!(Rc::strong_count(&witness), 1);
        let mut other = ThreadBound::new(Rc::new(()));
        assert!(bound.with(|_| ()).is_err());
        drop(bound);
        assert!(
            other.with(|_| ()).is_ok(),
            "the next one has a place of its own"
        );
    });
}
