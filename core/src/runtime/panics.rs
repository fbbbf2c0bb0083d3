//! Catches panics of code outside this crate: apps, protocols, bodies.
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Runs `f`; a panic becomes an error with its message.
///
/// Callers drop whatever `f` left in an inconsistent state and never use it again, so asserting
/// unwind safety is sound.
#[inline(always)]
pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| message(&*panic))
}

#[cold]
fn message(panic: &(dyn Any + Send)) -> String {
    let text = match panic.downcast_ref::<&str>() {
        Some(text) => text,
        None => match panic.downcast_ref::<String>() {
            Some(text) => text,
            None => "a panic without a message",
        },
    };
    advised(text, cfg!(feature = "tokio"))
}

/// Adds advice if the app needs a tokio that is not there.
fn advised(text: &str, has_tokio: bool) -> String {
    match !has_tokio && text.contains("context of a Tokio 1.x runtime") {
        true => {
            format!("{text} (anyport's feature `tokio`, which is off, puts every app into one)")
        }
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{advised, catch};

    #[test]
    fn panic_without_tokio_names_the_feature() {
        let asked = || tokio::time::sleep(std::time::Duration::ZERO);
        let says = catch(asked).unwrap_err();
        assert!(
            advised(&says, false).contains("feature `tokio`, which is off"),
            "{says}"
        );
        assert_eq!(advised(&says, true), says);
        assert_eq!(advised("a mistake", false), "a mistake");
    }
}
