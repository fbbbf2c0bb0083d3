//! Operations of monoio that run one after another in one allocation, so that a request allocates
//! none.
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Operations of one kind, one at a time.
pub(crate) type Operations<I, O> = Pin<Box<dyn Repeat<I, O>>>;

/// Makes a place for operations that are begun so.
pub(crate) fn operations<I: 'static, F: Future + 'static>(
    begin: impl FnMut(I) -> F + 'static,
) -> Operations<I, F::Output> {
    Box::pin(Repeated { begin, op: None })
}

/// An operation that can be begun again when it's done.
pub(crate) trait Repeat<I, O> {
    /// Begins one. If there was one before, it's dropped.
    fn begin(self: Pin<&mut Self>, input: I);

    /// Whether one has been begun, and isn't done.
    fn is_under_way(&self) -> bool;

    /// Ready when it's done. Pending for ever, if there's none.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<O>;
}

pin_project_lite::pin_project! {
    struct Repeated<B, F> {
        begin: B,
        #[pin]
        op: Option<F>,
    }
}

impl<I, B: FnMut(I) -> F, F: Future> Repeat<I, F::Output> for Repeated<B, F> {
    fn begin(self: Pin<&mut Self>, input: I) {
        let mut me = self.project();
        let op = (me.begin)(input);
        me.op.set(Some(op));
    }

    fn is_under_way(&self) -> bool {
        self.op.is_some()
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut me = self.project();
        let Some(op) = me.op.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let output = ready!(op.poll(cx));
        me.op.set(None);
        Poll::Ready(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::ready, task::Waker};

    #[test]
    fn an_operation_is_followed_by_another() {
        let mut cx = Context::from_waker(Waker::noop());
        let mut double = operations(|n: u8| ready(2 * n));
        assert!(!double.is_under_way() && double.as_mut().poll(&mut cx).is_pending());
        for n in [1, 2] {
            double.as_mut().begin(n);
            assert!(double.is_under_way());
            assert_eq!(double.as_mut().poll(&mut cx), Poll::Ready(2 * n));
        }
        assert!(!double.is_under_way());
    }
}
