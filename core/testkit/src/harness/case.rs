//! One case of the suite, and the list of cases in a file.
use crate::{
    Capability,
    app::Boxed,
    harness::{
        any_subject::AnySubject,
        contract::{Clause, Topic},
    },
};

/// The cases of a file.
pub(crate) struct Group {
    /// The name of the file.
    pub(crate) name: &'static str,
    pub(crate) topic: Topic,
    pub(crate) cases: &'static [Case],
}

/// One case.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) needs: Option<Capability>,
    /// The sentence of the contract that it tests, unless it is that of its [`Topic`].
    pub(crate) clause: Option<&'static Clause>,
    /// Runs the case a second time, with upgraded connections and raw handlers on a thread that is
    /// not a worker.
    pub(crate) also_cross_thread: bool,
    pub(crate) run: fn(AnySubject) -> Boxed<()>,
}

/// Declares the cases of a file: async functions of an [`AnySubject`]. `needs` names the capability
/// that a case requires, `under` a sentence of the contract, and `also cross_thread` runs it [a
/// second time](Case::also_cross_thread).
macro_rules! cases {
    ($(
        $name:ident
        $(needs $capability:ident)?
        $(under $clause:ident)?
        $(also $cross_thread:ident)?
    ),+ $(,)?) => {
        pub(crate) const CASES: &[$crate::harness::case::Case] = &[$(
            $crate::harness::case::Case {
                name: stringify!($name),
                needs: $crate::harness::case::cases!(@needs $($capability)?),
                clause: $crate::harness::case::cases!(@under $($clause)?),
                also_cross_thread: $crate::harness::case::cases!(@also $($cross_thread)?),
                run: |subject| Box::pin($name(subject)),
            },
        )+];
    };
    (@needs) => { None };
    (@needs $capability:ident) => { Some($crate::Capability::$capability) };
    (@under) => { None };
    (@under $clause:ident) => { Some($crate::harness::contract::$clause) };
    (@also) => { false };
    (@also cross_thread) => { true };
}
pub(crate) use cases;
