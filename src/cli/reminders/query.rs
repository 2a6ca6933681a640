//! The question put to the worker's API, and its answer.

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::domain::{State, Timestamp};

/// Most reminders asked for in one request; more are fetched page by page.
const PAGE_MAX: usize = 500;

/// Which reminders are wanted, in the order of their instants.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Query {
    /// In this state.
    pub(crate) state: Option<State>,
    /// Of this user.
    pub(crate) user: Option<String>,
    /// At or after.
    pub(crate) from: Option<Timestamp>,
    /// Before.
    pub(crate) to: Option<Timestamp>,
    /// At most so many.
    pub(crate) limit: usize,
}

impl Query {
    /// The URL of the page after the cursor `after`, of at most `wanted` reminders.
    pub(super) fn page(&self, mut url: Url, wanted: usize, after: Option<&str>) -> Url {
        let mut pairs = url.query_pairs_mut();
        let optional = [
            ("state", self.state.map(|state| state.name().to_owned())),
            ("user", self.user.clone()),
            ("from", self.from.map(Timestamp::to_rfc3339)),
            ("to", self.to.map(Timestamp::to_rfc3339)),
            ("after", after.map(str::to_owned)),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                pairs.append_pair(key, &value);
            }
        }
        pairs.append_pair("limit", &wanted.min(PAGE_MAX).to_string());
        drop(pairs);
        url
    }
}

/// One page of `GET /api/v1/reminders`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub(crate) struct Page {
    /// What time it is with the worker.
    pub(crate) now: String,
    /// In the order of their instants; may be empty although there are more.
    pub(crate) reminders: Vec<Reminder>,
    /// The cursor of the next page.
    pub(crate) next: Option<String>,
}

/// One reminder as the API tells it; instants are RFC 3339.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Reminder {
    /// Its identity.
    pub(crate) reminder_id: String,
    /// The id of the event that is published for it.
    pub(crate) event_id: String,
    /// Its task.
    pub(crate) task_id: String,
    /// The task's user, if known.
    pub(crate) user_id: Option<String>,
    /// The task's title, if known.
    pub(crate) title: Option<String>,
    /// The due date it belongs to.
    pub(crate) occurrence: Option<String>,
    /// The rule it follows.
    pub(crate) rule: String,
    /// Its instant.
    pub(crate) fire_at: String,
    /// Its state.
    pub(crate) state: String,
    /// When it was published.
    pub(crate) published_at: Option<String>,
    /// How late that was, in milliseconds.
    pub(crate) late_by_ms: Option<u64>,
    /// Why it is in its state.
    pub(crate) reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_in_the_url_and_pages_are_bounded() {
        let base = || Url::parse("http://127.0.0.1:8080/api/v1/reminders").unwrap();
        let all = Query { limit: 1, ..Query::default() };
        assert_eq!(all.page(base(), PAGE_MAX + 1, None).query(), Some("limit=500"));
        let some = Query {
            state: Some(State::Pending),
            user: Some("a&b".to_owned()),
            from: Some(Timestamp::from_millis(0)),
            to: Some(Timestamp::from_millis(1)),
            limit: 7,
        };
        let url = some.page(base(), 7, Some("c=="));
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("state", "pending"),
                ("user", "a&b"),
                ("from", "1970-01-01T00:00:00.000Z"),
                ("to", "1970-01-01T00:00:00.001Z"),
                ("after", "c=="),
                ("limit", "7"),
            ]
        );
    }
}
