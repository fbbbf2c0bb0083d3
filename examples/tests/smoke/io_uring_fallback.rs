//! `io_uring_fallback`: io_uring where the kernel allows it, and tokio elsewhere.
use crate::{
    add,
    example::{Example, TIMEOUT, binary},
};
use anyport_testkit::requirements::Tests;
use std::process::Command;
#[cfg(target_os = "linux")]
use std::thread;

pub(crate) fn tests(tests: Tests) -> Tests {
    let tests = add!(tests, io_uring_fallback, chosen_transport_is_printed);
    #[cfg(target_os = "linux")]
    let tests = add!(
        tests,
        io_uring_fallback,
        refused_io_uring_falls_back_to_tokio_and_prints_why
    );
    tests
}

fn chosen_transport_is_printed() {
    let chosen = choice_after_a_response(start());
    let expected = ["transport: monoio, since ", "transport: tcp-per-core ("];
    assert!(
        expected.iter().any(|start| chosen.starts_with(start)),
        "{chosen}"
    );
}

/// Refuses io_uring with a seccomp filter, as container runtimes do. The filter covers this thread
/// and its child processes.
#[cfg(target_os = "linux")]
fn refused_io_uring_falls_back_to_tokio_and_prints_why() {
    let refused = thread::spawn(|| {
        refuse_io_uring();
        start()
    });
    let chosen = choice_after_a_response(refused.join().unwrap());
    let why = match cfg!(feature = "monoio") {
        true => "io_uring is refused (Operation not permitted (os error 1))",
        false => "monoio is not compiled in",
    };
    let is_right = chosen.starts_with("transport: tcp-per-core (") && chosen.contains(why);
    assert!(is_right, "{chosen}");
}

#[cfg(target_os = "linux")]
fn refuse_io_uring() {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
    // The number of `io_uring_setup` is the same on all architectures; 1 is EPERM.
    let (setup, eperm) = (425, 1);
    let refuse = [(setup, vec![])].into_iter().collect();
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(
        refuse,
        SeccompAction::Allow,
        SeccompAction::Errno(eperm),
        arch,
    );
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

fn start() -> Example {
    let mut command = Command::new(binary("io_uring_fallback"));
    Example::spawn(command.args(["--listen", "127.0.0.1:0"])).unwrap()
}

/// The printed choice, after the server has responded.
fn choice_after_a_response(mut example: Example) -> String {
    let chosen = example.stdout.recv_timeout(TIMEOUT).unwrap();
    example.wait_until_listening();
    assert!(example.exchange("GET /").ends_with("\r\n\r\nHello, World!"));
    example.terminate().assert_success();
    chosen
}
