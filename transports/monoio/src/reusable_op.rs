//! Operations of monoio that run one after another in one allocation, so that a request allocates
//! none.
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Operations of one kind, one at a time, in one allocation.
pub(crate) type ReusableOp<I, O> = Pin<Box<dyn StartOp<I, O>>>;

/// Allocates space for the operations that `start` begins.
pub(crate) fn reusable_op<I: 'static, F: Future + 'static>(
    start: impl FnMut(I) -> F + 'static,
) -> ReusableOp<I, F::Output> {
    Box::pin(OpSlot { start, op: None })
}

/// A reusable operation: it can be started again when it has completed.
pub(crate) trait StartOp<I, O> {
    /// Starts an operation. One that is still in flight is dropped.
    fn start(self: Pin<&mut Self>, input: I);

    fn is_in_flight(&self) -> bool;

    /// Ready when the operation has completed. Pending for ever if none was started.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<O>;
}

pin_project_lite::pin_project! {
    struct OpSlot<B, F> {
        start: B,
        #[pin]
        op: Option<F>,
    }
}

impl<I, B: FnMut(I) -> F, F: Future> StartOp<I, F::Output> for OpSlot<B, F> {
    fn start(self: Pin<&mut Self>, input: I) {
        let mut me = self.project();
        let op = (me.start)(input);
        me.op.set(Some(op));
    }

    fn is_in_flight(&self) -> bool {
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
    fn operation_can_be_restarted() {
        let mut cx = Context::from_waker(Waker::noop());
        let mut double = reusable_op(|n: u8| ready(2 * n));
        assert!(!double.is_in_flight() && double.as_mut().poll(&mut cx).is_pending());
        for n in [1, 2] {
            double.as_mut().start(n);
            assert!(double.is_in_flight());
            assert_eq!(double.as_mut().poll(&mut cx), Poll::Ready(2 * n));
        }
        assert!(!double.is_in_flight());
    }
}
