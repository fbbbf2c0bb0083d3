//! The page of a run: a chart and a table for each workload, and the environment. It loads nothing,
//! and has no script.

use super::super::row::{Row, Run, Unit, Verdict};
use super::{INTERRUPTED, about, cell, chart, ends, reasons, rounds, units};
use crate::bench::environment;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("style.css");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

pub(super) fn draw(run: &Run) -> Markup {
    let workloads = run.workloads();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { "anyport bench: " (run.name) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "anyport beside its peers" }
                    p { code { (run.command) } }
                    @for name in ["time", "commit"] {
                        @if let Some(value) = run.environment.get(name) { p.muted { (name) ": " (value) } }
                    }
                    @if let Some(machine) = environment::machine(&run.environment) { p.muted { (machine) } }
                    @if run.interrupted { p.warning { (INTERRUPTED) } }
                    @for note in &run.notes { p.muted { (note) } }
                    p.warning {
                        "Measured over loopback, on one machine: only ratios and counts hold on others. "
                        "A filled mark differs from its reference by more than the 95 % interval; a "
                        "hollow one shows no difference. Circles are anyport's."
                    }
                    nav aria-label="Workloads" {
                        @for (workload, _) in &workloads { a href=(format!("#{workload}")) { (workload) } }
                        a href="#environment" { "environment" }
                    }
                }
                main {
                    @for (workload, rows) in &workloads { (section(workload, rows)) }
                    section #environment {
                        h2 { "environment" }
                        div.scroll tabindex="0" {
                            table {
                                @for (name, value) in &run.environment {
                                    tr { th scope="row" { (name) } td.text { (value) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn section(workload: &str, rows: &[&Row]) -> Markup {
    let units = units(rows);
    // The chart of a ratio replaces that of its times, which are in the table.
    let is_charted = |unit: &&Unit| match unit {
        Unit::Cpu | Unit::Rate => !units.contains(&Unit::Ratio),
        _ => true,
    };
    html! {
        section id=(workload) {
            h2 { (workload) }
            p.muted { (about(rows)) }
            div.charts {
                @for unit in units.iter().filter(is_charted) {
                    figure {
                        figcaption { (unit.label()) }
                        (chart::draw(rows, *unit, &format!("{workload}: {}", unit.label())))
                    }
                }
            }
            details {
                summary { "All numbers" }
                div.scroll tabindex="0" { (table(rows, &units)) }
            }
            @for (reason, targets) in reasons(rows) {
                p.muted { "Not measured: " (targets.join(", ")) ": " (reason) }
            }
        }
    }
}

fn table(rows: &[&Row], units: &[Unit]) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "target" }
                    @for unit in units { th scope="col" { (unit.label()) } }
                    th scope="col" { "rounds" }
                    th scope="col" { "reference" }
                }
            }
            tbody {
                @for row in rows.iter().filter(|row| !row.figures.is_empty()) {
                    tr {
                        th scope="row" { (row.target) }
                        @for unit in units {
                            td.(verdict(row, *unit)) {
                                (cell(row, *unit).replace('*', ""))
                                @if *unit != Unit::Ratio && let Some(figure) = row.figures.get(unit) {
                                    span.muted { (ends(*figure, *unit)) }
                                }
                            }
                        }
                        td { (rounds(row)) }
                        td.text { (row.reference) }
                    }
                }
            }
        }
    }
}

fn verdict(row: &Row, unit: Unit) -> &'static str {
    match row.verdict().filter(|_| unit == Unit::Ratio) {
        Some(Verdict::Better) => "better",
        Some(Verdict::Worse) => "worse",
        _ => "number",
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::row::tests::run;
    use super::draw;

    #[test]
    fn page_has_each_target_and_loads_nothing() {
        let page = draw(&run()).into_string();
        for expected in [
            "id=\"plaintext\"",
            "href=\"#plaintext\"",
            "<th scope=\"row\">axum</th>",
            "class=\"worse\"",
        ] {
            assert!(page.contains(expected), "{expected} is not in: {page}");
        }
        for other in ["<script", "http://", "https://", "url("] {
            assert!(!page.contains(other), "{other}");
        }
    }

    #[test]
    fn names_are_escaped() {
        let mut run = run();
        run.rows[0].target = "<b>".to_owned();
        assert!(!draw(&run).into_string().contains("<b>"));
    }
}
