//! The first thing to see: each target in one line, in one setting of each figure.

use super::group::{Setting, connections, find, groups, unique};
use super::{labels, table};
use crate::bench::report::Unit;
use crate::bench::results::{Results, Section};
use maud::{Markup, html};

/// What's shown, of which figure, by which head.
const COLUMNS: [(&str, Unit, &str); 6] = [
    ("throughput", Unit::RateRatio, "Requests/s × reference"),
    ("throughput", Unit::Ratio, "CPU/request × reference"),
    ("throughput", Unit::Microseconds, "CPU µs/request"),
    ("latency", Unit::P99, "p99 latency, µs"),
    ("idle", Unit::Kibibytes, "KiB per idle connection"),
    ("syscalls", Unit::Syscalls, "System calls/request"),
];
/// What stands for a figure if it has been measured: enough connections to share wake-ups, and few enough for small machines.
const WORKLOADS: [&str; 2] = ["plaintext", "kept alive"];
const ALLOCATOR: &str = "mimalloc";
const CONNECTIONS: usize = 64;

/// A column that this run has.
struct Column<'a> {
    section: &'a Section,
    unit: Unit,
    head: &'static str,
    setting: Setting<'a>,
}

/// Nothing if none of it has been measured.
pub(super) fn draw(results: &Results) -> Option<Markup> {
    let columns: Vec<Column<'_>> = COLUMNS
        .iter()
        .filter_map(|&(figure, unit, head)| column(results, figure, unit, head))
        .collect();
    if columns.is_empty() {
        return None;
    }
    let sections = unique(columns.iter().map(|column| &column.section.figure));
    let records = results
        .sections
        .iter()
        .filter(|section| sections.contains(&&section.figure));
    let groups = groups(records.flat_map(|section| &section.records));
    Some(html! {
        section #summary aria-labelledby="summary-head" {
            h2 #summary-head { "Summary" }
            div.scroll tabindex="0" role="region" aria-label="Summary" {
                table.summary {
                    thead {
                        tr {
                            th scope="col" { "Target" }
                            @for column in &columns {
                                th scope="col" {
                                    a href=(format!("#{}", column.section.figure)) { (column.head) }
                                    small { (condition(column)) }
                                }
                            }
                        }
                    }
                    @for group in &groups {
                        tbody {
                            tr { th.setting scope="rowgroup" colspan=(columns.len() + 1) {
                                (labels::transport(group.transport)) " " small { "reference: " (group.reference) }
                            } }
                            @for target in &group.targets {
                                tr {
                                    th scope="row" class=(if target.is_peer { "peer" } else { "ours" }) {
                                        (target.name)
                                        @if target.name == group.reference { " " small { "reference" } }
                                    }
                                    @for column in &columns { td { (cell(column, target.name)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    })
}

fn column<'a>(results: &'a Results, figure: &str, unit: Unit, head: &'static str) -> Option<Column<'a>> {
    let section = results.sections.iter().find(|section| section.figure == figure)?;
    let of_unit = section.records.iter().filter(|record| record.unit == unit);
    // The best one is the last: false comes before true, and fewer connections before more.
    let setting = unique(of_unit.map(Setting::of))
        .into_iter()
        .max_by_key(|setting| {
            (
                WORKLOADS.contains(&setting.workload),
                setting.allocator == ALLOCATOR,
                setting.connections == CONNECTIONS,
                setting.connections,
            )
        })?;
    Some(Column {
        section,
        unit,
        head,
        setting,
    })
}

fn condition(column: &Column<'_>) -> String {
    let Setting {
        workload,
        allocator,
        connections: number,
    } = column.setting;
    match column.unit {
        // Connections there are the line's end.
        Unit::Kibibytes => format!("{workload}, {allocator}"),
        _ => format!("{workload}, {}", connections(number)),
    }
}

fn cell(column: &Column<'_>, target: &str) -> Markup {
    html! {
        @match find(column.section, column.unit, column.setting, target) {
            None => {}
            Some(record) => @match record.value {
                None => a.none href=(format!("#{}", column.section.figure)) { "not measured" },
                Some(_) if record.bound().is_some() => (table::said(record)),
                Some(number) => {
                    data value=(number) { (labels::number(number, record.unit)) }
                    @if record.unit.is_ratio() || record.shown_mark().is_some() { span.slot { (table::said(record)) } }
                }
            }
        }
    }
}
