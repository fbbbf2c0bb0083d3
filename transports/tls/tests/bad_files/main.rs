//! Certificates and keys that cannot be used: at start one line says which file, and why. No error
//! contains anything of a key.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod chains;
#[path = "../client/mod.rs"]
mod client;
mod files;
#[path = "../fixture/mod.rs"]
mod fixture;
mod keys;
mod pem;
#[path = "../programs/mod.rs"]
mod programs;
mod unreadable;

use chains::{
    chain_in_the_wrong_order_is_rejected, key_of_another_certificate_is_rejected,
    malformed_certificate_in_a_chain_is_rejected, unusable_client_authorities_are_rejected,
};
use keys::{
    encrypted_keys_are_rejected, public_key_as_private_key_is_rejected,
    unsupported_key_types_are_rejected,
};
use pem::{malformed_pem_is_described, missing_files_are_named, other_file_contents_are_described};
use programs::Tests;
use std::process::ExitCode;
use unreadable::{no_other_user, unreadable_files_are_named};

fn main() -> ExitCode {
    let tests = Tests::default()
        .always("missing_files_are_named", missing_files_are_named)
        .always(
            "other_file_contents_are_described",
            other_file_contents_are_described,
        )
        .always("malformed_pem_is_described", malformed_pem_is_described)
        .always(
            "key_of_another_certificate_is_rejected",
            key_of_another_certificate_is_rejected,
        )
        .always(
            "chain_in_the_wrong_order_is_rejected",
            chain_in_the_wrong_order_is_rejected,
        )
        .always(
            "malformed_certificate_in_a_chain_is_rejected",
            malformed_certificate_in_a_chain_is_rejected,
        )
        .always(
            "unusable_client_authorities_are_rejected",
            unusable_client_authorities_are_rejected,
        )
        .unless(
            no_other_user(),
            "unreadable_files_are_named",
            unreadable_files_are_named,
        );
    tests!(
        tests,
        "openssl": encrypted_keys_are_rejected,
        unsupported_key_types_are_rejected,
        public_key_as_private_key_is_rejected,
    )
    .run()
}
