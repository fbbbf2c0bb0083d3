//! `testssl`: what a scanner of TLS servers finds.
use crate::programs::Tests;

pub(crate) fn tests(tests: Tests) -> Tests {
    tests
}
