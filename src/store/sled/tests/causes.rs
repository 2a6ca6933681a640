//! Why a reminder must not come back is kept as a number, and read from the words of records that have none.

use super::strategies::plain_record;
use crate::domain::{Cause, Record, Reminder, Rule, State, Timestamp};
use crate::store::sled::codes::Coded;
use crate::store::sled::records;

/// A record with such reminders alone, each in its state, with its reason and its cause.
fn record(reminders: &[(State, &str, Option<Cause>)]) -> Record {
    let reminder = |(state, reason, cause): &(State, &str, Option<Cause>)| Reminder {
        state: *state,
        reason: Some((*reason).to_owned()),
        cause: *cause,
        ..Reminder::pending(None, Rule::Offset(0), Timestamp::from_millis(9))
    };
    Record { reminders: reminders.iter().map(reminder).collect(), ..Record::default() }
}

fn causes(record: &Record) -> Vec<Option<Cause>> {
    record.reminders.iter().map(|reminder| reminder.cause).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_cause_keeps_its_number() {
    assert_eq!(Cause::ALL.map(Coded::code), [1, 2, 3, 4]);
    let kept = record(&[(State::Expired, "", None), (State::Cancelled, "x", Some(Cause::Quiet))]);
    let bytes = records::encode(&kept);
    assert_eq!(hex(&bytes), "0200000000028500010012008300010012017800010603010102");
    assert_eq!(records::decode(&bytes), Ok(kept));
}

#[test]
fn a_record_that_only_says_it_in_words_has_the_cause_that_they_tell() {
    let unsure = "an attempt ended without an answer: it may have gone out; muted by its user";
    let quiet = "in its user's quiet hours, which drop reminders";
    let past = "it was past when it was imported";
    let told = record(&[
        (State::Cancelled, "muted by its user", None),
        (State::Published, unsure, None),
        (State::Cancelled, quiet, None),
        (State::Expired, past, None),
        (State::Pending, "muted by its user", None),
        (State::Expired, quiet, None),
        (State::Cancelled, past, None),
        (State::Cancelled, "the broker refused it", None),
    ]);
    let bytes = records::encode(&told);
    assert_eq!(bytes[0], 1, "the plain format, as all records had it");
    let read = records::decode(&bytes).unwrap();
    let (muted, quiet) = (Some(Cause::Muted), Some(Cause::Quiet));
    assert_eq!(causes(&read), [muted, muted, quiet, Some(Cause::PastAtImport), None, None, None, None]);
    assert_eq!(causes(&records::decode(&records::encode(&read)).unwrap()), causes(&read), "and keeps it");
}

#[test]
fn words_tell_nothing_where_a_cause_is_kept() {
    let said = record(&[
        (State::Expired, "late", Some(Cause::PastAtImport)),
        (State::Published, "the broker says: muted by its user", None),
    ]);
    assert_eq!(records::decode(&records::encode(&said)), Ok(said));
}

#[test]
fn a_plain_record_has_no_byte_of_it() {
    assert_eq!(records::encode(&plain_record())[0], 1);
}
