//! The names of what writers leave out: one list, and all of it documented.

mod support;

use std::path::Path;

use sluice_dialects::exchange::losses;
use support::cases::cases;
use support::rewrite::{pairs, report, rewrite};

#[test]
fn writers_use_the_names_of_the_list() {
    let mut found = Vec::new();
    for ((client, from), (provider, to)) in pairs() {
        for case in cases(client, from) {
            let Some(request) = &case.request else { continue };
            let dropped = rewrite(&case, request, provider).dropped;
            let strange = dropped.iter().filter(|name| losses::ALL.iter().all(|(known, _)| known != name));
            found.extend(strange.map(|name| format!("{from} to {to}, {}: {name}", case.name)));
        }
    }
    report(&found);
}

#[test]
fn every_name_is_documented() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/dialects.md");
    let page = std::fs::read_to_string(page).expect("the page about dialects");
    let table: String = losses::ALL
        .iter()
        .map(|(name, meaning)| format!("| `{name}` |{} |\n", meaning.trim_end_matches('.')))
        .collect();
    assert!(page.contains(&table), "docs/dialects.md must hold this table:\n{table}");
}

#[test]
fn no_name_is_twice_in_the_list() {
    let mut names: Vec<&str> = losses::ALL.iter().map(|(name, _)| *name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}
