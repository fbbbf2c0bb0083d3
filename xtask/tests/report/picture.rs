//! What a reader sees of the page, on a screen and on a phone, in light and dark.

use crate::chromium::{self, Chart, Curve, HEIGHT, Measured, Picture, Scheme};
use crate::fixture::{late, records, results, work};
use crate::xtask::{page, trial};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Pixels by which a place may differ: coordinates are written to a tenth, and a page is scaled.
const CLOSE: f64 = 0.3;

pub(crate) fn all() -> Vec<Trial> {
    let chromium = chromium::find();
    let kinds = [
        (1280, Scheme::Light),
        (1280, Scheme::Dark),
        (400, Scheme::Light),
        (400, Scheme::Dark),
    ];
    let trials = kinds.map(|(width, scheme)| {
        let name = format!(
            "a_reader_sees_the_numbers_at_{width}_pixels_{}",
            format!("{scheme:?}").to_lowercase()
        );
        match chromium.clone() {
            Some(chromium) => trial(name, move || is_seen(&chromium, width, scheme)),
            // Also if somebody asks for ignored tests: a test that can't be run is never green.
            None => Trial::test(name, || Err(Failed::from("needs chromium")))
                .with_kind("needs chromium")
                .with_ignored_flag(true),
        }
    });
    trials.into()
}

fn is_seen(chromium: &Path, width: u32, scheme: Scheme) {
    // Kept, for whoever wants to have a look.
    let path =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{width}-{scheme:?}.png").to_lowercase());
    let look = || chromium::look(chromium, page(), width, scheme, &path);
    let (measured, mut picture) = look();
    // Chromium may leave out what wasn't drawn in time; it's always something else.
    for _ in 0..3 {
        if dots(&measured).all(|dot| dot.is_drawn(&picture)) {
            break;
        }
        picture = look().1;
    }
    fits(&measured, width);
    has_its_colours(&measured, &picture, width, scheme);
    let results = results();
    let records = records(&results);
    let mut marks = 0;
    for chart in &measured.charts {
        marks += marks_are_where_the_numbers_say(chart, &records);
    }
    assert!(marks > 500, "only {marks} marks");
    assert_eq!(measured.curves.len(), 43);
    measured.curves.iter().for_each(curve_is_where_the_numbers_say);
}

fn fits(measured: &Measured, width: u32) {
    assert!(
        measured.width <= f64::from(width),
        "the page is {} pixels wide",
        measured.width
    );
    assert_eq!(measured.cut, [""; 0], "outside of their charts");
    assert_eq!(measured.touching, [""; 0], "run into each other");
}

fn has_its_colours(measured: &Measured, picture: &Picture, width: u32, scheme: Scheme) {
    assert_eq!(measured.dark, scheme == Scheme::Dark);
    assert_eq!(picture.height, HEIGHT);
    let (background, text) = (rgb(&measured.background), rgb(&measured.text));
    assert_eq!(background.map(|part| part > 127), [scheme == Scheme::Light; 3]);
    assert_eq!(text.map(|part| part > 127), [scheme == Scheme::Dark; 3]);
    assert_eq!(picture.pixel(2, 2), background);
    // A mark has its colour at its middle, so it's drawn, and where it's said to be.
    let mut seen = BTreeMap::<&str, usize>::new();
    for dot in dots(measured) {
        assert!(dot.is_drawn(picture), "{dot:?}");
        *seen.entry(dot.kind).or_default() += 1;
    }
    assert!(
        seen.len() == 2 && seen.values().all(|&seen| seen > 20),
        "{seen:?}"
    );
    // Letters have shades.
    let pixels = (0..width).flat_map(|x| (0..HEIGHT).step_by(7).map(move |y| picture.pixel(x, y)));
    let colours: BTreeSet<[u8; 3]> = pixels.collect();
    assert!(
        colours.len() > 100 && colours.contains(&text),
        "{} colours",
        colours.len()
    );
}

/// The middle of a mark that's filled, and its colour.
#[derive(Debug)]
#[expect(
    dead_code,
    reason = "the target's name is for whoever reads why a test failed"
)]
struct Dot<'a> {
    target: &'a str,
    kind: &'a str,
    place: (u32, u32),
    colour: [u8; 3],
}

impl Dot<'_> {
    fn is_drawn(&self, picture: &Picture) -> bool {
        picture.pixel(self.place.0, self.place.1) == self.colour
    }
}

fn dots(measured: &Measured) -> impl Iterator<Item = Dot<'_>> {
    let rows = measured.charts.iter().flat_map(|chart| &chart.rows);
    rows.filter_map(|row| {
        let mark = row.mark.as_ref()?;
        let is_dot = mark.kind == "circle" || mark.kind == "path";
        let is_seen = mark.classes.contains("differs") && mark.place.bottom < f64::from(HEIGHT);
        (is_dot && is_seen).then(|| Dot {
            target: &row.target,
            kind: &mark.kind,
            place: (
                f64::midpoint(mark.place.left, mark.place.right) as u32,
                f64::midpoint(mark.place.top, mark.place.bottom) as u32,
            ),
            colour: rgb(&mark.fill),
        })
    })
}

/// Of `rgb(1, 2, 3)`.
fn rgb(text: &str) -> [u8; 3] {
    let parts = text.trim_start_matches("rgb(").trim_end_matches(')').split(", ");
    let parts: Vec<u8> = parts.map(|part| part.parse().unwrap()).collect();
    parts.try_into().unwrap()
}

/// By the ticks alone, as a reader would. How many marks there are.
fn marks_are_where_the_numbers_say(chart: &Chart, records: &[&Value]) -> usize {
    let (first, last) = (&chart.ticks[0], chart.ticks.last().unwrap());
    assert!(last.x - first.x > 10.0, "{}: {:?}", chart.id, chart.ticks);
    let along = |value: f64| {
        if chart.scale == "linear" {
            value
        } else {
            value.ln()
        }
    };
    let place = |value: f64| {
        first.x
            + (along(value) - along(first.value)) / (along(last.value) - along(first.value))
                * (last.x - first.x)
    };
    for tick in &chart.ticks {
        is_close(tick.x, place(tick.value), 2.0 * CLOSE, &chart.id, "a tick");
    }
    // Two ticks near each other tell a place far away less exactly.
    let far = |x: f64| CLOSE * (2.0 + ((x - first.x) / (last.x - first.x)).abs());
    let mut marks = 0;
    for row in &chart.rows {
        let record = record(records, &chart.id, &row.target);
        let Some(mark) = &row.mark else {
            assert!(
                record["value"].is_null() || record["mark"] == "client-bound",
                "{}: {}",
                chart.id,
                row.target
            );
            continue;
        };
        marks += 1;
        let found = match mark.kind.as_str() {
            "rect" => mark.place.right,
            _ => f64::midpoint(mark.place.left, mark.place.right),
        };
        let expected = place(record["value"].as_f64().unwrap());
        is_close(found, expected, far(expected), &chart.id, &row.target);
        if let Some(whisker) = &row.whisker {
            let ends = match record["span"].is_null() {
                true => [&record["low"], &record["high"]],
                false => [&record["span"]["lowest"], &record["span"]["highest"]],
            };
            for (found, end) in [whisker.left, whisker.right].into_iter().zip(ends) {
                let expected = place(end.as_f64().unwrap());
                is_close(found, expected, far(expected), &chart.id, &row.target);
            }
        }
    }
    marks
}

#[track_caller]
fn is_close(found: f64, expected: f64, close: f64, chart: &str, what: &str) {
    assert!(
        (found - expected).abs() < close,
        "{chart}: {what} is at {found} instead of {expected}"
    );
}

/// The one that a chart's row is of, by the chart's id.
fn record<'a>(records: &[&'a Value], chart: &str, target: &str) -> &'a Value {
    let id = |record: &Value| {
        let unit = match record["unit"].as_str().unwrap() {
            "rate ratio" => "rate × reference",
            "ratio" => "cpu time × reference",
            "syscalls/request" => "system calls/request",
            "bytes/request" => "allocated bytes/request",
            "us/request" => "cpu µs/request",
            unit => unit,
        };
        let words = ["figure", "workload", "allocator"].map(|name| record[name].as_str().unwrap());
        let id = format!("{} {} {unit}", words.join(" "), record["connections"]);
        id.to_lowercase()
            .replace(|letter: char| !letter.is_ascii_alphanumeric(), "-")
    };
    let found = records
        .iter()
        .find(|record| record["target"] == target && id(record) == chart);
    found.unwrap_or_else(|| panic!("{target} in {chart} is of no record"))
}

/// At each nine, by the ticks of its other axis.
fn curve_is_where_the_numbers_say(curve: &Curve) {
    let connections = if curve.id.contains("-256-") { 256 } else { 64 };
    let (first, last) = (&curve.late[0], curve.late.last().unwrap());
    let place = |late: f64| {
        first.y + (late / first.value).ln() / (last.value / first.value).ln() * (last.y - first.y)
    };
    assert!(curve.rare.len() >= 4, "{}", curve.id);
    // What's later than the last line of the histogram is the slowest answer.
    for rare in curve.rare.iter().filter(|rare| rare.value < 1e4) {
        let expected = place(late(1.0 - 1.0 / rare.value, work(&curve.target), connections));
        // It's drawn in straight lines between the lines of the histogram.
        is_close(rare.y, expected, 1.0, &curve.id, &format!("1 in {}", rare.value));
    }
}
