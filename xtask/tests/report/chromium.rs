//! A headless Chromium: what it makes of a page, as a picture and as numbers.

use scraper::Html;
use serde::Deserialize;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

const MEASURE: &str = include_str!("measure.js");
/// What it's called by those who package it.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];
/// Longer than it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// A window isn't narrower, however narrow it's ordered.
const NARROWEST: u32 = 500;
/// What's below isn't in the picture.
pub(crate) const HEIGHT: u32 = 8000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Light,
    Dark,
}

/// What the script in `measure.js` says; all in pixels of the picture.
#[derive(Debug, Deserialize)]
pub(crate) struct Measured {
    pub(crate) dark: bool,
    /// Of all that the page has, shown or to be scrolled to.
    pub(crate) width: f64,
    pub(crate) background: String,
    pub(crate) text: String,
    /// Text that's outside of its chart.
    pub(crate) cut: Vec<String>,
    /// Rows whose texts run into each other.
    pub(crate) touching: Vec<String>,
    pub(crate) charts: Vec<Chart>,
    pub(crate) curves: Vec<Curve>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Chart {
    pub(crate) id: String,
    pub(crate) scale: String,
    pub(crate) ticks: Vec<Tick>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Tick {
    pub(crate) value: f64,
    pub(crate) x: f64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) target: String,
    pub(crate) mark: Option<Mark>,
    pub(crate) whisker: Option<Rectangle>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Mark {
    #[serde(flatten)]
    pub(crate) place: Rectangle,
    pub(crate) kind: String,
    pub(crate) classes: String,
    pub(crate) fill: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Rectangle {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Curve {
    pub(crate) id: String,
    pub(crate) target: String,
    /// Where it is at one in so many answers.
    pub(crate) rare: Vec<Rare>,
    pub(crate) late: Vec<Late>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Rare {
    pub(crate) value: f64,
    pub(crate) y: f64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Late {
    pub(crate) value: f64,
    pub(crate) y: f64,
}

/// Three bytes per pixel, or four.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    samples: usize,
    bytes: Vec<u8>,
}

/// Where it is, if it is.
pub(crate) fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut all = env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    all.find(|program| program.is_file())
}

/// Shows the page so wide, and keeps the picture at this path.
pub(crate) fn look(
    chromium: &Path,
    page: &str,
    width: u32,
    scheme: Scheme,
    picture: &Path,
) -> (Measured, Picture) {
    let folder = tempfile::tempdir().unwrap();
    let outer = folder.path().join("outer.html");
    fs::write(&outer, framed(page, width)).unwrap();
    let url = format!("file://{}", outer.display());
    let start = |what: &str, out: Stdio| {
        let child = Command::new(chromium)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--no-first-run",
                // Else a busy machine takes the picture before all of it is drawn.
                "--run-all-compositor-stages-before-draw",
            ])
            .arg(format!(
                "--user-data-dir={}",
                folder.path().join("profile").display()
            ))
            .arg(format!(
                "--blink-settings=preferredColorScheme={}",
                i32::from(scheme == Scheme::Light)
            ))
            .arg(format!("--window-size={},{HEIGHT}", width.max(NARROWEST)))
            .arg(what)
            .arg(&url)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        finish(child);
    };
    let dump = folder.path().join("dump.html");
    start("--dump-dom", File::create(&dump).unwrap().into());
    start(&format!("--screenshot={}", picture.display()), Stdio::null());
    let dump = fs::read_to_string(dump).unwrap();
    let (_, measured) = dump.rsplit_once("<pre id=\"measured\"").unwrap();
    let (measured, _) = measured.split_once("</pre>").unwrap();
    let measured = Html::parse_fragment(&format!("<pre{measured}</pre>"));
    let measured: String = measured.root_element().text().collect();
    (serde_json::from_str(&measured).unwrap(), Picture::read(picture))
}

/// A window can't be as narrow as a phone, but a frame can.
fn framed(page: &str, width: u32) -> String {
    let page = page.replace('&', "&amp;").replace('"', "&quot;");
    format!(
        "<!DOCTYPE html><meta charset=utf-8><style>body {{ margin: 0 }} iframe {{ display: block; border: 0 }}</style>\
        <iframe id=frame width={width} srcdoc=\"{page}\"></iframe><pre id=measured hidden></pre><script>{MEASURE}</script>"
    )
}

fn finish(mut child: Child) {
    let end = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("Chromium isn't done after {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "Chromium: {status}");
}

impl Picture {
    fn read(path: &Path) -> Self {
        let file = std::io::BufReader::new(File::open(path).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        assert_eq!(info.bit_depth, png::BitDepth::Eight);
        Self {
            width: info.width,
            height: info.height,
            samples: info.color_type.samples(),
            bytes,
        }
    }

    /// Red, green and blue.
    pub(crate) fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        let at = (y as usize * self.width as usize + x as usize) * self.samples;
        [self.bytes[at], self.bytes[at + 1], self.bytes[at + 2]]
    }
}
