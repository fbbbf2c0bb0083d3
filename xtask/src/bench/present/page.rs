//! The page of a run: its tables, and a chart of each figure. It loads nothing, and has no script.

use super::super::row::{Row, Run, Unit};
use super::{about, chart, head, notes, reasons, table, units};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use pulldown_cmark::{Event, Options, Parser};

const STYLE: &str = include_str!("style.css");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
const MARKS: &str = "Measured over loopback, on one machine: only ratios and counts hold on \
    others. A filled mark differs from its reference by more than the 95 % interval; a hollow one \
    shows no difference. Circles are anyport's.";

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
                    (markdown(&head(run)))
                    p.warning { (MARKS) }
                    (markdown(&notes(run)))
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
            (markdown(&about(rows)))
            div.charts {
                @for unit in units.iter().filter(is_charted) {
                    figure {
                        figcaption { (unit.label()) }
                        (chart::draw(rows, *unit, &format!("{workload}: {}", unit.label())))
                    }
                }
            }
            @if !units.is_empty() {
                details {
                    summary { "All numbers" }
                    div.scroll tabindex="0" { (markdown(&table(rows).to_string())) }
                }
            }
            (markdown(&reasons(rows)))
        }
    }
}

/// As HTML, without the HTML in it.
fn markdown(text: &str) -> Markup {
    let events = Parser::new_ext(text, Options::ENABLE_TABLES).map(|event| match event {
        Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
        event => event,
    });
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, events);
    PreEscaped(html)
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
            "<td>axum</td>",
            "<strong>-</strong>",
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
