//! What this binary is when it's not the test: cargo, or a server.

use crate::bench::PATIENCE;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use serde_json::json;
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Command, ExitCode};
use std::{env, fs, io, thread};

/// What the servers do wrong.
pub(crate) const VARIABLE: &str = "STAND_IN";
/// The argument by which it's a compiler, which the stand-in of cargo starts.
pub(crate) const COMPILER: &str = "compile";
/// What cargo and compiler leave in their files.
pub(crate) const COMPILING: &str = "compiling";
/// Where each process leaves a file with its number as its name.
pub(crate) const FOLDER: &str = "STAND_IN_FOLDER";
/// The real one.
pub(crate) const CARGO: &str = "STAND_IN_CARGO";

/// What makes this binary become another, to which the kernel refuses io_uring.
pub(crate) const WITHOUT_IO_URING: &str = "without-io-uring";

fn does(what: &str) -> bool {
    env::var(VARIABLE).is_ok_and(|wrong| wrong == what)
}

/// By a filter, as container runtimes do; what it starts inherits that.
pub(crate) fn without_io_uring(command: &[String]) -> ExitCode {
    /// `io_uring_setup`, the same on all architectures.
    const SETUP: i64 = 425;
    const EPERM: u32 = 1;
    let refuse = [(SETUP, vec![])].into_iter().collect();
    let arch = env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(refuse, SeccompAction::Allow, SeccompAction::Errno(EPERM), arch);
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
    let error = Command::new(&command[0]).args(&command[1..]).exec();
    panic!("{error}");
}

/// Asks the real cargo.
pub(crate) fn metadata(arguments: &[String]) -> ExitCode {
    let error = Command::new(env::var_os(CARGO).unwrap()).args(arguments).exec();
    panic!("{error}");
}

/// Says that each binary was built.
pub(crate) fn build(arguments: &[String]) -> ExitCode {
    let after = |flag: &str| {
        let pairs = arguments.iter().zip(&arguments[1..]);
        let values = pairs
            .filter(|(word, _)| *word == flag)
            .map(|(_, value)| value.clone());
        values.collect::<Vec<_>>()
    };
    if does("peer-axum does not build") && after("--package") == ["peer-axum"] {
        eprintln!("error[E0000]: nothing is right");
        return ExitCode::from(101);
    }
    let folder = env::var_os(FOLDER).unwrap();
    if does("builds its second part forever") && fs::read_dir(&folder).unwrap().next().is_some() {
        tell(COMPILING);
        let compiler = Command::new(env::current_exe().unwrap()).arg(COMPILER).status();
        panic!("{compiler:?}");
    }
    for name in after("--bin") {
        let message = json!({
            "reason": "compiler-artifact",
            "package_id": format!("path+file:///stand-in#{name}@0.0.0"),
            "manifest_path": "/stand-in/Cargo.toml",
            "target": {
                "kind": ["bin"], "crate_types": ["bin"], "name": name, "src_path": "/stand-in/main.rs",
                "edition": "2024", "doc": true, "doctest": false, "test": false,
            },
            "profile": {
                "opt_level": "3", "debuginfo": 0, "debug_assertions": false, "overflow_checks": false, "test": false,
            },
            "features": [],
            "filenames": [],
            "executable": env::current_exe().unwrap(),
            "fresh": true,
        });
        println!("{message}");
    }
    ExitCode::SUCCESS
}

/// A compiler, which takes longer than anybody waits for it to be ended.
pub(crate) fn compile() -> ExitCode {
    tell(COMPILING);
    thread::sleep(2 * PATIENCE);
    ExitCode::FAILURE
}

/// Leaves a file with this process's number as its name, and in it what it does.
fn tell(what: &str) {
    let folder = env::var_os(FOLDER).unwrap();
    fs::write(Path::new(&folder).join(process::id().to_string()), what).unwrap();
}

/// Lets the kernel refuse io_uring to this process, as container runtimes do.
fn refuse_io_uring() {
    /// `io_uring_setup`, the same on all architectures.
    const SETUP: i64 = 425;
    const EPERM: u32 = 1;
    let refuse = [(SETUP, vec![])].into_iter().collect();
    let arch = env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(refuse, SeccompAction::Allow, SeccompAction::Errno(EPERM), arch);
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

/// A server of a thread per connection, which ends with its stdin; or the real one on monoio.
pub(crate) fn serve(arguments: &[String], listen: &str) -> ExitCode {
    tell("");
    if does("is refused io_uring") && arguments.iter().any(|argument| argument == "monoio") {
        refuse_io_uring();
        return anyport_bench_server::run();
    }
    if does("says nothing") {
        eprintln!("error: the stars aren't right");
        return ExitCode::from(3);
    }
    let listener = match bind(listen.parse().unwrap()) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("error: cannot bind {listen}: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut unserved = Vec::new();
        for (index, stream) in listener.incoming().flatten().enumerate() {
            if index >= 3 && does("serves three connections only") {
                unserved.push(stream);
                continue;
            }
            thread::spawn(move || answer(stream));
        }
    });
    io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
    ExitCode::SUCCESS
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_port(does("shares its port"))?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    Ok(socket.into())
}

fn answer(mut stream: impl Read + Write) {
    let length = if does("answers something else") { 12 } else { 13 };
    let response = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\
        date: Tue, 24 Nov 2026 12:00:00 GMT\r\n\r\n{}",
        &"Hello, World!"[..length]
    );
    let mut buffer = [0; 1024];
    for answered in 0.. {
        if does("dies") && answered == 100 {
            process::abort();
        }
        // A request is so short that it comes in one piece.
        let request = match stream.read(&mut buffer) {
            Ok(read) if buffer[..read].starts_with(PREFACE) => {
                return answer_over_http2(&buffer[PREFACE.len()..read], stream);
            }
            Ok(read) if read > 0 => String::from_utf8_lossy(&buffer[..read]).to_ascii_lowercase(),
            _ => return,
        };
        let is_last = request.contains("connection: close");
        let response = if is_last {
            response.replace("date:", "connection: close\r\ndate:")
        } else {
            response.clone()
        };
        if stream.write_all(response.as_bytes()).is_err() || is_last {
            return;
        }
    }
}

/// What HTTP/2 begins with (RFC 9113 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Answers one request, of which a part was read.
fn answer_over_http2(read: &[u8], mut stream: impl Read + Write) {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;
    /// Names without their values, by their places in HPACK's static table (RFC 7541 A).
    const LITERALS: [(u8, &str); 3] = [
        (28, "13"),
        (31, "text/plain; charset=utf-8"),
        (33, "Tue, 24 Nov 2026 12:00:00 GMT"),
    ];
    let frame = |kind, flags, id, payload: &[u8]| {
        let head = [0, 0, payload.len() as u8, kind, flags, 0, 0, 0, id];
        [&head, payload].concat()
    };
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
    let mut frames = read.chain(&mut stream);
    let mut head = [0; 9];
    while head[3] != HEADERS {
        frames.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        io::copy(&mut frames.by_ref().take(length.into()), &mut io::sink()).unwrap();
    }
    // The status 200 has a place of its own.
    let mut headers = vec![0x88];
    for (name, value) in LITERALS {
        headers.extend([0x0f, name - 15, value.len() as u8]);
        headers.extend(value.as_bytes());
    }
    let body: &[u8] = if does("answers something else over HTTP/2") {
        b"Hello, world!"
    } else {
        b"Hello, World!"
    };
    let answer = [
        frame(HEADERS, END_HEADERS, 1, &headers),
        frame(DATA, END_STREAM, 1, body),
    ];
    stream.write_all(&answer.concat()).unwrap();
    // Until the client goes.
    let _ = io::copy(&mut stream, &mut io::sink());
}
