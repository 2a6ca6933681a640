//! Snoozes and acknowledgements: what they make, what they are about, what they end with.

use proptest::prelude::*;

use super::super::catch_up::{CatchUp, catch_up};
use super::*;

const AT: &str = "at:2026-11-24T09:20:00.000Z";

fn snooze_of(at: i64, until: i64, of: Target) -> Event {
    let snooze = Snooze { until: Until::At(minute(until)), of };
    Event { statements: vec![Statement::Snooze(Some(snooze))], ..event(Kind::Snoozed, minute(at)) }
}

fn snooze(at: i64, until: i64) -> Event {
    snooze_of(at, until, Target::Present)
}

fn acknowledge_of(at: i64, of: Target) -> Event {
    Event { statements: vec![Statement::Acknowledged(Some(of))], ..event(Kind::Acknowledged, minute(at)) }
}

fn acknowledge(at: i64) -> Event {
    acknowledge_of(at, Target::Present)
}

fn nags(every_minutes: u32, max: u32) -> Statement {
    Statement::Nags(Some(Nags { every_minutes, max }))
}

fn occurrence_at(at: i64) -> Moment {
    Moment::new(Due::Instant(minute(at)), Zone::UTC)
}

fn offset_id(due: i64, minutes: u32) -> ReminderId {
    ReminderId::of(&task("t"), Some(occurrence_at(due)), Rule::Offset(minutes))
}

/// Due at minute 60, reminded of at its due date and 5 and 10 minutes later.
fn plain() -> Event {
    created(T0, &[due(minute(60)), offsets(&[0]), nags(5, 2)])
}

/// A record that heard the events when they were stamped, and sent all that fell due before each.
fn lived(events: &[Event]) -> Record {
    let mut record = Record::default();
    for event in events {
        let now = event.stamps.event.unwrap().at;
        send_until(&mut record, now);
        record.task.apply(event, now);
        replanned(&mut record, &policy(), now);
        let once = record.clone();
        replanned(&mut record, &policy(), now);
        assert_eq!(record, once, "planning again changes nothing");
    }
    record
}

fn send_until(record: &mut Record, now: Timestamp) {
    for reminder in &mut record.reminders {
        if reminder.state == State::Pending && reminder.fire_at <= now {
            reminder.settle(State::Published, now, None);
        }
    }
}

fn live(events: &[Event]) -> Vec<(String, i64)> {
    pending(&lived(events)).into_iter().map(|(rule, at)| (short(&rule), at)).collect()
}

fn short(rule: &str) -> String {
    if rule.starts_with("snooze:") { "snooze".to_owned() } else { rule.to_owned() }
}

fn reminders(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().map(|(rule, at)| ((*rule).to_owned(), *at)).collect()
}

#[test]
fn a_snooze_is_one_more_reminder_and_holds_back_the_nags_before_it() {
    for (says, events, expected) in [
        (
            "before all nags",
            vec![plain(), snooze(61, 63)],
            &[("nag:1", 65), ("nag:2", 70), ("snooze", 63)][..],
        ),
        ("between them", vec![plain(), snooze(61, 67)], &[("nag:2", 70), ("snooze", 67)]),
        ("on a nag", vec![plain(), snooze(61, 65)], &[("nag:2", 70), ("snooze", 65)]),
        ("after all", vec![plain(), snooze(61, 90)], &[("snooze", 90)]),
        ("a newer one replaces it", vec![plain(), snooze(61, 90), snooze(62, 91)], &[("snooze", 91)]),
        (
            "one before due leaves the due date's reminder",
            vec![plain(), snooze(1, 30)],
            &[("nag:1", 65), ("nag:2", 70), ("offset:0", 60), ("snooze", 30)],
        ),
    ] {
        assert_eq!(live(&events), reminders(expected), "{says}");
    }
    let replaced = lived(&[plain(), snooze(61, 90), snooze(62, 91)]);
    let old = replaced.reminders.iter().find(|r| r.rule == Rule::Snooze(minute(90))).unwrap();
    assert_eq!((old.state, old.occurrence), (State::Superseded, Some(occurrence_at(60))));
}

#[test]
fn a_snooze_into_its_own_past_is_born_expired_and_holds_back_nothing() {
    let record = lived(&[plain(), snooze(80, 80)]);
    let snoozed = record.reminders.iter().find(|r| matches!(r.rule, Rule::Snooze(_))).unwrap();
    assert_eq!(snoozed.state, State::Expired);
    assert_eq!(live(&[plain(), snooze(64, 64)]), reminders(&[("nag:1", 65), ("nag:2", 70)]));
}

#[test]
fn minutes_count_from_the_event() {
    let statement = Statement::Snooze(Some(Snooze { until: Until::Minutes(10), of: Target::Present }));
    let event = Event { statements: vec![statement], ..event(Kind::Snoozed, minute(61)) };
    assert_eq!(live(&[plain(), event]), reminders(&[("snooze", 71)]));
}

#[test]
fn a_snooze_dies_with_its_occurrence_and_its_task() {
    let moved = updated(minute(62), &[due(minute(120))]);
    let new = [("nag:1", 125), ("nag:2", 130), ("offset:0", 120)];
    for of in [Target::Present, Target::Occurrence(occurrence_at(60)), Target::Reminder(offset_id(60, 0))] {
        assert_eq!(live(&[plain(), snooze_of(61, 90, of), moved.clone()]), reminders(&new), "{of:?}");
    }
    let stays = Target::Occurrence(occurrence_at(120));
    let kept = live(&[plain(), snooze_of(61, 90, stays), moved.clone()]);
    assert_eq!(
        kept,
        reminders(&[&new[..], &[("snooze", 90)]].concat()),
        "an occurrence named before it is one"
    );
    let back = updated(minute(63), &[due(minute(60))]);
    assert_eq!(live(&[plain(), snooze(61, 90), moved, back]), reminders(&[("snooze", 90)]), "and comes back");
    let undated = updated(minute(62), &[Statement::Due(None)]);
    assert_eq!(live(&[plain(), snooze(61, 90), undated]), []);
    for end in [Kind::Completed, Kind::Deleted] {
        assert_eq!(live(&[plain(), snooze(61, 90), event(end, minute(62))]), [], "{end:?}");
    }
}

#[test]
fn a_task_without_a_due_date_can_be_snoozed_and_stays_so() {
    let undated = created(T0, &[title("a")]);
    let record = lived(&[undated.clone(), snooze(1, 30)]);
    assert_eq!(record.reminders[0].occurrence, None);
    let told_again = updated(minute(2), &[Statement::Due(None), title("a")]);
    assert_eq!(live(&[undated, snooze(1, 30), told_again]), reminders(&[("snooze", 30)]));
}

#[test]
fn an_action_without_a_name_is_about_the_last_reminder_before_it() {
    let both = [due(minute(60)), offsets(&[30]), Statement::RemindAt(Some(vec![Due::Instant(minute(20))]))];
    let of = |at| {
        let record = lived(&[created(T0, &both), snooze(at, 55)]);
        record.reminders.iter().find(|r| matches!(r.rule, Rule::Snooze(_))).unwrap().occurrence
    };
    assert_eq!(of(10), Some(occurrence_at(60)), "nothing has come: of the due date");
    assert_eq!(of(20), None, "the explicit time came, on the bound");
    assert_eq!(of(29), None);
    assert_eq!(of(30), Some(occurrence_at(60)), "an offset came");
}

#[test]
fn an_action_may_name_its_reminder() {
    let both = created(
        T0,
        &[due(minute(60)), offsets(&[0]), Statement::RemindAt(Some(vec![Due::Instant(minute(20))]))],
    );
    let at = Rule::At(occurrence_at(20));
    assert_eq!(at.to_string(), AT);
    let of = |target| {
        let record = lived(&[both.clone(), snooze_of(70, 90, target)]);
        record.reminders.iter().find(|r| matches!(r.rule, Rule::Snooze(_))).unwrap().occurrence
    };
    assert_eq!(of(Target::Reminder(ReminderId::of(&task("t"), None, at))), None);
    assert_eq!(of(Target::Reminder(offset_id(60, 0))), Some(occurrence_at(60)));
    assert_eq!(of(Target::Reminder(offset_id(61, 0))), Some(occurrence_at(60)), "an unknown one: the last");
}

#[test]
fn an_acknowledgement_ends_nags_and_the_snooze_before_it() {
    for (says, events, expected) in [
        ("nags", vec![plain(), acknowledge(61)], &[][..]),
        ("before due, of nags alone", vec![plain(), acknowledge(30)], &[("offset:0", 60)]),
        ("an older snooze", vec![plain(), snooze(61, 90), acknowledge(62)], &[]),
        ("no newer snooze", vec![plain(), acknowledge(61), snooze(62, 90)], &[("snooze", 90)]),
        (
            "nothing of another due date",
            vec![plain(), acknowledge(61), updated(minute(62), &[due(minute(120))])],
            &[("nag:1", 125), ("nag:2", 130), ("offset:0", 120)],
        ),
        (
            "nothing of one that is none",
            vec![plain(), acknowledge_of(61, Target::Occurrence(occurrence_at(50)))],
            &[("nag:1", 65), ("nag:2", 70)],
        ),
    ] {
        assert_eq!(live(&events), reminders(expected), "{says}");
    }
}

#[test]
fn acknowledging_an_explicit_time_ends_the_nags_of_what_was_due_by_then() {
    let told = |time| {
        let times = Statement::RemindAt(Some(vec![Due::Instant(minute(time))]));
        created(T0, &[due(minute(60)), offsets(&[0]), times, nags(5, 2)])
    };
    assert_eq!(live(&[told(62), acknowledge(63)]), [], "it was due");
    let before = live(&[told(20), acknowledge(21)]);
    assert_eq!(before, reminders(&[("nag:1", 65), ("nag:2", 70), ("offset:0", 60)]), "it was not");
}

#[test]
fn what_an_action_leaves_out_is_told_with_its_reason() {
    let told = |events: &[Event]| {
        let left = left_out(&task("t"), &lived(events), &Rules { in_force: &policy(), user: None });
        left.iter().map(|(p, why)| (p.rule.to_string(), *why)).collect::<Vec<_>>()
    };
    let nag = |n: u32, why| (format!("nag:{n}"), why);
    assert_eq!(told(&[plain(), snooze(61, 67)]), [nag(1, LeftOut::Snoozed)]);
    let both = [nag(1, LeftOut::Acknowledged), nag(2, LeftOut::Acknowledged)];
    assert_eq!(told(&[plain(), acknowledge(61)]), both);
}

#[test]
fn a_snooze_of_a_reopened_task_is_born_when_it_was_reopened() {
    let mut gone = event(Kind::Deleted, minute(62));
    gone.stamps.broker = Some(minute(62));
    let back = created(minute(64), &[due(minute(120)), offsets(&[0])]);
    assert_eq!(live(&[plain(), snooze(61, 90), gone, back]), reminders(&[("offset:0", 120)]), "void with it");
}

/// What may happen to [`plain`] a minute or more after it was due.
fn happening() -> impl Strategy<Value = Event> {
    let target = || {
        prop_oneof![
            3 => Just(Target::Present),
            1 => Just(Target::Occurrence(occurrence_at(60))),
            1 => Just(Target::Reminder(offset_id(60, 0))),
            1 => Just(Target::Reminder(offset_id(75, 0))),
        ]
    };
    prop_oneof![
        (target(), 1_i64..30).prop_map(|(of, wait)| snooze_of(0, wait, of)),
        target().prop_map(|of| acknowledge_of(0, of)),
        prop_oneof![Just(60), Just(75)].prop_map(|at| updated(T0, &[due(minute(at))])),
        Just(updated(T0, &[Statement::Due(None)])),
        Just(updated(T0, &[Statement::RemindAt(Some(vec![Due::Instant(minute(72))]))])),
    ]
}

/// Some of these, each at a minute of its own; snoozes count from it.
fn history() -> impl Strategy<Value = Vec<Event>> {
    let at_minutes = |events: Vec<Event>| {
        let mut history = vec![plain()];
        for (mut event, n) in events.into_iter().zip(0..) {
            let at = minute(61 + 4 * n);
            event.stamps.event = Some(Stamp { at, whole_second: false });
            if let [Statement::Snooze(Some(Snooze { until: Until::At(until), .. }))] =
                &mut event.statements[..]
            {
                *until = at.plus(until.since(T0));
            }
            history.push(event);
        }
        history
    };
    proptest::collection::vec(happening(), 1..7).prop_map(at_minutes)
}

proptest! {
    #[test]
    fn hearing_all_again_after_all_was_sent_changes_nothing(
        (history, again) in history().prop_flat_map(|h| (Just(h.clone()), Just(h).prop_shuffle()))
    ) {
        let now = minute(200);
        let mut record = lived(&history);
        send_until(&mut record, now);
        replanned(&mut record, &policy(), now);
        let mut retold = record.clone();
        for event in &again {
            retold.task.apply(event, now);
            replanned(&mut retold, &policy(), now);
        }
        prop_assert_eq!(retold, record);
    }

    #[test]
    fn each_reminder_is_made_once_and_a_plain_one_is_never_lost(history in history()) {
        let record = lived(&history);
        let mut ids: Vec<_> = record.reminders.iter().map(|r| r.id(&task("t"))).collect();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), record.reminders.len());
        let plain = record.reminders.iter().find(|r| r.rule == Rule::Offset(0));
        prop_assert_eq!(plain.map(|r| r.state), Some(State::Published), "it was due before anything happened");
        for reminder in record.reminders.iter().filter(|r| r.state == State::Pending) {
            prop_assert!(reminder.occurrence.is_none() || reminder.occurrence.map(Moment::due) == record.task.due());
        }
    }
}

#[test]
fn what_a_person_answers_goes_with_all_that_was_missed_before_it() {
    let missed = |record: &mut Record, at: i64| {
        let expire_after = policy().policy.expire_after;
        assert!(catch_up(&task("t"), record, CatchUp::Coalesce, expire_after, minute(at), &|_| false));
    };
    let nagged = || {
        let mut record = Record { task: merged(&[plain()]), ..Record::default() };
        replanned(&mut record, &policy(), T0);
        // In two downtimes: the first nag is to fire for the due date, the second for both.
        missed(&mut record, 69);
        assert_eq!(pending(&record), reminders(&[("nag:1", 65), ("nag:2", 70)]));
        missed(&mut record, 80);
        assert_eq!(pending(&record), reminders(&[("nag:2", 70)]));
        record
    };
    let nag = Target::Reminder(ReminderId::of(&task("t"), Some(occurrence_at(60)), Rule::Nag(2)));
    for (says, answer, left) in [
        ("called off", updated(minute(81), &[Statement::Cancelled(Some(nag))]), &[][..]),
        ("acknowledged", acknowledge(81), &[]),
        ("snoozed", snooze(81, 120), &[("snooze", 120)]),
        ("snoozed twice", snooze(81, 100), &[("snooze", 130)]),
    ] {
        let mut record = nagged();
        // Nor does anything that is heard later bring it back.
        let again =
            if says == "snoozed twice" { snooze(82, 130) } else { updated(minute(82), &[title("a")]) };
        for (at, event) in [(81, answer), (82, again), (83, updated(minute(83), &[title("b")]))] {
            record.task.apply(&event, minute(at));
            replanned(&mut record, &policy(), minute(at));
        }
        let kept: Vec<_> = pending(&record).into_iter().map(|(rule, at)| (short(&rule), at)).collect();
        assert_eq!(kept, reminders(left), "{says}");
    }
}

#[test]
fn what_was_missed_comes_back_where_nobody_has_answered_the_one_instead_of_it_since() {
    let expire_after = policy().policy.expire_after;
    let explicit = |at| Statement::RemindAt(Some(vec![Due::Instant(minute(at))]));
    let told = |at| created(T0, &[due(minute(60)), offsets(&[0]), nags(5, 2), explicit(at)]);
    for (says, life, missed_at, instead, late) in [
        // A snooze ends with its due date, an explicit time does not.
        (
            "moved",
            vec![told(110), snooze(61, 120)],
            130,
            ("snooze", 120),
            updated(minute(125), &[due(minute(300))]),
        ),
        // It was said before what was missed, and heard after it.
        ("acknowledged before", vec![told(66)], 80, ("nag:2", 70), acknowledge(61)),
    ] {
        let mut record = lived(&life);
        send_until(&mut record, minute(62));
        assert!(catch_up(
            &task("t"),
            &mut record,
            CatchUp::Coalesce,
            expire_after,
            minute(missed_at),
            &|_| false
        ));
        let kept = |record: &Record| -> Vec<_> {
            pending(record).into_iter().map(|(rule, at)| (short(&rule), at)).collect()
        };
        assert_eq!(kept(&record), reminders(&[instead]), "{says}");
        record.task.apply(&late, minute(missed_at + 1));
        replanned(&mut record, &policy(), minute(missed_at + 1));
        let explicit = pending(&record).into_iter().filter(|(rule, _)| rule.starts_with("at:")).count();
        assert_eq!(explicit, 1, "{says}: {:?}", pending(&record));
    }
}
