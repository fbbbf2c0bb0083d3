//! What the page says, without a look at it: all of the results, nothing that isn't so, and nothing from elsewhere.

use crate::fixture::{LONG_REASON, OVERLOADED, SHORT_REASON, records, results};
use crate::trials;
use crate::xtask::{bench, page};
use libtest_mimic::Trial;
use scraper::{ElementRef, Html, Selector};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

pub(crate) fn all() -> Vec<Trial> {
    trials![
        the_page_has_no_error_of_html,
        each_value_stands_in_its_table_and_no_other,
        what_is_shown_is_the_value_rounded,
        what_is_called_better_or_worse_differs_from_its_reference,
        what_was_not_measured_stands_there_with_its_reason,
        a_client_bound_rate_has_no_mark,
        who_cannot_bear_the_rate_has_no_curve,
        the_count_of_connections_is_said,
        a_setting_without_ratios_has_charts_of_its_values,
        nothing_comes_from_elsewhere,
        both_schemes_have_all_colours,
        all_links_lead_somewhere,
        each_chart_has_a_name_and_each_table_its_heads,
        no_folder_of_a_run_is_told,
        a_torn_histogram_is_told,
    ]
}

fn document() -> Html {
    Html::parse_document(page())
}

pub(crate) fn select<'a>(within: ElementRef<'a>, selector: &str) -> Vec<ElementRef<'a>> {
    within.select(&Selector::parse(selector).unwrap()).collect()
}

fn text(element: ElementRef<'_>) -> String {
    element.text().collect()
}

/// The figure, the target and the value of each cell that has one, and the cell.
fn cells(document: &Html) -> Vec<(String, String, f64, ElementRef<'_>)> {
    let mut cells = Vec::new();
    for section in select(document.root_element(), "section") {
        let figure = section.attr("id").unwrap();
        for row in select(section, "details.numbers tr:has(th[scope=row])") {
            let target = text(select(row, "th")[0]);
            for cell in select(row, "td:has(data)") {
                let value = select(cell, "data")[0].attr("value").unwrap().parse().unwrap();
                cells.push((figure.to_owned(), target.clone(), value, cell));
            }
        }
    }
    cells
}

fn string(record: &Value, name: &str) -> String {
    record[name].as_str().unwrap().to_owned()
}

/// As [`cells`] has them: no two values are alike but those of references.
fn key(figure: &str, target: &str, value: f64) -> (String, String, u64) {
    (figure.to_owned(), target.to_owned(), value.to_bits())
}

fn the_page_has_no_error_of_html() {
    assert_eq!(document().errors, [""; 0]);
}

fn each_value_stands_in_its_table_and_no_other() {
    let mut expected = BTreeMap::<_, usize>::new();
    let results = results();
    for record in records(&results) {
        if let Some(value) = record["value"].as_f64() {
            *expected
                .entry(key(&string(record, "figure"), &string(record, "target"), value))
                .or_default() += 1;
        }
    }
    let mut found = BTreeMap::<_, usize>::new();
    for (figure, target, value, _) in cells(&document()) {
        *found.entry(key(&figure, &target, value)).or_default() += 1;
    }
    assert!(expected.len() > 1000);
    assert_eq!(found, expected);
}

fn what_is_shown_is_the_value_rounded() {
    let results = results();
    let intervals: BTreeMap<_, _> = records(&results)
        .into_iter()
        .filter_map(|record| {
            let key = key(
                &string(record, "figure"),
                &string(record, "target"),
                record["value"].as_f64()?,
            );
            let (low, high) = match record["span"].is_null() {
                true => (&record["low"], &record["high"]),
                false => (&record["span"]["lowest"], &record["span"]["highest"]),
            };
            Some((key, (low.as_f64()?, high.as_f64()?)))
        })
        .collect();
    for (figure, target, value, cell) in cells(&document()) {
        is_rounded(&text(select(cell, "data")[0]), value);
        match (
            intervals.get(&key(&figure, &target, value)),
            select(cell, ".interval, .span").first(),
        ) {
            (Some((low, high)), Some(shown)) => {
                let shown = text(*shown);
                let (from, to) = shown.trim_matches(['(', ')']).split_once('–').unwrap();
                is_rounded(from, *low);
                is_rounded(to, *high);
            }
            // A span whose ends look alike would tell nothing.
            (Some((low, high)), None) => {
                let shown = text(select(cell, "data")[0]);
                is_rounded(&shown, *low);
                is_rounded(&shown, *high);
            }
            (None, shown) => assert!(shown.is_none(), "{figure} {target}"),
        }
    }
}

#[track_caller]
fn is_rounded(shown: &str, value: f64) {
    let decimals = shown.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let number: f64 = shown.replace(',', "").parse().unwrap();
    let unit = 10_f64.powi(-i32::try_from(decimals).unwrap());
    assert!(
        (number - value).abs() <= 0.500_001 * unit,
        "{shown} isn't {value}"
    );
}

fn what_is_called_better_or_worse_differs_from_its_reference() {
    let mut expected = BTreeSet::new();
    let results = results();
    for record in records(&results) {
        let unit = string(record, "unit");
        let (Some(value), Some(low), Some(high)) = (
            record["value"].as_f64(),
            record["low"].as_f64(),
            record["high"].as_f64(),
        ) else {
            continue;
        };
        if !unit.contains("ratio")
            || record["target"] == record["reference"]
            || record["mark"] == "client-bound"
        {
            continue;
        }
        let is_more = match () {
            () if low > 1.0 => true,
            () if high < 1.0 => false,
            () => continue,
        };
        let word = if is_more == (unit == "rate ratio") {
            "better"
        } else {
            "worse"
        };
        expected.insert((
            key(&string(record, "figure"), &string(record, "target"), value),
            word.to_owned(),
        ));
    }
    let document = document();
    let mut found = BTreeSet::new();
    for (figure, target, value, cell) in cells(&document) {
        for said in select(cell, ".said.better, .said.worse") {
            found.insert((key(&figure, &target, value), text(said)));
        }
    }
    assert!(
        expected.iter().any(|(_, word)| word == "better") && expected.iter().any(|(_, word)| word == "worse")
    );
    assert_eq!(found, expected);
    // In a chart it's whoever has a filled mark.
    let filled = select(
        document.root_element(),
        "svg[data-scale=logarithmic] .row:has(.whisker) .mark.differs",
    );
    assert_eq!(filled.len(), expected.len());
}

fn what_was_not_measured_stands_there_with_its_reason() {
    let document = document();
    let results = results();
    let missing = records(&results)
        .into_iter()
        .filter(|record| record["value"].is_null())
        .count();
    assert!(missing > 50);
    let cells = select(document.root_element(), "details.numbers td .none");
    assert_eq!(cells.len(), missing);
    assert!(cells.into_iter().all(|cell| text(cell) == "not measured"));
    for (figure, targets, reason) in [
        (
            "instructions",
            "monoio; glommio; hyper-monoio; ntex-uring",
            LONG_REASON,
        ),
        ("throughput", "rustls-session", SHORT_REASON),
    ] {
        let reasons = select(document.root_element(), &format!("#{figure} .reasons"))[0];
        let terms = select(reasons, "dt").into_iter().zip(select(reasons, "dd"));
        let found = terms.map(|(targets, reason)| (text(targets), text(reason)));
        assert!(
            found
                .into_iter()
                .any(|found| found == (targets.to_owned(), reason.to_owned()))
        );
    }
    // What looks like a tag is none.
    assert!(!page().contains("<the rings>") && page().contains("&lt;the rings&gt;"));
}

fn a_client_bound_rate_has_no_mark() {
    let document = document();
    let results = results();
    let bound = records(&results)
        .into_iter()
        .filter(|record| record["mark"] == "client-bound" && !record["value"].is_null());
    // Where there are ratios, they're charted, and no rates.
    let is_charted = |record: &&Value| {
        record["unit"] == "rate ratio"
            || record["unit"] == "requests/s" && record["workload"] == "plaintext-h2"
    };
    let charted = bound.clone().filter(is_charted).count();
    assert!(charted > 10);
    let rows = select(document.root_element(), "svg .row:has(.none)");
    let rows = rows
        .into_iter()
        .filter(|row| text(select(*row, ".none")[0]) == "client-bound");
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows.len(), charted);
    assert!(
        rows.into_iter()
            .all(|row| select(row, ".mark, .whisker, .number").is_empty())
    );
    let cells = select(document.root_element(), "details.numbers td .bound");
    assert_eq!(cells.len(), bound.count());
}

fn who_cannot_bear_the_rate_has_no_curve() {
    let document = document();
    let root = document.root_element();
    let curves = |connections: usize| {
        let of_setting =
            format!("#latency svg.curves[id*='-{connections}-'] .curve[data-target={OVERLOADED}]");
        select(root, &of_setting).len()
    };
    assert_eq!((curves(64), curves(256)), (1, 0));
    // Nor is it among the thin ones of all others, of which each has one.
    let others = |connections: usize| {
        let of_setting = format!("#latency g[id*='-{connections}-'] path");
        select(root, &of_setting).len()
    };
    assert_eq!(others(64), others(256) + 1);
}

fn the_count_of_connections_is_said() {
    let document = document();
    for (figure, counts) in [
        ("throughput", &["1, 16, 64 or 256 connections"][..]),
        ("churn", &["16 connections"]),
        ("idle", &[]),
    ] {
        let said = select(document.root_element(), &format!("#{figure} > .conditions"));
        let said: Vec<String> = said.into_iter().map(text).collect();
        assert_eq!(said, counts, "{figure}");
    }
}

fn a_setting_without_ratios_has_charts_of_its_values() {
    let document = document();
    let charts = select(document.root_element(), "#throughput .panels figure");
    let units = |workload: &str| {
        let of_workload = charts
            .iter()
            .filter(|chart| text(select(**chart, "figcaption")[0]).starts_with(&format!("{workload},")));
        let units = of_workload.map(|chart| text(select(*chart, "svg > title")[0]));
        units.collect::<Vec<_>>()
    };
    let titles = ["Requests/s", "CPU µs/request"].map(|unit| format!("{unit}, plaintext-h2, 64 connections"));
    assert_eq!(units("plaintext-h2"), titles);
    let titles = ["Requests/s × reference", "CPU time × reference"]
        .map(|unit| format!("{unit}, json, 64 connections"));
    assert_eq!(units("json"), titles);
}

fn nothing_comes_from_elsewhere() {
    let document = document();
    let root = document.root_element();
    for tag in [
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "image",
        "base",
        "[src]",
        "[srcset]",
        "[onload]",
        "[onclick]",
    ] {
        assert!(select(root, tag).is_empty(), "there's a {tag}");
    }
    for element in select(root, "[href]") {
        assert!(element.attr("href").unwrap().starts_with('#'), "{element:?}");
    }
    let style = text(select(root, "style")[0]);
    assert!(!style.contains("url(") && !style.contains("@import") && !style.contains("@font-face"));
    let policy = select(root, "meta[http-equiv=Content-Security-Policy]")[0]
        .attr("content")
        .unwrap();
    assert_eq!(policy, "default-src 'none'; style-src 'unsafe-inline'");
}

fn both_schemes_have_all_colours() {
    let document = document();
    let style = text(select(document.root_element(), "style")[0]);
    let (light, dark) = style.split_once("@media (prefers-color-scheme: dark)").unwrap();
    let names = |block: &str| -> BTreeSet<String> {
        let block = block.split_once(":root {").unwrap().1.split_once('}').unwrap().0;
        let names = block.split(';').filter_map(|line| line.trim().split_once(':'));
        names
            .map(|(name, _)| name.to_owned())
            .filter(|name| name.starts_with("--"))
            .collect()
    };
    assert!(names(light).len() > 10);
    assert_eq!(names(light), names(dark));
}

fn all_links_lead_somewhere() {
    let document = document();
    let root = document.root_element();
    let ids: Vec<&str> = select(root, "[id]")
        .iter()
        .map(|element| element.attr("id").unwrap())
        .collect();
    let unique: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), unique.len(), "an id is there twice");
    let links = select(root, "[href]")
        .into_iter()
        .map(|element| element.attr("href").unwrap().trim_start_matches('#'));
    let labels = select(root, "[aria-labelledby]");
    let labels = labels
        .iter()
        .flat_map(|element| element.attr("aria-labelledby").unwrap().split(' '));
    let all: Vec<&str> = links.chain(labels).collect();
    assert!(all.len() > 100);
    for id in all {
        assert!(unique.contains(id), "#{id} leads nowhere");
    }
}

fn each_chart_has_a_name_and_each_table_its_heads() {
    let document = document();
    let root = document.root_element();
    let charts = select(root, "svg");
    assert!(charts.len() > 60);
    for chart in charts {
        let has_name = chart.attr("role") == Some("img")
            && (chart.attr("aria-label").or_else(|| chart.attr("aria-labelledby"))).is_some();
        assert!(
            has_name || chart.attr("aria-hidden") == Some("true"),
            "{:?}",
            chart.value()
        );
    }
    for head in select(root, "th") {
        assert!(head.attr("scope").is_some(), "{}", head.html());
    }
}

fn no_folder_of_a_run_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let said = bench(["report".as_ref(), folder.path().as_os_str()]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.error
            .contains("results.json; give the folder of a run, such as target/bench/NAME"),
        "{said:?}"
    );
}

fn a_torn_histogram_is_told() {
    let folder = tempfile::tempdir().unwrap();
    crate::fixture::write(folder.path());
    let path = folder.path().join("histograms/latency-plaintext-64-tcp.hgrm");
    fs::write(&path, "82.0 0.0 1\n82.0").unwrap();
    let said = bench(["report".as_ref(), folder.path().as_os_str()]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.error
            .contains("latency-plaintext-64-tcp.hgrm:2: not a line of HdrHistogram's percentiles"),
        "{said:?}"
    );
}
