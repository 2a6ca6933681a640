//! Links in what is written for readers: each one that stays in the repository leads to something.

use std::path::Path;

use super::{Faults, assert_none};

/// The target of every link of `text`, with its line.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().zip(1..);
    lines.flat_map(|(line, number)| {
        // What stands before the first mark is no target.
        let targets = line.split("](").skip(1);
        targets.filter_map(move |rest| rest.split_once(')').map(|(target, _)| (number, target)))
    })
}

/// `page` is a path below `root`, `text` what it says.
fn link_faults(root: &Path, page: &str, text: &str) -> Faults {
    let beside = root.join(page);
    let beside = beside.parent().unwrap_or(root);
    let is_dead = |target: &str| {
        let path = target.split('#').next().unwrap_or_default();
        !target.contains("://") && !path.is_empty() && !beside.join(path).exists()
    };
    let dead = links(text).filter(|(_, target)| is_dead(target));
    dead.map(|(line, target)| format!("{page}:{line}: `{target}` leads nowhere")).collect()
}

/// The pages below `dir`, without what is built or hidden.
fn pages(dir: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path.to_string_lossy().into_owned());
        }
    }
}

#[test]
fn every_link_within_the_repository_leads_somewhere() {
    let root = Path::new(".");
    let mut all = Vec::new();
    pages(root, &mut all);
    assert!(all.len() > 4, "the rule reads the real pages: {all:?}");
    let read = |page: &String| std::fs::read_to_string(page).expect("a text");
    assert_none(&all.iter().flat_map(|page| link_faults(root, page, &read(page))).collect::<Faults>());
    let rule = |page: &str, text: &str| link_faults(root, page, text);
    assert_eq!(
        rule("docs/a.md", "[a](../README.md), [b](#b), [c](https://c.example/d)"),
        Faults::new(),
        "a page, a place on this one, a page elsewhere"
    );
    assert_eq!(rule("docs/a.md", "\n[a](README.md#a)"), ["docs/a.md:2: `README.md#a` leads nowhere"]);
    assert_eq!(rule("a.md", "[a](README.md) [`b`](b/) [c](c.md)").len(), 2);
}
