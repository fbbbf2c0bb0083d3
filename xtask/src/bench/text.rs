//! How numbers and sentences are set for a terminal.

use super::report::{Span, Unit};
use anyport_bench_child::Workload;
use std::num::NonZeroUsize;

/// No line of what's printed is longer.
pub(super) const WIDTH: u16 = 100;

/// With commas between thousands.
pub(super) fn grouped(value: f64, decimals: usize) -> String {
    let mut text = format!("{value:.decimals$}");
    // What's rounded to nothing has no sign.
    if text.starts_with('-') && text.chars().all(|digit| matches!(digit, '-' | '0' | '.')) {
        text.remove(0);
    }
    let whole = text.find('.').unwrap_or(text.len());
    let mut grouped = String::new();
    for (index, digit) in text.chars().enumerate() {
        let to_point = whole.wrapping_sub(index);
        if index > 0 && index < whole && to_point % 3 == 0 && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A value and its span; alone if there's no difference that would be seen.
pub(super) fn spanned(value: f64, span: Option<Span>, unit: Unit) -> String {
    let value = grouped(value, unit.decimals());
    match span.and_then(|span| span.shown(unit)) {
        Some(span) => format!("{value} ({span})"),
        None => value,
    }
}

/// A request of an upload brings 1 MiB: what's counted per request is counted per MiB.
pub(super) fn per(workload: &str, words: &str) -> String {
    if workload == Workload::Upload1M.name() {
        words
            .replace("per request", "per MiB")
            .replace("/request", "/MiB")
    } else {
        words.to_owned()
    }
}

/// `one worker`, `2 workers`.
pub(super) fn workers(number: NonZeroUsize) -> String {
    match number.get() {
        1 => "one worker".to_owned(),
        number => format!("{number} workers"),
    }
}

/// Breaks a text between words.
pub(super) fn wrap(text: &str) -> String {
    let mut wrapped = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > usize::from(WIDTH) {
            wrapped.push('\n');
            width = 0;
        }
        if width > 0 {
            wrapped.push(' ');
            width += 1;
        }
        wrapped += word;
        width += length;
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::{WIDTH, grouped, wrap};

    #[test]
    fn a_text_is_broken_between_words() {
        let word = "x".repeat(usize::from(WIDTH) / 2);
        assert_eq!(
            wrap(&format!("{word} a {word}\n  b")),
            format!("{word} a\n{word} b")
        );
        assert_eq!(wrap(""), "");
    }

    #[test]
    fn thousands_are_grouped() {
        for (value, decimals, expected) in [
            (0.0, 0, "0"),
            (999.0, 0, "999"),
            (1000.0, 0, "1,000"),
            (1_234_567.0, 0, "1,234,567"),
            (1234.567, 2, "1,234.57"),
            (-1234.5, 1, "-1,234.5"),
            (-123.0, 0, "-123"),
            (2.048, 2, "2.05"),
            (-0.001, 2, "0.00"),
            (-0.01, 2, "-0.01"),
        ] {
            assert_eq!(grouped(value, decimals), expected);
        }
    }
}
