//! The licences, the sources and the known faults of what users build: deny.toml.

use super::Ignored;
use xshell::{Shell, cmd};

/// Runs cargo-deny, where it is installed; its advisories, where their list can be fetched.
pub(super) fn run(shell: &Shell) -> anyhow::Result<()> {
    let version = cmd!(shell, "cargo deny --version").quiet();
    if version.ignore_stdout().ignore_stderr().run().is_err() {
        return Err(Ignored::because(
            "cargo-deny is not installed: `cargo install cargo-deny --locked`",
        ));
    }
    cmd!(shell, "cargo deny check bans licenses sources").run()?;
    if cmd!(shell, "cargo deny fetch db").run().is_err() {
        return Err(Ignored::because(
            "licences, bans and sources pass; the list of advisories cannot be fetched",
        ));
    }
    Ok(cmd!(shell, "cargo deny check --disable-fetch advisories").run()?)
}
