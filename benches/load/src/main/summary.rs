//! What's printed: lines for a reader, or an object for a program.

use crate::options::Target;
use anyport_bench_load::Latency;
use serde_json::{Map, Value, json};
use std::time::Duration;

const PERCENTILES: [(&str, f64); 4] = [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9)];

/// Figures in the order in which they're told.
pub(crate) struct Summary {
    object: Map<String, Value>,
    lines: Vec<(String, String)>,
    notes: Vec<String>,
}

impl Summary {
    pub(crate) fn new(kind: &'static str, target: &Target) -> Self {
        let mut summary = Self {
            object: Map::new(),
            lines: Vec::new(),
            notes: Vec::new(),
        };
        summary.text("load", kind);
        summary.text("address", &target.address.to_string());
        summary.text("workload", target.workload.name());
        summary.count("connections", target.connections.get() as u64);
        summary
    }

    fn text(&mut self, name: &str, text: &str) {
        self.add(name, json!(text), text.to_owned());
    }

    pub(crate) fn count(&mut self, name: &str, count: u64) {
        self.add(name, json!(count), count.to_string());
    }

    /// So many in a second.
    pub(crate) fn rate(&mut self, name: &str, rate: f64) {
        self.add(name, json!(rate), format!("{rate:.0}"));
    }

    /// So many in that time, and how many that is in a second.
    pub(crate) fn effort(&mut self, name: &str, count: u64, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        self.time("elapsed", elapsed);
        self.rate(
            name,
            if seconds > 0.0 {
                count as f64 / seconds
            } else {
                0.0
            },
        );
    }

    pub(crate) fn share(&mut self, name: &str, share: f64) {
        self.add(name, json!(share), format!("{:.0} %", 100.0 * share));
    }

    pub(crate) fn time(&mut self, name: &str, time: Duration) {
        self.add_time(name, microseconds(time), readable(time));
    }

    pub(crate) fn latency(&mut self, name: &str, latency: &Latency) {
        let mut figures: Vec<_> = PERCENTILES
            .map(|(name, percent)| (name, latency.percentile(percent)))
            .into();
        figures.extend([("max", latency.max()), ("mean", latency.mean())]);
        let texts = figures
            .iter()
            .map(|(name, time)| format!("{name} {}", readable(*time)));
        let text = texts.collect::<Vec<_>>().join(", ");
        let object = figures
            .iter()
            .map(|(name, time)| ((*name).to_owned(), microseconds(*time)));
        self.add_time(name, Value::Object(object.collect()), text);
    }

    /// What the reader must know.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    fn add_time(&mut self, name: &str, microseconds: Value, text: String) {
        self.object.insert(format!("{name}_us"), microseconds);
        self.lines.push((name.replace('_', " "), text));
    }

    fn add(&mut self, name: &str, value: Value, text: String) {
        self.object.insert(name.to_owned(), value);
        self.lines.push((name.replace('_', " "), text));
    }

    pub(crate) fn print(mut self, is_json: bool) {
        if is_json {
            self.object.insert("notes".to_owned(), json!(self.notes));
            println!("{}", Value::Object(self.object));
            return;
        }
        for (name, text) in &self.lines {
            println!("{name:<22} {text}");
        }
        for note in &self.notes {
            println!("{note}");
        }
    }
}

fn microseconds(time: Duration) -> Value {
    json!(time.as_nanos() as f64 / 1000.0)
}

fn readable(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds >= 1.0 {
        format!("{seconds:.2} s")
    } else if seconds >= 1e-3 {
        format!("{:.2} ms", 1e3 * seconds)
    } else {
        format!("{:.1} us", 1e6 * seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::readable;
    use std::time::Duration;

    #[test]
    fn times_have_the_unit_that_suits_them() {
        for (nanoseconds, text) in [
            (0, "0.0 us"),
            (1_500, "1.5 us"),
            (999_000, "999.0 us"),
            (1_000_000, "1.00 ms"),
            (1_234_000_000, "1.23 s"),
        ] {
            assert_eq!(readable(Duration::from_nanos(nanoseconds)), text);
        }
    }
}
