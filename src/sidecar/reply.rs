//! What an app's reply means: status and body to verdict, as tables.
//!
//! Single and bulk differ on purpose, as they do in daprd: an empty 200 is a success for one message and a
//! retry for a batch. Knows nothing of retries, dead letters or brokers.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::json::{Members, text_of};

/// What becomes of one message after one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The app has taken it.
    Success,
    /// It may be tried again.
    Retry,
    /// The app does not want it; a dead-letter topic gets a copy.
    Drop,
    /// Dropped without a dead letter: a bulk route that answered 404.
    Discard,
}

impl Verdict {
    /// The reply word: `SUCCESS`, `RETRY` or `DROP`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Retry => "RETRY",
            Self::Drop | Self::Discard => "DROP",
        }
    }

    fn of_word(word: &str) -> Self {
        match word {
            "SUCCESS" => Self::Success,
            "DROP" => Self::Drop,
            // Words are compared as they stand: `success` is no success.
            _ => Self::Retry,
        }
    }
}

/// The verdict on a message delivered alone.
pub(crate) fn single(status: u16, body: &[u8]) -> Verdict {
    match status {
        200..=299 => {
            let word = Members::read(body).ok().and_then(|m| m.get("status").and_then(text_of));
            match word.as_deref() {
                None | Some("") => Verdict::Success,
                Some(word) => Verdict::of_word(word),
            }
        }
        404 => Verdict::Drop,
        _ => Verdict::Retry,
    }
}

#[derive(Deserialize)]
struct Statuses<'a> {
    #[serde(borrow, default)]
    statuses: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryStatus {
    #[serde(default)]
    entry_id: String,
    #[serde(default)]
    status: Value,
}

/// The verdicts on the entries `ids` of a batch, in their order.
pub(crate) fn bulk<S: AsRef<str>>(status: u16, body: &[u8], ids: &[S]) -> Vec<Verdict> {
    let all = |verdict| vec![verdict; ids.len()];
    match status {
        200..=299 => {}
        404 => return all(Verdict::Discard),
        _ => return all(Verdict::Retry),
    }
    let Ok(Statuses { statuses: Some(statuses) }) = serde_json::from_slice(body) else {
        return all(Verdict::Retry);
    };
    let mut told = std::collections::HashMap::with_capacity(statuses.len());
    for raw in statuses {
        let Ok(entry) = serde_json::from_str::<EntryStatus>(raw.get()) else {
            return all(Verdict::Retry);
        };
        told.insert(entry.entry_id, Verdict::of_word(entry.status.as_str().unwrap_or_default()));
    }
    ids.iter().map(|id| told.get(id.as_ref()).copied().unwrap_or(Verdict::Retry)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_replies_mean_what_daprd_takes_them_for() {
        use Verdict::{Drop, Retry, Success};
        for (status, body, verdict) in [
            (200, r#"{"status":"SUCCESS"}"#, Success),
            (200, r#"{"status":"RETRY"}"#, Retry),
            (200, r#"{"status":"DROP"}"#, Drop),
            (200, r#"{"status":"OK"}"#, Retry),
            (200, r#"{"status":"success"}"#, Retry),
            (200, r#"{"status":"drop"}"#, Retry),
            (200, r#"{"status":""}"#, Success),
            (200, r#"{"status":null}"#, Success),
            (200, r#"{"status":1}"#, Success),
            (200, "{}", Success),
            (200, "[]", Success),
            (200, "fine", Success),
            (200, "", Success),
            (201, "", Success),
            (204, "", Success),
            (301, "", Retry),
            (400, "", Retry),
            (404, "", Drop),
            (413, "", Retry),
            (500, "", Retry),
            (503, r#"{"status":"DROP"}"#, Retry),
        ] {
            assert_eq!(single(status, body.as_bytes()), verdict, "{status} {body}");
        }
    }

    #[test]
    fn bulk_replies_are_read_entry_by_entry_and_silence_is_a_retry() {
        use Verdict::{Discard, Drop, Retry, Success};
        for (status, body, verdicts) in [
            (
                200,
                r#"{"statuses":[{"entryId":"b","status":"DROP"},{"entryId":"a","status":"SUCCESS"}]}"#,
                [Success, Drop],
            ),
            (200, r#"{"statuses":[{"entryId":"a","status":"SUCCESS"}]}"#, [Success, Retry]),
            (
                200,
                r#"{"statuses":[{"entryId":"a","status":"done"},{"entryId":"b","status":""}]}"#,
                [Retry; 2],
            ),
            (200, r#"{"statuses":[{"entryId":"z","status":"SUCCESS"}]}"#, [Retry; 2]),
            (200, r#"{"status":"SUCCESS"}"#, [Retry; 2]),
            (200, "", [Retry; 2]),
            (404, "", [Discard; 2]),
            (500, r#"{"statuses":[{"entryId":"a","status":"SUCCESS"}]}"#, [Retry; 2]),
        ] {
            assert_eq!(bulk(status, body.as_bytes(), &["a", "b"]), verdicts, "{status} {body}");
        }
    }
}
