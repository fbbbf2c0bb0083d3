//! The stand-ins of this binary: cargo, a compiler and a server.

use crate::bench::TIMEOUT;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Command, ExitCode};
use std::{env, fs, io, thread};

/// What fails, each with its subject, separated by semicolons.
pub(crate) const FAULTS: &str = "STAND_IN_FAULTS";
/// The fault of the real server.
pub(crate) const REAL_FAULT: &str = "STAND_IN_REAL_FAULT";
/// The value of [`REAL_FAULT`] without one.
pub(crate) const HEALTHY: &str = "none";
/// The folder where each process writes a file with its number as its name.
pub(crate) const FOLDER: &str = "STAND_IN_FOLDER";
/// The real cargo.
pub(crate) const CARGO: &str = "STAND_IN_CARGO";
/// The argument of the compiler that the stand-in of cargo starts.
pub(crate) const COMPILER: &str = "compile";
/// The contents of the files of cargo and compiler.
pub(crate) const COMPILING: &str = "compiling";
/// The argument with which the kernel refuses io_uring to the command that follows.
pub(crate) const WITHOUT_IO_URING: &str = "without-io-uring";

fn has_fault(fault: &str) -> bool {
    env::var(FAULTS).is_ok_and(|faults| faults.split(';').any(|of| of == fault))
}

/// Applies a filter, as container runtimes do, and becomes the command.
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

/// Becomes the real cargo.
pub(crate) fn metadata(arguments: &[String]) -> ExitCode {
    let error = Command::new(env::var_os(CARGO).unwrap())
        .args(arguments)
        .exec();
    panic!("{error}");
}

/// Reports that each binary was built.
pub(crate) fn build(arguments: &[String]) -> ExitCode {
    let package = after(arguments, "--package").unwrap();
    if has_fault(&format!("{package} does not build")) {
        eprintln!("error[E0000]: an error on purpose");
        return ExitCode::from(101);
    }
    if has_fault(&format!("{package} builds forever")) {
        write_file(COMPILING);
        let compiler = Command::new(env::current_exe().unwrap())
            .arg(COMPILER)
            .status();
        panic!("{compiler:?}");
    }
    let name = after(arguments, "--bin").unwrap();
    let message = json!({
        "reason": "compiler-artifact",
        "package_id": format!("path+file:///stand-in#{name}@0.0.0"),
        "manifest_path": "/stand-in/Cargo.toml",
        "target": {
            "kind": ["bin"], "crate_types": ["bin"], "name": name, "src_path": "/stand-in/main.rs",
            "edition": "2024", "doc": true, "doctest": false, "test": false,
        },
        "profile": {
            "opt_level": "3", "debuginfo": 0, "debug_assertions": false,
            "overflow_checks": false, "test": false,
        },
        "features": [],
        "filenames": [],
        "executable": env::current_exe().unwrap(),
        "fresh": true,
    });
    println!("{message}");
    ExitCode::SUCCESS
}

/// The argument after this one.
pub(crate) fn after<'a>(arguments: &'a [String], flag: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|word| word == flag)?;
    arguments.get(at + 1).map(String::as_str)
}

/// A compiler that runs longer than any test waits.
pub(crate) fn compile() -> ExitCode {
    write_file(COMPILING);
    thread::sleep(2 * TIMEOUT);
    ExitCode::FAILURE
}

/// Writes this process's file.
fn write_file(contents: &str) {
    let folder = env::var_os(FOLDER).unwrap();
    fs::write(Path::new(&folder).join(process::id().to_string()), contents).unwrap();
}

/// A server with a thread per connection, which ends with its stdin; or the real one.
pub(crate) fn serve(arguments: &[String], listen: &str) -> ExitCode {
    write_file("");
    let real_fault = env::var(REAL_FAULT).unwrap_or_default();
    if !real_fault.is_empty() {
        let fault = match real_fault.as_str() {
            HEALTHY => vec![],
            _ => vec!["--fault".into(), real_fault.into()],
        };
        return anyport_bench_server::run(env::args_os().chain(fault));
    }
    let name = after(arguments, "--server").unwrap_or_default().to_owned();
    if has_fault(&format!("{name} does not start")) {
        eprintln!("error: cannot start on purpose");
        return ExitCode::from(3);
    }
    // A proxy responds itself, but it needs an upstream that listens.
    if name == "proxy" {
        TcpStream::connect(after(arguments, "--upstream").unwrap()).unwrap();
    }
    let listener = TcpListener::bind(listen).unwrap();
    println!("{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let name = name.clone();
            thread::spawn(move || respond(stream, &name));
        }
    });
    io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
    ExitCode::SUCCESS
}

fn respond(mut stream: impl Read + Write, name: &str) {
    let aborts = has_fault(&format!("{name} aborts"));
    let length = if has_fault(&format!("{name} sends another body")) {
        12
    } else {
        13
    };
    let body = &"Hello, World!"[..length];
    let response = |headers| {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\n\
            content-length: {length}\r\n{headers}date: Tue, 24 Nov 2026 12:00:00 GMT\r\n\r\n{body}"
        )
    };
    let mut buffer = [0; 1024];
    for responses in 0.. {
        if aborts && responses == 2 {
            process::abort();
        }
        // A request is so short that it comes in one read.
        let request = match stream.read(&mut buffer) {
            Ok(read) if read > 0 => String::from_utf8_lossy(&buffer[..read]).to_ascii_lowercase(),
            _ => return,
        };
        let is_last = request.contains("connection: close");
        let headers = if is_last { "connection: close\r\n" } else { "" };
        if stream.write_all(response(headers).as_bytes()).is_err() || is_last {
            return;
        }
    }
}
