//! What this binary is when it's not the test: cargo, or a server.

use crate::bench::PATIENCE;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use serde_json::json;
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

/// The fault of the real server.
pub(crate) const FAULT: &str = "STAND_IN_FAULT";
/// The value of [`FAULT`] that is none.
pub(crate) const HEALTHY: &str = "none";

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
    let filter = SeccompFilter::new(
        refuse,
        SeccompAction::Allow,
        SeccompAction::Errno(EPERM),
        arch,
    );
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
    let error = Command::new(&command[0]).args(&command[1..]).exec();
    panic!("{error}");
}

/// Asks the real cargo.
pub(crate) fn metadata(arguments: &[String]) -> ExitCode {
    let error = Command::new(env::var_os(CARGO).unwrap())
        .args(arguments)
        .exec();
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
    if does("builds its references forever") && after("--package") == ["peer-by-hand"] {
        tell(COMPILING);
        let compiler = Command::new(env::current_exe().unwrap())
            .arg(COMPILER)
            .status();
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

/// A server of a thread per connection, which ends with its stdin; or the real one.
pub(crate) fn serve(listen: &str) -> ExitCode {
    tell("");
    let fault = env::var(FAULT).unwrap_or_default();
    if !fault.is_empty() {
        let arguments = env::args_os();
        let fault = if fault == HEALTHY {
            vec![]
        } else {
            vec!["--fault".into(), fault.into()]
        };
        return anyport_bench_server::run_with(arguments.chain(fault));
    }
    if does("says nothing") {
        eprintln!("error: the stars aren't right");
        return ExitCode::from(3);
    }
    if does("listens nowhere") {
        io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
        return ExitCode::SUCCESS;
    }
    let listener = match bind(listen.trim_start_matches("tcp:").parse().unwrap()) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("error: cannot bind {listen}: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
    ExitCode::SUCCESS
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
}

fn answer(mut stream: impl Read + Write) {
    let length = if does("answers something else") {
        12
    } else {
        13
    };
    let response = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\
        date: Tue, 24 Nov 2026 12:00:00 GMT\r\n\r\n{}",
        &"Hello, World!"[..length]
    );
    let mut buffer = [0; 1024];
    for answered in 0.. {
        if does("dies") && answered == 2 {
            process::abort();
        }
        // A request is so short that it comes in one piece.
        let request = match stream.read(&mut buffer) {
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
