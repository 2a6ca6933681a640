//! Walking a tree strictly: what is not known is a problem, told with its line and what was probably meant.

use super::Problem;
use super::node::{Node, Value};

/// Where the reader stands: a file, and the problems found in it so far.
pub(super) struct Reader<'a> {
    file: &'a str,
    /// What the document is, such as `Component kafka-pubsub`.
    about: String,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a str, about: String, problems: &'a mut Vec<Problem>) -> Self {
        Self { file, about, problems }
    }

    /// Notes a problem at `line`.
    pub(super) fn wrong(&mut self, line: u64, what: impl std::fmt::Display) {
        let what = format!("{}: {what}", self.about);
        self.problems.push(Problem { file: self.file.to_owned(), line, what });
    }

    /// The pairs of the map at `path`, each under a key of `known`; others are problems. No map is one too, but
    /// for nothing at all.
    pub(super) fn map<'n>(
        &mut self,
        node: Option<&'n Node>,
        path: &str,
        known: &[&str],
    ) -> Vec<(&'n str, &'n Node)> {
        let pairs = self.entries(node, path);
        pairs
            .into_iter()
            .filter(|(key, at)| {
                let fine = known.contains(key);
                if !fine {
                    let meant = meant(key, known.iter().copied());
                    self.wrong(at.line, format_args!("{path} has no key `{key}`; {meant}"));
                }
                fine
            })
            .collect()
    }

    /// The pairs of the map at `path`, whatever their keys.
    pub(super) fn entries<'n>(&mut self, node: Option<&'n Node>, path: &str) -> Vec<(&'n str, &'n Node)> {
        let Some(node) = node else { return Vec::new() };
        match &node.value {
            Value::Null => Vec::new(),
            Value::Map(pairs) => pairs.iter().filter_map(|(key, value)| Some((key.text()?, value))).collect(),
            Value::Text(_) | Value::List(_) => {
                self.wrong(node.line, format_args!("{path} must be a map of keys"));
                Vec::new()
            }
        }
    }

    /// The items of the list at `path`.
    pub(super) fn list<'n>(&mut self, node: Option<&'n Node>, path: &str) -> &'n [Node] {
        let Some(node) = node else { return &[] };
        match &node.value {
            Value::Null => &[],
            Value::List(items) => items,
            Value::Text(_) | Value::Map(_) => {
                self.wrong(node.line, format_args!("{path} must be a list"));
                &[]
            }
        }
    }

    /// The text at `path` under `key` of `parent`; a missing or an empty one is a problem.
    pub(super) fn required(&mut self, parent: &Node, path: &str, key: &str) -> Option<String> {
        let found = parent.get(key);
        match found.and_then(Node::text) {
            Some(text) if !text.is_empty() => Some(text.to_owned()),
            _ => {
                let line = found.map_or(parent.line, |node| node.line);
                self.wrong(line, format_args!("{path}.{key} is missing: write a text"));
                None
            }
        }
    }

    /// What `parse` makes of the text at `path`; what it cannot read is a problem that says `wanted`.
    pub(super) fn parsed<T>(
        &mut self,
        node: &Node,
        path: &str,
        wanted: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let read = node.text().and_then(parse);
        if read.is_none() {
            let shown =
                node.text().map_or_else(|| "what stands there".to_owned(), |text| format!("`{text}`"));
            self.wrong(node.line, format_args!("{path}: {shown} is no {wanted}"));
        }
        read
    }

    /// The app ids of `scopes`; none means every app.
    pub(super) fn scopes(&mut self, document: &Node) -> Vec<String> {
        let list = self.list(document.get("scopes"), "scopes");
        list.iter().filter_map(|item| self.parsed(item, "scopes", "app id", |t| Some(t.to_owned()))).collect()
    }
}

/// `did you mean` the nearest of `known`, or all of them where they are few or none is near.
pub(super) fn meant<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> String {
    let mut known: Vec<&str> = known.collect();
    let near = known.iter().map(|k| (distance(word, k), *k)).min();
    match near {
        // A third of it mistyped is still the same word.
        Some((0, exact)) => format!("it is spelled `{exact}`"),
        Some((distance, name)) if distance * 3 <= word.chars().count().max(name.len()) => {
            format!("did you mean `{name}`?")
        }
        Some(_) => {
            known.sort_unstable();
            format!("it has {}", known.join(", "))
        }
        None => "it has none".to_owned(),
    }
}

/// How many letters must be added, removed or changed to make one of the other, their case aside.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().flat_map(char::to_lowercase).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_word_is_answered_with_the_nearest_one() {
        let known = ["brokers", "authType", "initialOffset"];
        for (word, said) in [
            ("broker", "did you mean `brokers`?"),
            ("authtype", "it is spelled `authType`"),
            ("initalOffset", "did you mean `initialOffset`?"),
            ("clientTransport", "it has authType, brokers, initialOffset"),
        ] {
            assert_eq!(meant(word, known.into_iter()), said);
        }
        assert_eq!(meant("x", std::iter::empty()), "it has none");
    }

    #[test]
    fn the_distance_counts_letters() {
        for (one, other, letters) in [("", "abc", 3), ("kitten", "sitting", 3), ("ABC", "abc", 0)] {
            assert_eq!(distance(one, other), letters);
            assert_eq!(distance(other, one), letters);
        }
    }
}
