//! Floor: no server, answers fixed bytes. What epoll and the kernel's TCP take for a request and an
//! answer, when nothing is between them.
//!
//! Each read is one request for it. It parses nothing, has no limits, and its date is that of its
//! start. Nothing that serves HTTP can be cheaper by these system calls.

use anyport_bench_child::{Address, announce, end_with_parent, listen};
use clap::Parser;
use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, CreateFlags, EventData, EventFlags},
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
};
use std::{
    net::{TcpListener, TcpStream},
    os::fd::{AsRawFd as _, OwnedFd},
    process::ExitCode,
    time::SystemTime,
};

/// As many connections may have something to read at once.
const EVENTS: usize = 1024;
/// No descriptor is so high.
const LISTENER: u64 = u64::MAX;

#[derive(Debug, Parser)]
#[command(
    about = "Floor: no server, answers whatever it reads with fixed bytes, until its stdin ends"
)]
struct Options {
    /// Where to listen: IP:PORT of this machine; port 0 is any free one.
    #[arg(long, value_name = "ADDR")]
    listen: Address,
}

/// The whole of its `main`.
#[must_use]
pub fn run() -> ExitCode {
    match answer_all(&Options::parse().listen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn answer_all(address: &Address) -> anyhow::Result<()> {
    let Address::Tcp(address) = *address else {
        anyhow::bail!("this peer listens on IP:PORT, not on {address}");
    };
    end_with_parent()?;
    let listener = listen(address)?;
    announce(&Address::Tcp(listener.local_addr()?))?;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 13\r\ndate: {}\r\n\r\nHello, World!",
        httpdate::fmt_http_date(SystemTime::now())
    );
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        &listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    // By descriptor.
    let mut connections = Vec::new();
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        events.clear();
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in &events {
            match event.data.u64() {
                LISTENER => accept(&listener, &epoll, &mut connections)?,
                descriptor => exchange(&mut connections[descriptor as usize], answer.as_bytes()),
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    epoll: &OwnedFd,
    connections: &mut Vec<Option<TcpStream>>,
) -> anyhow::Result<()> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let descriptor = usize::try_from(stream.as_raw_fd())?;
    epoll::add(
        epoll,
        &stream,
        EventData::new_u64(descriptor as u64),
        EventFlags::IN,
    )?;
    if connections.len() <= descriptor {
        connections.resize_with(descriptor + 1, || None);
    }
    connections[descriptor] = Some(stream);
    Ok(())
}

/// Takes what there is for a request, and answers; a peer that went, or takes no answer, is
/// dropped.
fn exchange(connection: &mut Option<TcpStream>, answer: &[u8]) {
    let mut request = [0; 4096];
    let Some(stream) = connection else { return };
    let answered = recv(&*stream, &mut request, RecvFlags::DONTWAIT).and_then(|(read, _)| {
        if read == 0 {
            return Err(Errno::PIPE);
        }
        send(&*stream, answer, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
    });
    match answered {
        Ok(sent) if sent == answer.len() => {}
        Err(Errno::AGAIN | Errno::INTR) => {}
        _ => *connection = None,
    }
}
