//! Where nobody was measured with two allocators, they're no settings: who is to be had only with another one than the rest stands among them, with a mark.

use crate::bench::report::Mark;
use crate::bench::results::{Results, Section};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn unify(results: &mut Results) {
    results.sections.iter_mut().for_each(unify_section);
}

fn unify_section(section: &mut Section) {
    let mut of_targets: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for record in &section.records {
        of_targets
            .entry(&record.target)
            .or_default()
            .insert(&record.allocator);
        *counts.entry(&record.allocator).or_default() += 1;
    }
    let has_choice = of_targets.values().any(|allocators| allocators.len() > 1);
    let usual = counts.into_iter().max_by_key(|&(_, count)| count);
    let Some((usual, _)) = usual.filter(|_| !has_choice) else {
        return;
    };
    let usual = usual.to_owned();
    let mut others: BTreeSet<String> = BTreeSet::new();
    for record in &mut section.records {
        if record.allocator != usual {
            record.allocator.clone_from(&usual);
            record.mark = Some(Mark::SystemAllocator);
            others.insert(record.target.clone());
        }
    }
    if !others.is_empty() {
        let others: Vec<String> = others.into_iter().collect();
        section.notes.push(format!(
            "{}: {} can't be had with {usual}, as the others are measured.",
            Mark::SystemAllocator.label(),
            others.join(", ")
        ));
    }
}
