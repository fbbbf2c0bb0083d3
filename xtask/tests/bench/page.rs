//! The page in headless Chromium.

use crate::{Test, cases::finished, missing, tests};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// Reads the page in a frame, since its own policy allows no script.
const SCRIPT: &str = "
const frame = document.getElementById('page');
const all = (what) => [...frame.contentDocument.querySelectorAll(what)];
const background = frame.contentWindow.getComputedStyle(frame.contentDocument.body).backgroundColor;
const cut = all('.chart').flatMap((chart) => {
  const box = chart.getBoundingClientRect();
  return [...chart.querySelectorAll('text, circle, path')].filter((mark) => {
    const at = mark.getBoundingClientRect();
    return at.width === 0 || at.left < box.left - 1 || at.right > box.right + 1;
  });
});
const values = {
  background, cut: cut.length, charts: all('.chart').length,
  rows: all('.row').map((row) => row.dataset.target), wide: frame.contentDocument.body.scrollWidth,
};
const pre = document.createElement('pre');
pre.textContent = JSON.stringify(values);
document.body.append(pre);
";

pub(crate) fn all() -> Vec<Test> {
    let missing = missing("chromium --version").or_else(|| missing("taskset --version"));
    tests![missing; page_is_drawn_light_and_dark]
}

fn page_is_drawn_light_and_dark() {
    let outcome = finished();
    let page = fs::read_to_string(outcome.path("run/report.html")).unwrap();
    let page = page.replace('&', "&amp;").replace('"', "&quot;");
    let outer = outcome.path("outer.html");
    let frame = format!("<iframe id=page width=900 height=4000 srcdoc=\"{page}\"></iframe>");
    let script =
        format!("<script>document.getElementById('page').onload = () => {{ {SCRIPT} }}</script>");
    fs::write(&outer, format!("<!DOCTYPE html><body>{frame}{script}")).unwrap();
    let profile = outcome.path("profile");
    let draw = |light: u8| -> Value {
        let output = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu"])
            .args(["--disable-dev-shm-usage", "--dump-dom"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("--blink-settings=preferredColorScheme={light}"))
            .arg("--virtual-time-budget=10000")
            .arg(format!("file://{}", outer.display()))
            .output()
            .unwrap();
        let dom = String::from_utf8(output.stdout).unwrap();
        let (_, values) = dom
            .rsplit_once("<pre>")
            .unwrap_or_else(|| panic!("no values in {dom}"));
        serde_json::from_str(values.split_once("</pre>").unwrap().0).unwrap()
    };
    let (light, dark) = (draw(1), draw(0));
    for values in [&light, &dark] {
        assert_eq!(
            (&values["charts"], &values["cut"]),
            (&1.into(), &0.into()),
            "{values}"
        );
        let rows = ["tcp", "axum", "hyper"].map(Value::from);
        let drawn = values["rows"].as_array().unwrap();
        assert!(
            drawn.len() == 3 && rows.iter().all(|row| drawn.contains(row)),
            "{values}"
        );
        assert!(values["wide"].as_f64().unwrap() <= 900.0, "{values}");
    }
    assert_ne!(light["background"], dark["background"]);
}
