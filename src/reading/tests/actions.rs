//! Snoozes, acknowledgements and reminders after due, as they are told.

use serde_json::{Value, json};

use super::{Ignored, Reason, at, created, event, ignored, reading, reason, refused};
use crate::domain::{
    Kind, Moment, NAGS_MAX, NAGS_MAX_DEFAULT, Nags, OFFSET_MAX_MINUTES, ReminderId, Snooze, Statement,
    Target, Until,
};

const STAMP: &str = "2026-11-24T09:00:00Z";
const REMINDER: &str = "8f1d5b0e-2a67-5c3b-9d41-6e0b7c52a419";

/// An action on task `t-1` stamped at [`STAMP`], whose payload also holds `fields`.
fn act(kind: &str, fields: &Value) -> Value {
    let mut payload = json!({"task_id": "t-1"});
    payload.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"event_type": kind, "timestamp": STAMP, "payload": payload})
}

fn snooze(fields: &Value) -> Value {
    act("reminder_snoozed", fields)
}

fn snoozed(fields: &Value) -> Snooze {
    let read = event(&snooze(fields));
    let [Statement::Snooze(Some(snooze))] = read.statements[..] else { panic!("{fields}: {read:?}") };
    snooze
}

fn acknowledged(fields: &Value) -> Target {
    let read = event(&act("reminder_acknowledged", fields));
    let [Statement::Acknowledged(Some(target))] = read.statements[..] else { panic!("{fields}: {read:?}") };
    target
}

#[test]
fn what_is_done_about_a_reminder_is_read_in_every_spelling() {
    for (kind, spellings) in [
        (
            Kind::Snoozed,
            &[
                "reminder_snoozed",
                "reminder.snoozed",
                "reminders.snoozed",
                "ReminderSnoozed",
                "reminderSnoozed",
                "com.example.reminder.snoozed.v1",
                "snooze_reminder",
                "task_snoozed",
                "snoozed",
                "REMINDER_SNOOZE",
                "reminder-postponed",
            ][..],
        ),
        (
            Kind::Acknowledged,
            &[
                "reminder_acknowledged",
                "reminder.ack",
                "ReminderDismissed",
                "acknowledge_reminder",
                "acknowledged",
            ],
        ),
    ] {
        for spelling in spellings {
            assert_eq!(event(&act(spelling, &json!({"minutes": 5}))).kind, kind, "{spelling}");
        }
    }
    for key in ["type", "action"] {
        let body = json!({key: "reminder_snoozed", "task_id": 1, "minutes": 5});
        assert_eq!(event(&body).kind, Kind::Snoozed, "{key}");
    }
}

#[test]
fn other_things_said_of_reminders_are_none_of_these() {
    let unrelated = |kind: &str| Ignored::Unrelated(kind.to_owned());
    for kind in ["reminder_created", "alarm_snoozed", "reminder_sent", "invoice.acknowledged"] {
        assert_eq!(ignored(&act(kind, &json!({}))), unrelated(kind), "{kind}");
    }
    assert_eq!(ignored(&act("reminder_due", &json!({}))), Ignored::Reminder);
    let vague = json!({"action": "acknowledged", "task_id": 1});
    assert_eq!(ignored(&vague), unrelated("acknowledged"), "anything may be acknowledged");
    let body = json!({"type": "task", "action": "completed", "task_id": 1});
    assert_eq!(event(&body).kind, Kind::Completed);
}

#[test]
fn a_snooze_says_until_when_or_in_how_many_minutes() {
    let instant = at("2026-11-24T09:30:00Z");
    for fields in [
        json!({"until": "2026-11-24T09:30:00Z"}),
        json!({"until": "2026-11-24T10:30:00+01:00", "minutes": 5}),
        json!({"snoozeUntil": "2026-11-24T09:30:00Z"}),
        json!({"until": null, "snoozed_until": "2026-11-24T09:30:00Z"}),
    ] {
        assert_eq!(snoozed(&fields), Snooze { until: Until::At(instant), of: Target::Present }, "{fields}");
    }
    for (minutes, expected) in [(json!(15), 15), (json!("15"), 15), (json!("1h"), 60), (json!(10.0), 10)] {
        assert_eq!(snoozed(&json!({"minutes": minutes})).until, Until::Minutes(expected), "{minutes}");
    }
    let flat = json!({"event_type": "reminder_snoozed", "task_id": 7, "minutes": 5});
    assert_eq!(event(&flat).statements.len(), 1);
}

#[test]
fn a_snooze_that_does_not_say_certainly_when_it_ends_is_refused_with_the_reason() {
    for (fields, told) in [
        (json!({}), "send `until` or `minutes`"),
        (json!({"until": null}), "send `until` or `minutes`"),
        (json!({"until": "soon"}), "no date"),
        (json!({"until": "2026-11-24T10:00:00"}), "without an offset"),
        (json!({"until": "2026-11-25"}), "without an offset"),
        (json!({"until": 1_795_510_800}), "seconds or milliseconds"),
        (json!({"until": ""}), "empty"),
        (json!({"until": STAMP}), "no later than the snooze itself"),
        (json!({"until": "2026-11-24T08:59:59Z"}), "no later than the snooze itself"),
        (json!({"minutes": 0}), "a minute at least"),
        (json!({"minutes": -5}), "not whole minutes"),
        (json!({"minutes": "90s"}), "not whole minutes"),
        (json!({"minutes": OFFSET_MAX_MINUTES + 1}), "not whole minutes"),
    ] {
        let Reason::SnoozeUnreadable { why } = reason(&snooze(&fields)) else { panic!("{fields}") };
        assert!(why.contains(told), "{fields}: {why}");
    }
    assert_eq!(reason(&snooze(&json!({}))).code(), "snooze_unreadable");
}

#[test]
fn a_snooze_ends_within_ten_years_on_the_bound() {
    let longest = at(STAMP).plus(std::time::Duration::from_secs(u64::from(OFFSET_MAX_MINUTES) * 60));
    assert_eq!(snoozed(&json!({"until": longest.to_rfc3339()})).until, Until::At(longest));
    let beyond = longest.plus(std::time::Duration::from_millis(1)).to_rfc3339();
    assert_eq!(reason(&snooze(&json!({"until": beyond}))).code(), "snooze_unreadable");
    assert_eq!(snoozed(&json!({"minutes": OFFSET_MAX_MINUTES})).until, Until::Minutes(OFFSET_MAX_MINUTES));
}

#[test]
fn of_two_ends_the_one_that_can_be_read_counts_and_the_other_is_refused() {
    let read = event(&snooze(&json!({"until": "soon", "minutes": 5})));
    assert_eq!(refused(&read), ["until"]);
    assert!(matches!(
        read.statements[..],
        [Statement::Snooze(Some(Snooze { until: Until::Minutes(5), .. }))]
    ));
}

#[test]
fn which_occurrence_is_meant_is_an_extra() {
    let id = Target::Reminder(ReminderId::from(REMINDER.parse::<uuid::Uuid>().unwrap()));
    let occurrence = |text: &str| Target::Occurrence(text.parse::<Moment>().unwrap());
    for (fields, expected) in [
        (json!({}), Target::Present),
        (json!({"occurrence": null, "reminder_id": ""}), Target::Present),
        (json!({"reminder_id": REMINDER}), id),
        (json!({"reminderId": REMINDER}), id),
        (json!({"occurrence": STAMP}), occurrence(STAMP)),
        (
            json!({"occurrence": "2026-11-24[Europe/Berlin]", "reminder_id": REMINDER}),
            occurrence("2026-11-24[Europe/Berlin]"),
        ),
    ] {
        assert_eq!(acknowledged(&fields), expected, "{fields}");
        let mut with_end = fields.clone();
        with_end["minutes"] = json!(5);
        assert_eq!(snoozed(&with_end).of, expected, "{fields}");
    }
    for fields in [
        json!({"occurrence": "soon"}),
        json!({"occurrence": 5}),
        json!({"occurrence": "2026-11-24T09:00:00"}),
        json!({"occurrence": "x".repeat(97)}),
        json!({"reminder_id": "r-1"}),
    ] {
        let read = event(&act("reminder_acknowledged", &fields));
        assert_eq!(refused(&read), fields.as_object().unwrap().keys().collect::<Vec<_>>(), "{fields}");
        assert_eq!(read.statements, [Statement::Acknowledged(Some(Target::Present))], "{fields}");
    }
}

#[test]
fn an_action_says_nothing_else_of_its_task() {
    let read = event(&snooze(&json!({"minutes": 5, "title": "x", "due_date": "soon", "changes": 3})));
    assert_eq!(read.statements.len(), 1);
}

fn nags(value: &Value) -> Result<Option<Nags>, Vec<String>> {
    let read = event(&created(&json!({"overdue_reminders": value})));
    match &read.statements[..] {
        [Statement::Nags(nags)] => Ok(*nags),
        [] => Err(read.refused.into_iter().map(|refusal| refusal.reason).collect()),
        other => panic!("{value}: {other:?}"),
    }
}

#[test]
fn reminders_after_due_are_told_as_an_object_as_text_or_not_at_all() {
    let every = |every_minutes, max| Ok(Some(Nags { every_minutes, max }));
    let default = NAGS_MAX_DEFAULT;
    for (value, expected) in [
        (json!({"every": "1d", "max": 3}), every(1440, 3)),
        (json!({"every": 30}), every(30, default)),
        (json!({"every_minutes": 30, "max": 2.0}), every(30, 2)),
        (json!({"every": 30, "max": null}), every(30, default)),
        (json!("every 1 d, at most 3"), every(1440, 3)),
        (json!("Every 2 hours, max 5 times"), every(120, 5)),
        (json!("30 min"), every(30, default)),
        (json!("PT1H"), every(60, default)),
        (json!(45), every(45, default)),
        (json!(null), Ok(None)),
        (json!(""), Ok(None)),
        (json!(true), Ok(None)),
        (json!(false), Ok(Some(Nags::NONE))),
        (json!(0), Ok(Some(Nags::NONE))),
        (json!("none"), Ok(Some(Nags::NONE))),
        (json!({"every": 0}), Ok(Some(Nags::NONE))),
        (json!({"every": false}), Ok(Some(Nags::NONE))),
        (json!({"every": 5, "max": 0}), Ok(Some(Nags::NONE))),
        (json!({"every": 5, "max": NAGS_MAX}), every(5, NAGS_MAX)),
        (json!({"every": OFFSET_MAX_MINUTES}), every(OFFSET_MAX_MINUTES, default)),
    ] {
        assert_eq!(nags(&value), expected, "{value}");
    }
    for value in [
        json!({}),
        json!({"max": 3}),
        json!({"every": "soon"}),
        json!({"every": 5, "max": NAGS_MAX + 1}),
        json!({"every": 5, "max": "3"}),
        json!({"every": 5, "max": 1.5}),
        json!({"every": OFFSET_MAX_MINUTES + 1}),
        json!("every now and then"),
        json!("every 1 d, at most a few"),
        json!(format!("every 1 d{}", " ".repeat(60))),
        json!([5]),
        json!(-5),
    ] {
        let refused = nags(&value);
        // White space around it is none of its length.
        let is_padded = value.as_str().is_some_and(|text| text.ends_with("  "));
        assert_eq!(refused.is_err(), !is_padded, "{value}: {refused:?}");
    }
}

#[test]
fn that_a_task_is_overdue_says_nothing_of_reminders() {
    for fact in [true, false] {
        let read = event(&created(&json!({"overdue": fact})));
        assert_eq!((read.statements.len(), read.refused.len()), (0, 0), "{fact}");
    }
    let read = event(&created(&json!({"overdue": {"every": 5, "max": 2}})));
    assert_eq!(read.statements, [Statement::Nags(Some(Nags { every_minutes: 5, max: 2 }))]);
    let both = event(&created(&json!({"overdue": true, "nag": "1h"})));
    assert_eq!(both.statements, [Statement::Nags(Some(Nags { every_minutes: 60, max: NAGS_MAX_DEFAULT }))]);
}

#[test]
fn an_action_needs_its_task_as_every_event_does() {
    let body = json!({"event_type": "reminder_snoozed", "payload": {"reminder_id": REMINDER, "minutes": 5}});
    assert!(matches!(reading(&body), super::Reading::Refused(Reason::TaskIdMissing)));
}
