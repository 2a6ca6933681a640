//! What a person reads.

use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::domain::decide::{Attempt, end_attempt, receive};
use crate::domain::history::{Move, Note};
use crate::domain::tests::history::noted;
use crate::domain::tests::preferences::wished;
use crate::domain::tests::{
    T0, created, due, event, minute, offsets, policy, task, title, updated, wall, zone,
};
use crate::domain::{
    Backoff, Event, Kind, Mute, Preferences, Refusal, ReminderId, State, Statement, Target, Wish,
};

const BACKOFF: Backoff = Backoff { initial: Duration::from_secs(60), max: Duration::from_secs(60) };

fn from(producer: &str, id: &str, event: Event) -> Event {
    Event { producer: Some(producer.into()), message_id: Some(id.into()), ..event }
}

/// A worker runs on the store, and nothing is known to keep it from sending.
const RUNS: Halts<'_> = Halts { paused: None, restored: None, claims: &[], runs: true, held_up: None };

/// A task with one reminder, at minute 60 by the clocks of Berlin.
fn record() -> Record {
    let mut record = Record::default();
    let statements = [
        title("Water the plants"),
        Statement::Due(Some(wall("2026-11-24T11:00:00"))),
        Statement::Zone(Some(zone("Europe/Berlin"))),
        offsets(&[0]),
    ];
    noted(&mut record, &from("chat-api", "e-1", created(T0, &statements)), T0);
    record
}

fn told(record: &Record, now: i64) -> Value {
    told_by(record, None, None, now)
}

fn told_by(record: &Record, user: Option<&Preferences>, paused: Option<&Paused>, now: i64) -> Value {
    let rules = Rules { in_force: &policy(), user };
    serde_json::to_value(why(&task("t"), record, &rules, Halts { paused, ..RUNS }, minute(now))).unwrap()
}

fn answers(record: &Record, now: i64) -> Vec<String> {
    let told = told(record, now);
    let answers = told["answers"].as_array().unwrap();
    answers.iter().map(|answer| answer["sentence"].as_str().unwrap().to_owned()).collect()
}

fn timeline_of(record: &Record) -> Vec<String> {
    let told = told(record, 0);
    let entries = told["timeline"].as_array().unwrap();
    let line = |e: &Value| format!("{}  {}", e["local"].as_str().unwrap(), e["sentence"].as_str().unwrap());
    entries.iter().map(line).collect()
}

#[test]
fn a_creation_and_its_plan_are_told_in_the_tasks_zone() {
    let record = record();
    let tzdb = chrono_tz::IANA_TZDB_VERSION;
    let lines = [
        "24 Nov 2026 10:00:00 CET  task_created from chat-api (event e-1) set the title, \
         the due date to 24 Nov 2026 11:00 Europe/Berlin, the time zone to Europe/Berlin, \
         the offsets to [0] minutes before due"
            .to_owned(),
        format!(
            "24 Nov 2026 10:00:00 CET  offset:0 was planned for 24 Nov 2026 11:00:00 CET, by the clocks of \
             Europe/Berlin in tz database {tzdb}: the task was created by event e-1"
        ),
    ];
    assert_eq!(timeline_of(&record), lines);
    let told = told(&record, 0);
    for (key, value) in [
        ("task_id", "t"),
        ("title", "Water the plants"),
        ("status", "TODO"),
        ("due", "2026-11-24T11:00:00.000[Europe/Berlin]"),
        ("timezone", "Europe/Berlin"),
    ] {
        assert_eq!(told[key], value, "{key}");
    }
    let (first, second) = (&told["timeline"][0], &told["timeline"][1]);
    assert_eq!((&first["what"], &first["event_id"]), (&"task_created".into(), &"e-1".into()));
    assert_eq!((&second["what"], &second["rule"]), (&"planned".into(), &"offset:0".into()));
    assert_eq!(second["reminder_id"], record.reminders[0].id(&task("t")).to_string());
    assert_eq!(first["at"], "2026-11-24T09:00:00.000Z");
}

#[test]
fn each_reminder_is_answered_by_where_it_stands() {
    let fires = "fires at 24 Nov 2026 11:00:00 CET";
    assert_eq!(answers(&record(), 0), [fires]);
    assert_eq!(
        answers(&record(), 60),
        ["is due since 24 Nov 2026 11:00:00 CET, has not been tried yet, and waits for its turn"]
    );

    let with = |change: &dyn Fn(&mut crate::domain::Reminder)| {
        let mut record = record();
        change(&mut record.reminders[0]);
        answers(&record, 60).remove(0)
    };
    let late = minute(60).plus(Duration::from_millis(12));
    let fired = with(&|reminder| {
        end_attempt(reminder, &Attempt::Confirmed, &BACKOFF, 0, late);
        receive(reminder, late.plus(Duration::from_millis(23)), false);
    });
    let expected =
        "fired at 24 Nov 2026 11:00:00 CET, 12 ms late, and came back through the broker 23 ms later";
    assert_eq!(fired, expected);
    let failed =
        with(&|reminder| end_attempt(reminder, &Attempt::Failed("400".into()), &BACKOFF, 0, minute(60)));
    assert!(failed.starts_with(
        "was due at 24 Nov 2026 11:00:00 CET; 1 attempt failed, the last one: 400; the next is at"
    ));
    let moved = with(&|reminder| {
        reminder.moved_from = Some(reminder.fire_at);
        reminder.fire_at = minute(120);
    });
    assert_eq!(
        moved,
        "fires at 24 Nov 2026 12:00:00 CET, moved there from 24 Nov 2026 11:00:00 CET by the window of its rule"
    );
    let expired = with(&|reminder| reminder.settle(State::Expired, late, Some("not sent".into())));
    assert_eq!(expired, "expired: not sent (it was for 24 Nov 2026 11:00:00 CET)");
    let doubt = with(&|reminder| {
        reminder.maybe_out = true;
        reminder.settle(State::Published, late, Some("no answer".into()));
    });
    assert_eq!(doubt, "may have fired: no answer");
}

/// The answer for a pending reminder that failed once, or not, and that is to leave the plan, or not.
fn waiting(is_tried: bool, is_leaving: bool, halts: Halts<'_>, now: i64) -> String {
    let mut record = record();
    if is_tried {
        end_attempt(&mut record.reminders[0], &Attempt::Failed("refused".into()), &BACKOFF, 0, minute(60));
        record.reminders[0].next_attempt = Some(minute(61));
    }
    record.reminders[0].leaving = is_leaving.then_some(State::Cancelled);
    let rules = Rules { in_force: &policy(), user: None };
    let told = serde_json::to_value(why(&task("t"), &record, &rules, halts, minute(now))).unwrap();
    told["answers"][0]["sentence"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_due_is_said_to_be_under_way_only_while_an_attempt_is_and_else_what_it_waits_for() {
    let id = record().reminders[0].id(&task("t"));
    let claims = [Claim { number: 1, reminders: vec![ReminderId::from_bytes([0; 16]), id] }];
    let (at, tried) = ("24 Nov 2026 11:00:00 CET", "1 attempt failed, the last one: refused");
    let away = Halts { held_up: Some("the sidecar does not answer"), ..RUNS };
    let (sends, cut_off) = (Halts { claims: &claims, ..RUNS }, Halts { claims: &claims, ..Halts::default() });
    let paused = Paused { since: T0, reason: None };
    let paused_over_it = Halts { paused: Some(&paused), ..sends };
    let table: [(bool, bool, Halts<'_>, i64, String); 10] = [
        (
            false,
            false,
            RUNS,
            60,
            format!("is due since {at}, has not been tried yet, and waits for its turn"),
        ),
        (
            false,
            false,
            away,
            60,
            format!(
                "is due since {at}, has not been tried yet, and waits: no reminder goes out (the sidecar does not answer)"
            ),
        ),
        (
            false,
            false,
            Halts::default(),
            60,
            format!("is due since {at}, has not been tried yet, and waits: no worker runs on the store"),
        ),
        (false, false, sends, 60, format!("is due since {at}; an attempt to send it is under way")),
        (false, false, paused_over_it, 60, format!("is due since {at}; an attempt to send it is under way")),
        (
            false,
            false,
            cut_off,
            60,
            format!(
                "is due since {at}; an attempt to send it was cut off: it may have gone out, and the next start of the worker \
             sends it again"
            ),
        ),
        (true, false, away, 60, format!("was due at {at}; {tried}; the next is at 24 Nov 2026 11:01:00 CET")),
        (
            true,
            false,
            away,
            61,
            format!(
                "was due at {at}; {tried}; the next is due, and waits: no reminder goes out (the sidecar does not answer)"
            ),
        ),
        (true, false, sends, 61, format!("was due at {at}; {tried}; an attempt to send it is under way")),
        (
            false,
            true,
            sends,
            60,
            format!(
                "is due since {at}; an attempt to send it is under way, and if that fails it will not fire"
            ),
        ),
    ];
    for (is_tried, is_leaving, halts, now, expected) in table {
        assert_eq!(waiting(is_tried, is_leaving, halts, now), expected);
    }
}

#[test]
fn a_pause_and_what_its_user_does_not_wish_are_told_before_their_time() {
    let at = "24 Nov 2026 11:00:00 CET";
    let paused = Paused { since: T0, reason: Some("a move".into()) };
    let all = "all reminders are paused since 24 Nov 2026 10:00:00 CET (a move); `reminder-worker resume` lets them go on";
    let sentence = |told: Value| told["answers"][0]["sentence"].as_str().unwrap().to_owned();
    let held = |now| sentence(told_by(&record(), None, Some(&paused), now));
    assert_eq!(held(0), format!("fires at {at}, if reminders go out again by then: {all}"));
    assert_eq!(held(61), format!("is due since {at} and waits: {all}"));
    let mut user = Preferences::default();
    user.apply(&wished(T0, &[Wish::Mute(Some(Mute::Always))]), T0);
    let muted = sentence(told_by(&record(), Some(&user), None, 0));
    assert_eq!(
        muted,
        format!("will not be sent, unless its user takes that back before {at}: muted by its user")
    );
}

#[test]
fn a_later_occurrence_is_planned_when_the_one_before_it_is_settled() {
    let mut record = Record::default();
    let daily = Statement::Recurrence(Some(r#"{"frequency":"daily"}"#.into()));
    noted(&mut record, &from("p", "e-1", created(T0, &[due(minute(60)), offsets(&[0]), daily])), T0);
    end_attempt(&mut record.reminders[0], &Attempt::Confirmed, &BACKOFF, 0, minute(61));
    let rules = Rules { in_force: &policy(), user: None };
    crate::domain::decide::replan(&task("t"), &mut record, &rules, minute(61), &|_| false);
    let lines = timeline_of(&record);
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(
        lines[3],
        "24 Nov 2026 10:01:00 UTC  offset:0 was planned for 25 Nov 2026 10:00:00 UTC: the one before it in its series, \
         of 24 Nov 2026 10:00:00 UTC, was published; the task was created by event e-1"
    );
}

#[test]
fn a_reminder_that_will_not_fire_names_the_event_that_ended_it() {
    let cancel = Statement::Cancelled(Some(Target::Present));
    for (event, answer) in [
        (event(Kind::Completed, minute(5)), "the task was completed by task_completed from p (event e-2)"),
        (event(Kind::Deleted, minute(5)), "the task was deleted by task_deleted from p (event e-2)"),
        (updated(minute(5), &[cancel]), "it was called off by task_updated from p (event e-2)"),
        (
            updated(minute(5), &[due(minute(90))]),
            "the due date was changed by task_updated from p (event e-2)",
        ),
        (
            updated(minute(5), &[Statement::Due(None)]),
            "the due date was changed by task_updated from p (event e-2)",
        ),
    ] {
        let mut record = record();
        noted(&mut record, &from("p", "e-2", event), minute(5));
        assert_eq!(
            answers(&record, 6)[0],
            format!("will not fire: {answer} (it was for 24 Nov 2026 11:00:00 CET)")
        );
    }
}

#[test]
fn what_was_refused_came_late_or_moved_is_in_the_timeline() {
    let mut record = record();
    let refused = vec![Refusal { key: "priority".into(), reason: "`hgh` is unknown".into() }];
    noted(&mut record, &Event { refused, ..from("p", "e-2", updated(minute(5), &[title("x")])) }, minute(5));
    noted(&mut record, &from("p", "e-3", updated(minute(4), &[title("y")])), minute(6));
    let both = [title("z"), Statement::Priority(Some(crate::domain::Priority::High))];
    noted(&mut record, &from("p", "e-4", updated(minute(4), &both)), minute(7));
    let moved = vec![Move { reminder: ReminderId::from_bytes([0; 16]), from: minute(1), to: minute(2) }];
    record.history.add(Note::Replanned { at: minute(7), tzdb: "2026b".into(), moved });
    let lines = timeline_of(&record);
    assert!(lines[0].contains("set the title (which was stated again later)"), "{}", lines[0]);
    assert_eq!(
        lines[2..],
        [
            "24 Nov 2026 10:05:00 CET  task_updated from p (event e-2) set the title; \
             `priority` was refused: `hgh` is unknown",
            "24 Nov 2026 10:06:00 CET  task_updated from p (event e-3), stated at 24 Nov 2026 10:04:00 CET, \
             came too late: all it says is older than what is kept",
            "24 Nov 2026 10:07:00 CET  task_updated from p (event e-4), stated at 24 Nov 2026 10:04:00 CET, set the \
             title (which was stated again later), the priority",
            "24 Nov 2026 10:07:00 CET  the settings or the tz database changed (now 2026b); reminder \
             00000000-0000-0000-0000-000000000000 moved from 24 Nov 2026 10:01:00 CET to 24 Nov 2026 10:02:00 CET",
        ]
    );
}

#[test]
fn a_task_without_reminders_says_why() {
    let mut record = Record::default();
    noted(&mut record, &from("p", "e-1", created(T0, &[due(minute(60)), offsets(&[])])), T0);
    let told =
        "no reminder: the task wants no reminder: its offsets are [] (task_created from p (event e-1))";
    assert_eq!(answers(&record, 0), [told]);
    noted(&mut record, &from("p", "e-2", event(Kind::Deleted, minute(1))), minute(1));
    assert_eq!(answers(&record, 1), ["no reminder: the task was deleted (task_deleted from p (event e-2))"]);
    let mut record = Record::default();
    noted(&mut record, &created(T0, &[title("a")]), T0);
    assert_eq!(answers(&record, 0), ["no reminder: the task has no due date and no reminder times"]);
}

#[test]
fn what_shares_an_instant_is_told_in_the_order_of_what_caused_it() {
    let mut record = record();
    for (id, to) in [("e-2", 90), ("e-3", 120)] {
        noted(&mut record, &from("p", id, updated(minute(5 + to / 90), &[due(minute(to))])), minute(5));
    }
    let told = told(&record, 5);
    let at = |e: &&Value| e["at"] == "2026-11-24T09:05:00.000Z";
    let entries = told["timeline"].as_array().unwrap().iter().filter(at);
    let what: Vec<_> = entries.map(|e| e["what"].as_str().unwrap()).collect();
    let one = ["task_updated", "superseded", "planned"];
    assert_eq!(what, [one, one].concat(), "{told:#}");
}

#[test]
fn what_was_called_off_is_named_and_several_fields_were_changed() {
    for (later, told) in [
        (Target::Reminder(ReminderId::from_bytes([0; 16])), "called one reminder off"),
        (Target::Present, "called reminders off"),
    ] {
        let mut record = record();
        let id = record.reminders[0].id(&task("t"));
        for (event, minutes, target) in [("e-2", 5, Target::Reminder(id)), ("e-3", 6, later)] {
            let cancel = updated(minute(minutes), &[Statement::Cancelled(Some(target))]);
            noted(&mut record, &from("p", event, cancel), minute(minutes));
        }
        let lines = timeline_of(&record);
        let told = format!("(event e-2) {told}");
        assert!(lines.iter().any(|line| line.ends_with(&told)), "{lines:?}");
    }
    let mut record = record();
    let moved = [due(minute(90)), Statement::Zone(Some(zone("Europe/Paris")))];
    noted(&mut record, &from("p", "e-2", updated(minute(5), &moved)), minute(5));
    let answer = answers(&record, 6).remove(0);
    assert!(answer.contains("the due date and the time zone were changed by"), "{answer}");
}
