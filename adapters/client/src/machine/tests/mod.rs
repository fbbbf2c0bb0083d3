//! The pool's decisions: by tables, and by random sequences against invariants.
mod fixture;
mod random;
mod table;
