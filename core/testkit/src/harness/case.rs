//! One case of the suite, and the list of cases in a file.
use crate::{Capability, app::Boxed, harness::any_subject::AnySubject};

/// One case.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) needs: Option<Capability>,
    /// Runs the case a second time, with upgraded connections and raw handlers on a thread that is
    /// not a worker.
    pub(crate) also_cross_thread: bool,
    pub(crate) run: fn(AnySubject) -> Boxed<()>,
}

/// Declares the cases of a file: async functions of an [`AnySubject`]. `needs` names the capability
/// that a case requires, `also cross_thread` runs it [a second time](Case::also_cross_thread).
macro_rules! cases {
    ($($name:ident $(needs $capability:ident)? $(also $cross_thread:ident)?),+ $(,)?) => {
        pub(crate) const CASES: &[$crate::harness::case::Case] = &[$(
            $crate::harness::case::Case {
                name: stringify!($name),
                needs: $crate::harness::case::cases!(@needs $($capability)?),
                also_cross_thread: $crate::harness::case::cases!(@also $($cross_thread)?),
                run: |subject| Box::pin($name(subject)),
            },
        )+];
    };
    (@needs) => { None };
    (@needs $capability:ident) => { Some($crate::Capability::$capability) };
    (@also) => { false };
    (@also cross_thread) => { true };
}
pub(crate) use cases;
