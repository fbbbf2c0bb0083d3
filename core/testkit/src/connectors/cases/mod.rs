//! The cases, by what they are about.
mod bytes;
mod descriptors;
mod failures;
mod handshake;
mod http;

use super::{ConnectorSubject, suite::ConnectorCase};

/// Every case, with the name of its file.
pub(super) fn all<S: ConnectorSubject>() -> Vec<(&'static str, ConnectorCase<S>)> {
    let files = [
        ("bytes", bytes::cases::<S>()),
        ("descriptors", descriptors::cases::<S>()),
        ("failures", failures::cases::<S>()),
        ("handshake", handshake::cases::<S>()),
        ("http", http::cases::<S>()),
    ];
    let of_file = files
        .into_iter()
        .map(|(file, cases)| cases.into_iter().map(move |case| (file, case)));
    of_file.flatten().collect()
}

/// Declares the cases of a file: async functions of a [`Fixture`](super::fixture::Fixture). `if`
/// names a function that says why a case does not apply, and `alone` runs it beside no other.
macro_rules! cases {
    ($($name:ident $(if $needs:ident)? $(also $alone:ident)?),+ $(,)?) => {
        pub(super) fn cases<S: $crate::connectors::ConnectorSubject>()
        -> Vec<$crate::connectors::suite::ConnectorCase<S>> {
            vec![$($crate::connectors::suite::ConnectorCase {
                name: stringify!($name),
                needs: $crate::connectors::cases::cases!(@needs $($needs)?),
                runs_alone: $crate::connectors::cases::cases!(@alone $($alone)?),
                run: |fixture| Box::pin($name(fixture)),
            }),+]
        }
    };
    (@needs) => { |_| Ok(()) };
    (@needs $needs:ident) => { $needs };
    (@alone) => { false };
    (@alone alone) => { true };
}
use cases;
