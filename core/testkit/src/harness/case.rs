//! A test of the suite, and the list of tests in a file.
use crate::{Capability, app::Boxed, harness::site::Site};

/// One test.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) needs: Option<Capability>,
    /// It's run once more, with upgraded connections and raw handlers on a thread that's no
    /// worker's.
    pub(crate) also_abroad: bool,
    pub(crate) run: fn(Site) -> Boxed<()>,
}

/// The tests of a file: async functions of a [`Site`], each with what it needs of a transport, if
/// that's not to be had everywhere, and whether it's run [abroad](Case::also_abroad), too.
macro_rules! cases {
    ($($name:ident $(needs $capability:ident)? $(also $abroad:ident)?),+ $(,)?) => {
        pub(crate) const CASES: &[$crate::harness::case::Case] = &[$(
            $crate::harness::case::Case {
                name: stringify!($name),
                needs: $crate::harness::case::cases!(@needs $($capability)?),
                also_abroad: $crate::harness::case::cases!(@also $($abroad)?),
                run: |site| Box::pin($name(site)),
            },
        )+];
    };
    (@needs) => { None };
    (@needs $capability:ident) => { Some($crate::Capability::$capability) };
    (@also) => { false };
    (@also abroad) => { true };
}
pub(crate) use cases;
