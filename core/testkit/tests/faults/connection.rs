//! A connection over a pipe, which has faults.
use crate::Fault;
use anyport_core::{ConnInfo, Connection, transport::Endpoint};
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use tokio::{
    io::DuplexStream,
    time::{Sleep, sleep},
};

pub(crate) struct PipeConnection {
    io: TokioIo<DuplexStream>,
    info: ConnInfo,
    fault: Fault,
    delay: Option<Pin<Box<Sleep>>>,
}

impl PipeConnection {
    pub(crate) fn new(stream: DuplexStream, local: Endpoint, fault: Fault) -> Self {
        Self {
            io: TokioIo::new(stream),
            info: ConnInfo::new(Endpoint::custom("pipe"), local),
            fault,
            delay: None,
        }
    }
}

impl Connection for PipeConnection {
    fn info(&self) -> &ConnInfo {
        &self.info
    }
}

impl Read for PipeConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match self.fault {
            Fault::RestOfMessageLost => {
                let mut message = [MaybeUninit::uninit(); 1000];
                let mut message = ReadBuf::uninit(&mut message);
                ready!(Pin::new(&mut self.io).poll_read(cx, message.unfilled()))?;
                let fits = message.filled().len().min(buf.remaining());
                buf.put_slice(&message.filled()[..fits]);
                return Poll::Ready(Ok(()));
            }
            Fault::TimerOfThisThread => {
                let new = || Box::pin(sleep(Duration::from_millis(1)));
                let delay = self.delay.get_or_insert_with(new);
                ready!(delay.as_mut().poll(cx));
                self.delay = None;
            }
            Fault::PanicInRead => panic!("the buffer is gone"),
            Fault::WakerDropped => {
                let cx = &mut Context::from_waker(Waker::noop());
                return Pin::new(&mut self.io).poll_read(cx, buf);
            }
            _ => {}
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for PipeConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.fault {
            Fault::NoShutdown => Poll::Ready(Ok(())),
            _ => Pin::new(&mut self.io).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.fault != Fault::FirstSliceOnly {
            return Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        }
        let first = bufs.first().map_or(&[][..], |first| first);
        ready!(Pin::new(&mut self.io).poll_write(cx, first))?;
        Poll::Ready(Ok(bufs.iter().map(|slice| slice.len()).sum()))
    }
}
