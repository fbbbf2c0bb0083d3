//! The page around the figures: what was run, where, and how to read it.

use super::curve::Curves;
use super::{labels, section, summary};
use crate::bench::environment;
use crate::bench::results::{Environment, Results};
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("style.css");
/// Nothing is loaded and nothing runs, whatever a name in the results may hold.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

pub(super) fn draw(results: &Results, environment: &Environment, curves: &Curves) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { "anyport bench: " (results.run) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "anyport beside its peers" }
                    (about(results, environment))
                    p.warning {
                        "Over loopback, on a shared machine, with one core per worker: only ratios travel to another machine. Whatever is called "
                        "better or worse differs from its reference by more than the 95 % interval of this run; the rest shows no difference."
                    }
                    (key())
                    nav aria-label="Figures" {
                        @for section in &results.sections {
                            a href=(format!("#{}", section.figure)) { (labels::figure(&section.figure)) }
                        }
                        a href="#environment" { "Environment" }
                    }
                }
                main {
                    @if results.sections.is_empty() { p.warning { "Nothing has been measured yet." } }
                    @if let Some(summary) = summary::draw(results) { (summary) }
                    @for section in &results.sections { (section::draw(section, curves)) }
                    (everything(environment))
                }
            }
        }
    }
}

fn about(results: &Results, environment: &Environment) -> Markup {
    let known = |name: &str| environment.get(name).map(String::as_str);
    html! {
        dl.about-run {
            div { dt { "Run" } dd { (results.run) } }
            div { dt { "Command" } dd { code { (results.command) } } }
            @if let Some(time) = known("time") { div { dt { "Time" } dd { time datetime=(time) { (time) } } } }
            @if let Some(commit) = known("commit") { div { dt { "Commit" } dd { code { (commit) } } } }
            @if let Some(machine) = environment::machine(environment) { div { dt { "Machine" } dd { (machine) } } }
        }
    }
}

/// How marks are read.
fn key() -> Markup {
    html! {
        ul.key aria-label="Marks" {
            li { svg viewBox="0 0 30 14" aria-hidden="true" { g.ours { line.whisker x1="3" x2="27" y1="7" y2="7" {} circle.mark.differs cx="15" cy="7" r="3.6" {} } } "anyport" }
            li { svg viewBox="0 0 30 14" aria-hidden="true" { g.peer { line.whisker x1="3" x2="27" y1="7" y2="7" {} path.mark.differs d="M15 2.6l4.4 4.4-4.4 4.4-4.4-4.4z" {} } } "a peer" }
            li { svg viewBox="0 0 30 14" aria-hidden="true" { g.ours { line.whisker x1="3" x2="27" y1="7" y2="7" {} circle.mark.alike cx="15" cy="7" r="3.6" {} } } "hollow: no difference from its reference shown" }
            li { svg viewBox="0 0 30 14" aria-hidden="true" { line.one x1="15" x2="15" y1="0" y2="14" {} } "the reference, which is 1" }
        }
    }
}

fn everything(environment: &Environment) -> Markup {
    html! {
        section #environment aria-labelledby="environment-head" {
            h2 #environment-head { "Environment" }
            details {
                summary { "CPU, kernel, limits, tools and versions" }
                div.scroll tabindex="0" role="region" aria-label="Environment" {
                    table.environment {
                        thead { tr { th scope="col" { "Name" } th scope="col" { "Value" } } }
                        tbody {
                            @for (name, value) in environment {
                                tr { th scope="row" { (name) } td { (value) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
