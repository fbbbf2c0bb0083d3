//! `cargo xtask bench report` and `bench compare` from outside, on a run that nobody measured.
#![cfg_attr(
    target_os = "linux",
    expect(clippy::unwrap_used, reason = "a test that can't go on should stop")
)]

#[cfg(target_os = "linux")]
mod chromium;
#[cfg(target_os = "linux")]
mod compare;
#[cfg(target_os = "linux")]
mod fixture;
#[cfg(target_os = "linux")]
mod page;
#[cfg(target_os = "linux")]
mod picture;
#[cfg(target_os = "linux")]
mod xtask;

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let trials = [page::all(), compare::all(), picture::all()];
    let trials = trials.into_iter().flatten().collect();
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials).exit_code()
}
