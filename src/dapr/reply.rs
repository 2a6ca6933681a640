//! The words Dapr wants to hear. Any other word is RETRY to it (`postman/http/http.go`), so there are no others.

use serde::Serialize;

use crate::domain::Verdict;

/// The word for a verdict.
#[must_use]
pub fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Success => "SUCCESS",
        Verdict::Drop => "DROP",
        Verdict::Retry => "RETRY",
    }
}

/// The reply to a single delivery: `{"status":…}`.
#[must_use]
pub fn reply(verdict: Verdict) -> Vec<u8> {
    format!(r#"{{"status":"{}"}}"#, word(verdict)).into_bytes()
}

/// The reply to a bulk delivery: `{"statuses":[{"entryId","status"}]}`. An entry left out would be RETRY.
#[must_use]
pub fn bulk_reply(verdicts: &[(String, Verdict)]) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Status<'a> {
        entry_id: &'a str,
        status: &'static str,
    }
    #[derive(Serialize)]
    struct Reply<'a> {
        statuses: Vec<Status<'a>>,
    }
    let statuses =
        verdicts.iter().map(|(entry_id, verdict)| Status { entry_id, status: word(*verdict) }).collect();
    // Plain text written into memory: there is nothing that can fail.
    serde_json::to_vec(&Reply { statuses }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_has_the_word_that_dapr_knows() {
        for (verdict, word) in
            [(Verdict::Success, "SUCCESS"), (Verdict::Drop, "DROP"), (Verdict::Retry, "RETRY")]
        {
            assert_eq!(String::from_utf8(reply(verdict)).unwrap(), format!(r#"{{"status":"{word}"}}"#));
        }
    }

    #[test]
    fn a_bulk_reply_names_every_entry_even_one_whose_id_needs_escaping() {
        let verdicts = [("0".to_owned(), Verdict::Success), ("a\"b".to_owned(), Verdict::Drop)];
        assert_eq!(
            String::from_utf8(bulk_reply(&verdicts)).unwrap(),
            r#"{"statuses":[{"entryId":"0","status":"SUCCESS"},{"entryId":"a\"b","status":"DROP"}]}"#
        );
        assert_eq!(bulk_reply(&[]), br#"{"statuses":[]}"#);
    }
}
