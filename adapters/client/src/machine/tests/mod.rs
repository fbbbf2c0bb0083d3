//! The pool's decisions: by tables, and by random sequences against invariants.
mod random;
mod scene;
mod table;
