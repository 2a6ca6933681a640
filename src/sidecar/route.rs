//! Which path of an app an event goes to.
//!
//! Rules are tried in order and the default comes last. Of CEL this knows one form, `event.<attribute> ==
//! '<text>'` (either quote, attributes may be dotted, as in `event.data.kind`), and the blank expression,
//! which always matches. Everything else is refused when the app subscribes, so that no event is routed by a
//! rule that was not understood.

use serde_json::Value;

/// An expression this sidecar does not know.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the routing rule {0:?} is not understood: the embedded sidecar knows event.<attribute> == '<text>' only"
)]
pub(crate) struct UnknownExpression(pub(crate) String);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    attribute: Vec<String>,
    text: String,
}

impl Match {
    /// Reads an expression; `None` is the blank one.
    pub(crate) fn parse(expression: &str) -> Result<Option<Self>, UnknownExpression> {
        let refuse = || UnknownExpression(expression.to_owned());
        let trimmed = expression.trim();
        if trimmed.is_empty() {
            return Ok(None);
        }
        let (left, right) = trimmed.split_once("==").ok_or_else(refuse)?;
        let attribute: Vec<String> =
            left.trim().strip_prefix("event.").ok_or_else(refuse)?.split('.').map(str::to_owned).collect();
        let named =
            |part: &String| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let right = right.trim();
        let text = ['\'', '"']
            .into_iter()
            .find_map(|quote| right.strip_prefix(quote)?.strip_suffix(quote))
            .ok_or_else(refuse)?;
        if !attribute.iter().all(named) || text.contains(['\'', '"', '\\']) {
            return Err(refuse());
        }
        Ok(Some(Self { attribute, text: text.to_owned() }))
    }

    fn holds(&self, event: &Value) -> bool {
        let found = self.attribute.iter().try_fold(event, |value, name| value.get(name));
        found.and_then(Value::as_str) == Some(&self.text)
    }
}

/// One rule: where events go that it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) expression: String,
    pub(crate) matches: Option<Match>,
    pub(crate) path: String,
}

/// The path for an event, or `None` if no rule wants it; the event is parsed only if a rule looks at it.
pub(crate) fn path_for<'r>(rules: &'r [Rule], event: &[u8]) -> Option<&'r str> {
    let mut parsed: Option<Value> = None;
    rules
        .iter()
        .find(|rule| match &rule.matches {
            None => true,
            Some(expression) => {
                let event = parsed.get_or_insert_with(|| serde_json::from_slice(event).unwrap_or_default());
                expression.holds(event)
            }
        })
        .map(|rule| rule.path.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(expression: &str, path: &str) -> Rule {
        Rule { expression: expression.into(), matches: Match::parse(expression).unwrap(), path: path.into() }
    }

    #[test]
    fn the_first_matching_rule_wins_and_the_blank_one_always_matches() {
        let rules = [
            rule("event.type == 'created'", "/created"),
            rule("event.data.kind == \"odd\"", "/odd"),
            rule("", "/default"),
        ];
        for (event, path) in [
            (r#"{"type":"created"}"#, "/created"),
            (r#"{"type":"created","data":{"kind":"odd"}}"#, "/created"),
            (r#"{"data":{"kind":"odd"}}"#, "/odd"),
            (r#"{"type":"Created"}"#, "/default"),
            (r#"{"type":1}"#, "/default"),
            ("not json", "/default"),
        ] {
            assert_eq!(path_for(&rules, event.as_bytes()), Some(path), "{event}");
        }
        assert_eq!(path_for(&rules[..2], b"{}"), None);
    }

    #[test]
    fn expressions_that_are_not_understood_are_refused() {
        for expression in [
            "event.type",
            "event.type == created",
            "event.type == 'a' && event.id == 'b'",
            "event.type == 'a' || true",
            "event.type != 'a'",
            "has(event.type)",
            "type == 'a'",
            "event. == 'a'",
            "event.type == 'a\\'b'",
            "event.count == 1",
        ] {
            assert_eq!(Match::parse(expression), Err(UnknownExpression(expression.into())), "{expression}");
        }
    }
}
