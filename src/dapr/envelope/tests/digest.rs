//! The digest.

use super::*;
use crate::domain::digest::{DIGEST_MAX_BYTES, item_bytes, split};
use crate::domain::{Reminder, ReminderId};

/// Kafka's limit of 1 MiB, less key, headers and the names that the sidecar adds.
const SENT_MAX_BYTES: usize = 1000 * 1024;

fn digest(items: &[DigestItem<'_>], user: &str) -> Vec<u8> {
    let ids: Vec<_> = items.iter().map(|item| item.reminder.id(item.task_id)).collect();
    let id = ReminderId::of_digest(user, at(NINE), &ids);
    reminder_digest(id, user, at(NINE), items, &Rules { in_force: &in_force(), user: None })
}

#[test]
fn a_digest_is_these_bytes() {
    let one = task(vec![Statement::Title(Some("Water \"all\"".into()))], None, None);
    let moved = Reminder {
        moved_from: Some(at(NINE + 60_000)),
        ..due_reminder(Due::Instant(at(NINE + 960_000)), Zone::UTC, 15)
    };
    let item = DigestItem { task_id: &id("t-1"), task: &one, reminder: &moved };
    let own = moved.id(&id("t-1")).to_string();
    let event_id = ReminderId::of_digest("u-1", at(NINE), &[moved.id(&id("t-1"))]).to_string();
    let hash = Sha256::digest(event_id.as_bytes());
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let trace = format!("00-{}-{}-01", hex(&hash[..16]), hex(&hash[16..24]));
    let golden = concat!(
        r#"{"specversion":"1.0","id":"ID","source":"reminder-worker","type":"reminder_digest","subject":"u-1","#,
        r#""time":"2026-11-24T09:00:00.000Z","datacontenttype":"application/json","traceid":"TRACE","#,
        r#""traceparent":"TRACE","data":{"event_id":"ID","event_type":"reminder_digest","event_version":"v1","#,
        r#""timestamp":"2026-11-24T09:00:00.000Z","correlation_id":"ID","producer":"reminder-worker","#,
        r#""payload":{"digest_id":"ID","user_id":"u-1","items":[{"task_id":"t-1","title":"Water \"all\"","#,
        r#""due_date":"2026-11-24T09:16:00.000Z","priority":"MEDIUM","reminder_id":"OWN","#,
        r#""remind_at":"2026-11-24T09:01:00.000Z","rule":"offset:15","#,
        r#""occurrence":"2026-11-24T09:16:00.000Z","timezone":null}]}}}"#,
    );
    let golden = golden.replace("ID", &event_id).replace("TRACE", &trace).replace("OWN", &own);
    assert_eq!(String::from_utf8(digest(&[item], "u-1")).unwrap(), golden);
}

#[test]
fn wherever_it_was_moved_a_reminder_tells_of_the_same_instant_alone_and_in_a_digest() {
    let one = task(vec![Statement::Due(Some(Due::Instant(at(NINE))))], None, None);
    let planned = due_reminder(Due::Instant(at(NINE)), Zone::UTC, 15);
    let instant = planned.fire_at;
    for to in [instant, at(NINE - 3_600_227), at(NINE + 3_600_227)] {
        let moved_from = (to != instant).then_some(instant);
        let reminder = Reminder { fire_at: to, moved_from, ..planned.clone() };
        let alone = told(&one, &reminder);
        let item = DigestItem { task_id: &id("t-1"), task: &one, reminder: &reminder };
        let together: serde_json::Value = serde_json::from_slice(&digest(&[item], "u-1")).unwrap();
        let (own, item) = (&alone["data"]["payload"], &together["data"]["payload"]["items"][0]);
        assert_eq!(own["remind_at"], instant.to_rfc3339());
        for key in ["remind_at", "due_date", "occurrence", "rule", "reminder_id", "timezone"] {
            assert_eq!(own[key], item[key], "{key}");
        }
        assert_eq!(alone["data"]["timestamp"], to.to_rfc3339());
    }
}

#[test]
fn the_largest_digests_fit_into_a_record() {
    let zone: Zone = "America/Argentina/ComodRivadavia".parse().unwrap();
    for letter in ["x", "\"", "\u{1}"] {
        let wide = task(vec![Statement::Title(Some(letter.repeat(TEXT_MAX_BYTES)))], None, None);
        let ids: Vec<_> = (0..150).map(|n| id(&format!("{n:0>width$}", width = TASK_ID_MAX_BYTES))).collect();
        let stated = Reminder {
            moved_from: Some(at(NINE)),
            ..Reminder::pending(None, Rule::At(Moment::new(Due::Date(20_000), zone)), at(NINE))
        };
        for members in split(ids.iter().collect(), |id| item_bytes(id, &wide)) {
            let bound: usize = members.iter().map(|id| item_bytes(id, &wide)).sum();
            let items: Vec<_> = members
                .iter()
                .map(|task_id| DigestItem { task_id, task: &wide, reminder: &stated })
                .collect();
            let sent = digest(&items, &"\u{1}".repeat(USER_ID_MAX_BYTES)).len();
            assert!(bound <= DIGEST_MAX_BYTES && sent <= SENT_MAX_BYTES, "{letter:?}: {sent}");
        }
    }
}
