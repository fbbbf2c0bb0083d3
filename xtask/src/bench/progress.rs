//! The progress of a run: one line with the time left in a terminal, a line now and then in a pipe.

use crate::output;
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::Cell;
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

/// Time between two lines in a pipe.
const PAUSE: Duration = Duration::from_secs(10);

pub(super) struct Progress {
    bar: ProgressBar,
    /// The end of the whole run, once it is known.
    end: Cell<Option<Instant>>,
    printed: Cell<Option<Instant>>,
}

impl Progress {
    pub(super) fn new() -> Self {
        let bar = match io::stderr().is_terminal() {
            true => ProgressBar::new_spinner(),
            false => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template("{elapsed_precise} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        Self {
            bar,
            end: Cell::new(None),
            printed: Cell::new(None),
        }
    }

    pub(super) fn ends_in(&self, left: Duration) {
        self.end.set(Some(Instant::now() + left));
        self.bar.enable_steady_tick(Duration::from_millis(500));
    }

    /// Prints a line that stays.
    pub(super) fn print(&self, text: &str) {
        self.bar.suspend(|| output::note(text));
    }

    /// Shows what is done now.
    pub(super) fn show(&self, text: &str) {
        let left = self
            .end
            .get()
            .map(|end| end.saturating_duration_since(Instant::now()));
        let text = match left {
            Some(left) => format!("{} left: {text}", minutes(left)),
            None => text.to_owned(),
        };
        if self.bar.is_hidden() {
            let printed = self.printed.get();
            if printed.is_none_or(|printed| printed.elapsed() >= PAUSE) {
                self.printed.set(Some(Instant::now()));
                output::note(text);
            }
        } else {
            self.bar.set_message(text);
        }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// `2:05 min`.
pub(super) fn minutes(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    format!("{}:{:02} min", seconds / 60, seconds % 60)
}
