//! The page on security: what it claims is held by tests that are there, and what it shows can be used.

#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::path::Path;

use reminder_worker::sidecar::resources::Resources;

const PAGE: &str = "docs/security.md";

fn page() -> String {
    std::fs::read_to_string(PAGE).unwrap()
}

/// The names of tests that a page states: words of at least four parts between backticks.
fn claimed(page: &str) -> Vec<&str> {
    let is_name = |text: &&str| {
        text.matches('_').count() >= 3 && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    };
    page.split('`').skip(1).step_by(2).filter(is_name).collect()
}

fn sources(dir: &Path, text: &mut String) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let mut text = String::new();
    ["src", "tests"].iter().for_each(|dir| sources(Path::new(dir), &mut text));
    let page = page();
    let claimed = claimed(&page);
    assert!(claimed.len() > 20, "{claimed:?}");
    let missing = |name: &&&str| !text.contains(&format!("fn {name}("));
    assert_eq!(claimed.iter().filter(missing).collect::<Vec<_>>(), [] as [&&str; 0]);
    assert_eq!(["a_claim_without_a_test"].iter().filter(|name| missing(name)).count(), 1);
}

#[test]
fn the_resources_of_the_page_are_read_without_a_fault() {
    let page = page();
    let blocks: Vec<_> =
        page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 2);
    let files = (1..).zip(&blocks).map(|(n, block)| (format!("{n}.yaml"), (*block).to_owned()));
    let read = Resources::parse(&files.collect::<Vec<_>>()).map_err(|invalid| invalid.to_string()).unwrap();
    assert_eq!((read.components.len(), read.configurations.len()), (1, 1));
    assert!(read.component("kafka-pubsub", "reminder-worker").is_some());
    let mistyped = blocks[0].replace("protectedTopics", "protectedTopic");
    assert!(Resources::parse(&[("x.yaml".to_owned(), mistyped)]).is_err());
}
