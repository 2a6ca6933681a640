//! What a record keeps of how it came to be.

use super::super::history::*;
use super::*;

/// Merges and notes as the commit loop does.
pub(crate) fn noted(record: &mut Record, event: &Event, at: Timestamp) {
    let before = Before::of(&record.task, &record.history);
    let applied = record.task.apply(event, at);
    record.note(event, at, &applied, &before);
    replanned(record, &policy(), at);
}

fn named(id: &str, event: Event) -> Event {
    Event { message_id: Some(id.into()), ..event }
}

fn ids(history: &History) -> Vec<String> {
    let id = |note: &Note| match note {
        Note::Event(noted) => noted.id.as_ref().map(ToString::to_string).unwrap_or_default(),
        Note::Replanned { .. } => "replanned".into(),
    };
    history.notes.iter().map(id).collect()
}

#[test]
fn as_many_notes_as_the_bound_are_kept_and_numbers_go_on() {
    let mut record = Record::default();
    let last = i64::try_from(HISTORY_MAX).unwrap();
    for n in 0..last {
        noted(&mut record, &named(&n.to_string(), updated(minute(n), &[title(&n.to_string())])), minute(n));
    }
    assert_eq!((record.history.notes.len(), record.history.forgotten), (HISTORY_MAX, 0));
    noted(&mut record, &named("last", updated(minute(last), &[title("x")])), minute(last));
    let history = &record.history;
    assert_eq!((history.notes.len(), history.forgotten), (HISTORY_MAX, 1));
    assert_eq!((ids(history)[0].as_str(), history.latest()), ("1", Some(u32::try_from(last).unwrap())));
    assert!(history.get(0).is_none());
    assert_eq!(history.get(history.latest().unwrap()), history.notes.last());
}

#[test]
fn a_note_keeps_ids_and_refusals_up_to_their_bounds() {
    let long = "x".repeat(1000);
    let refusal = Refusal { key: long.clone(), reason: long.clone() };
    let event = Event {
        producer: Some(long.clone()),
        refused: vec![refusal; NOTED_REFUSALS_MAX + 1],
        ..named(&long, created(T0, &[title("a")]))
    };
    let mut record = Record::default();
    noted(&mut record, &event, T0);
    let Some(Note::Event(kept)) = record.history.notes.first() else { panic!("no note") };
    assert_eq!(kept.id.as_ref().unwrap().to_string().len(), NOTED_ID_MAX_BYTES);
    assert_eq!(kept.producer.as_ref().unwrap().len(), NOTED_PRODUCER_MAX_BYTES);
    assert_eq!(kept.refused.len(), NOTED_REFUSALS_MAX);
    assert_eq!(kept.refused[0].key.len(), NOTED_KEY_MAX_BYTES);
    assert_eq!(kept.refused[0].reason.len(), NOTED_REASON_MAX_BYTES);
}

#[test]
fn event_ids_come_back_as_they_were_written() {
    for (text, is_short) in [
        ("8f1d5b0e-2a67-4c3b-9d41-6e0b7c52a419", true),
        ("8f1d5b0e2a674c3b9d416e0b7c52a419", true),
        ("8F1D5B0E-2A67-4C3B-9D41-6E0B7C52A419", false),
        ("{8f1d5b0e-2a67-4c3b-9d41-6e0b7c52a419}", false),
        ("42", false),
        ("", false),
    ] {
        let id = EventId::of(text);
        assert_eq!((id.to_string().as_str(), !matches!(id, EventId::Text(_))), (text, is_short));
    }
}

#[test]
fn a_duplicate_leaves_no_note_and_stale_events_in_a_row_leave_one() {
    let mut record = Record::default();
    let first = named("first", created(minute(9), &[title("a")]));
    noted(&mut record, &first, minute(9));
    noted(&mut record, &first, minute(10));
    assert_eq!(ids(&record.history), ["first"]);
    for n in 0..3 {
        noted(&mut record, &named(&format!("stale {n}"), updated(minute(n), &[title("b")])), minute(11));
    }
    assert_eq!(ids(&record.history), ["first", "stale 2"]);
}

#[test]
fn an_event_that_is_published_again_and_again_leaves_one_note() {
    let mut record = Record::default();
    let event = named("e", created(T0, &[title("a"), due(minute(60))]));
    for n in 0..3 {
        let stamps = Stamps { broker: Some(minute(n)), ..event.stamps };
        noted(&mut record, &Event { stamps, ..event.clone() }, minute(n));
        noted(&mut record, &named(&n.to_string(), updated(minute(n + 1), &[title("b")])), minute(n + 1));
    }
    assert_eq!(ids(&record.history), ["e", "0", "1", "2"]);
    let Note::Event(first) = &record.history.notes[0] else { panic!("no event") };
    let wrote = super::super::why::wrote(&record, first);
    let wrote: Vec<_> = wrote.iter().map(|wrote| (wrote.field, wrote.value.is_some())).collect();
    assert_eq!(wrote, [(Field::Title, false), (Field::Due, true)]);
}

#[test]
fn a_stale_event_that_planned_a_reminder_keeps_its_note() {
    let mut record = Record::default();
    // Told after the instant of the reminder; a statement that comes later shows that it was told in time.
    noted(
        &mut record,
        &named("restated", updated(minute(50), &[due(minute(60)), offsets(&[15])])),
        minute(50),
    );
    noted(&mut record, &named("early", updated(T0, &[due(minute(60)), offsets(&[15])])), minute(51));
    assert_eq!(pending(&record), [("offset:15".to_owned(), 45)]);
    for n in 1..4 {
        noted(&mut record, &named(&n.to_string(), updated(minute(n), &[offsets(&[15])])), minute(52));
    }
    assert_eq!(ids(&record.history), ["restated", "early", "3"]);
    assert_eq!(record.reminders[0].planned_by, Some(1));
}

#[test]
fn what_an_event_wrote_stays_known_when_it_is_written_again() {
    let mut record = Record::default();
    noted(&mut record, &created(T0, &[title("a"), due(minute(60))]), T0);
    noted(&mut record, &updated(minute(1), &[due(minute(90))]), minute(1));
    let of = |record: &Record, number: usize| {
        let Note::Event(noted) = &record.history.notes[number] else { panic!("no event") };
        let wrote = super::super::why::wrote(record, noted);
        wrote.iter().map(|wrote| (wrote.field, wrote.value.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(of(&record, 0), [(Field::Title, true), (Field::Due, false)]);
    assert_eq!(of(&record, 1), [(Field::Due, true)]);
    noted(&mut record, &event(Kind::Deleted, minute(2)), minute(2));
    assert_eq!(of(&record, 0), [(Field::Title, false), (Field::Due, false)]);
}

#[test]
fn reminders_know_the_notes_that_planned_and_ended_them() {
    let mut record = Record::default();
    noted(&mut record, &created(T0, &[due(minute(60)), offsets(&[0])]), T0);
    noted(&mut record, &updated(minute(1), &[title("a")]), minute(1));
    noted(&mut record, &updated(minute(2), &[due(minute(90))]), minute(2));
    let by =
        |record: &Record| record.reminders.iter().map(|r| (r.planned_by, r.ended_by)).collect::<Vec<_>>();
    assert_eq!(by(&record), [(Some(0), Some(2)), (Some(2), None)]);
    noted(&mut record, &updated(minute(3), &[due(minute(60))]), minute(3));
    assert_eq!(by(&record), [(Some(3), None), (Some(2), Some(3))], "back again, for a newer reason");
}

#[test]
fn moved_are_the_pending_ones_that_fire_at_another_time() {
    let id = |reminder: &Reminder| reminder.id(&task("t"));
    let one = |rule, at| Reminder::pending(None, Rule::Offset(rule), minute(at));
    let gone = Reminder { state: State::Published, ..one(3, 3) };
    let before = [one(1, 1), one(2, 2), gone.clone()];
    let after = [one(1, 1), one(2, 5), Reminder { fire_at: minute(9), ..gone }, one(4, 4)];
    let moved = Move { reminder: id(&one(2, 5)), from: minute(2), to: minute(5) };
    assert_eq!(moves(&before, &after, id), [moved]);
}
