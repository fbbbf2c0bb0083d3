//! Which record of one run is which of the other.

use crate::bench::report::Unit;
use crate::bench::results::{Record, Results};
use std::collections::{BTreeMap, BTreeSet};

/// What's the same in both.
pub(super) type Key<'a> = (&'a str, &'a str, &'a str, usize, &'a str, Unit);

pub(super) fn key(record: &Record) -> Key<'_> {
    (
        &record.figure,
        &record.workload,
        &record.allocator,
        record.connections,
        &record.target,
        record.unit,
    )
}

/// Two records of one thing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    pub(super) a: &'a Record,
    pub(super) b: &'a Record,
}

/// Those that are in both, in A's order.
pub(super) fn pairs<'a>(a: &'a Results, b: &'a Results) -> Vec<Pair<'a>> {
    let others: BTreeMap<Key<'_>, &Record> = records(b).map(|record| (key(record), record)).collect();
    records(a)
        .filter_map(|a| {
            Some(Pair {
                a,
                b: others.get(&key(a))?,
            })
        })
        .collect()
}

/// What `these` have and `others` don't, by figure: its name, or its targets where it's in both.
pub(super) fn only<'a>(these: &'a Results, others: &'a Results) -> Vec<String> {
    let known: BTreeSet<Key<'_>> = records(others).map(key).collect();
    let mut missing: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for record in records(these).filter(|record| !known.contains(&key(record))) {
        let targets = missing.entry(&record.figure).or_default();
        *targets.entry(&record.target).or_default() += 1;
    }
    let has_figure = |figure: &str| records(others).any(|record| record.figure == figure);
    let say = |(figure, targets): (&str, BTreeMap<&str, usize>)| {
        if !has_figure(figure) {
            return figure.to_owned();
        }
        let targets = targets.into_iter().map(|(target, rows)| match rows {
            1 => format!("{target} (1 row)"),
            rows => format!("{target} ({rows} rows)"),
        });
        format!("{figure} of {}", targets.collect::<Vec<_>>().join(", "))
    };
    missing.into_iter().map(say).collect()
}

fn records(results: &Results) -> impl Iterator<Item = &Record> {
    results.sections.iter().flat_map(|section| &section.records)
}

#[cfg(test)]
pub(super) mod tests {
    use super::{only, pairs};
    use crate::bench::report::Unit;
    use crate::bench::results::{Record, Results, Section};

    pub(in crate::bench::compare) fn record(target: &str, unit: Unit) -> Record {
        Record {
            figure: "throughput".to_owned(),
            target: target.to_owned(),
            is_peer: false,
            reference: "hyper".to_owned(),
            transport: "tcp".to_owned(),
            workload: "plaintext".to_owned(),
            allocator: "mimalloc".to_owned(),
            connections: 64,
            unit,
            value: None,
            interval: None,
            span: None,
            sigma: None,
            rounds: Vec::new(),
            r_squared: None,
            points: Vec::new(),
            mark: None,
            reason: None,
        }
    }

    pub(in crate::bench::compare) fn results(records: Vec<Record>) -> Results {
        let mut results = Results::new("a-run".to_owned(), "a command".to_owned());
        results.sections.push(Section {
            figure: "throughput".to_owned(),
            about: String::new(),
            notes: Vec::new(),
            interrupted: false,
            records,
        });
        results
    }

    #[test]
    fn the_same_thing_is_found_wherever_it_stands() {
        let a = results(vec![record("tcp", Unit::Ratio), record("unix", Unit::Ratio)]);
        let b = results(vec![record("unix", Unit::Ratio), record("tcp", Unit::RateRatio)]);
        let pairs = pairs(&a, &b);
        assert_eq!(pairs.len(), 1);
        assert_eq!(
            (pairs[0].a, pairs[0].b),
            (&a.sections[0].records[1], &b.sections[0].records[0])
        );
        assert_eq!(only(&a, &b), ["throughput of tcp (1 row)"]);
        assert_eq!(only(&b, &a), ["throughput of tcp (1 row)"]);
        assert_eq!(only(&a, &results(Vec::new())), ["throughput"]);
        assert_eq!(only(&a, &a), [""; 0]);
    }
}
