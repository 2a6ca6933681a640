//! Any value that the store may be given, and the largest and the plainest record.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use crate::domain::history::{EventId, History, Move, Note, Noted};
use crate::domain::task::{CalledOff, Cell, Origin, Outcome, Past};
use crate::domain::{
    Cause, Defaults, Due, Field, Kind, Moment, Nags, Priority, Record, Refusal, Reminder, ReminderId, Rule,
    Snooze, State, Statement, Status, Target, Task, TaskId, Timestamp, Until, Version, Zone,
};

pub(super) fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

pub(super) fn any_task_id() -> impl Strategy<Value = TaskId> {
    let uuid = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9A-Fa-f]{32}|[0-9A-Fa-f-]{36}";
    prop_oneof!["[\\PC\\x00]{1,60}", uuid].prop_map(|text| TaskId::new(text).unwrap())
}

pub(super) fn any_instant() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        any::<i64>(),
        1_700_000_000_000..1_900_000_000_000i64,
        Just(i64::MIN),
        Just(i64::MAX),
        -2..2i64
    ]
    .prop_map(Timestamp::from_millis)
}

fn any_due() -> impl Strategy<Value = Due> {
    prop_oneof![
        any_instant().prop_map(Due::Instant),
        any_instant().prop_map(|at| Due::Wall(at.millis())),
        any::<i32>().prop_map(Due::Date),
    ]
}

fn any_zone() -> impl Strategy<Value = Zone> {
    prop_oneof![Just("UTC"), Just("Europe/Berlin"), Just("America/Argentina/ComodRivadavia")].prop_map(zone)
}

fn any_moment() -> impl Strategy<Value = Moment> {
    (any_due(), any_zone()).prop_map(|(due, zone)| Moment::new(due, zone))
}

fn any_version() -> impl Strategy<Value = Version> {
    let kind = prop_oneof![
        Just(Kind::Created),
        Just(Kind::Updated),
        Just(Kind::Completed),
        Just(Kind::Deleted),
        Just(Kind::Snoozed),
        Just(Kind::Acknowledged),
    ];
    let broker = prop_oneof![Just(0), any_instant().prop_map(Timestamp::millis)];
    (any_instant(), kind, broker, prop_oneof![Just(0), any::<u64>()], any::<u64>()).prop_map(
        |(ms, kind, broker, offset, digest)| Version { ms: ms.millis(), kind, broker, offset, digest },
    )
}

fn any_field() -> impl Strategy<Value = Field> {
    prop_oneof![
        Just(Field::User),
        Just(Field::Title),
        Just(Field::Priority),
        Just(Field::Status),
        Just(Field::Due),
        Just(Field::Zone),
        Just(Field::Offsets),
        Just(Field::RemindAt),
        Just(Field::Tags),
        Just(Field::Recurrence),
        Just(Field::Nags),
    ]
}

fn any_id() -> impl Strategy<Value = ReminderId> {
    any::<[u8; 16]>().prop_map(ReminderId::from_bytes)
}

fn any_target() -> impl Strategy<Value = Target> {
    prop_oneof![
        Just(Target::Present),
        any_moment().prop_map(Target::Occurrence),
        any_id().prop_map(Target::Reminder)
    ]
}

fn any_snooze() -> impl Strategy<Value = Snooze> {
    let until = prop_oneof![any_instant().prop_map(Until::At), any::<u32>().prop_map(Until::Minutes)];
    (until, any_target()).prop_map(|(until, of)| Snooze { until, of })
}

fn any_statement() -> impl Strategy<Value = Statement> {
    let priority = prop_oneof![Just(Priority::Low), Just(Priority::Medium), Just(Priority::High)];
    let status = prop_oneof![Just(Status::Todo), Just(Status::InProgress), Just(Status::Done)];
    prop_oneof![
        of("\\PC{0,40}").prop_map(Statement::User),
        of("\\PC{0,200}").prop_map(Statement::Title),
        of(priority).prop_map(Statement::Priority),
        of(status).prop_map(Statement::Status),
        of(any_due()).prop_map(Statement::Due),
        of(any_zone()).prop_map(Statement::Zone),
        of(vec(any::<u32>(), 0..17)).prop_map(Statement::Offsets),
        of(vec(any_due(), 0..17)).prop_map(Statement::RemindAt),
        of(vec("\\PC{0,20}", 0..17)).prop_map(Statement::Tags),
        of("\\PC{0,100}").prop_map(Statement::Recurrence),
        of((any::<u32>(), any::<u32>()).prop_map(|(every_minutes, max)| Nags { every_minutes, max }))
            .prop_map(Statement::Nags),
        of(any_snooze()).prop_map(Statement::Snooze),
        of(any_target()).prop_map(Statement::Acknowledged),
        of(any_target()).prop_map(Statement::Cancelled),
    ]
}

fn any_task() -> impl Strategy<Value = Task> {
    let cells = (vec(any_version(), 1..4), vec((any_statement(), any::<usize>(), of(any_instant())), 0..11));
    let cells = cells.prop_map(|(versions, cells)| {
        let cell = |(statement, pick, since): (Statement, usize, Option<Timestamp>)| {
            let version = versions[pick % versions.len()];
            // A quarter of the instants are those of their version, as most are in life.
            let since = since.map(|at| if pick % 4 == 0 { Timestamp::from_millis(version.ms) } else { at });
            Cell { statement, version, since }
        };
        cells.into_iter().map(cell).collect::<Vec<_>>()
    });
    let past = (any_field(), any::<u64>(), any_instant()).prop_map(|(field, value, since)| Past {
        field,
        value,
        since,
    });
    let origin = (of("\\PC{0,40}"), of(any::<[u8; 16]>()))
        .prop_map(|(correlation_id, trace_id)| Origin { correlation_id, trace_id });
    (
        (of(any_version()), of(any_instant()), of(any_version()), cells),
        (
            (vec(past, 0..17), vec(any::<u64>(), 0..17), vec(any_called_off(), 0..3)),
            origin,
            of("\\PC{0,20}"),
            of(any_instant()),
        ),
    )
        .prop_map(|((created, born, deleted, cells), rest)| {
            let ((past, arrivals, called_off), due_origin, recurrence_producer, transport) = rest;
            Task {
                created,
                born,
                deleted,
                cells,
                past,
                arrivals,
                due_origin,
                recurrence_producer,
                called_off,
                transport,
            }
        })
}

fn any_called_off() -> impl Strategy<Value = CalledOff> {
    (of(any_target()), any_instant()).prop_map(|(of, at)| CalledOff { of, at })
}

fn any_note() -> impl Strategy<Value = Note> {
    let id = prop_oneof![
        any::<[u8; 16]>().prop_map(EventId::Uuid),
        any::<[u8; 16]>().prop_map(EventId::Hex),
        "\\PC{0,40}".prop_map(EventId::Text),
    ];
    let producer = prop_oneof![Just("chat-api".to_owned()), "\\PC{0,20}"];
    let refusal = ("\\PC{0,20}", "\\PC{0,40}").prop_map(|(key, reason)| Refusal { key, reason });
    let outcome = prop_oneof![
        Just(Outcome::Applied),
        Just(Outcome::Stale),
        Just(Outcome::Ignored),
        Just(Outcome::Duplicate)
    ];
    let more = (vec(any_field(), 0..4), vec(refusal, 0..4));
    let event = (any_instant(), any_version(), outcome, of(id), of(producer), more).prop_map(
        |(at, version, outcome, id, producer, (overwritten, refused))| {
            Note::Event(Noted { at, version, outcome, id, producer, overwritten, refused })
        },
    );
    let moved =
        (any_id(), any_instant(), any_instant()).prop_map(|(reminder, from, to)| Move { reminder, from, to });
    let replanned = (any_instant(), "\\PC{0,8}", vec(moved, 0..4))
        .prop_map(|(at, tzdb, moved)| Note::Replanned { at, tzdb, moved });
    prop_oneof![3 => event, 1 => replanned]
}

fn any_state() -> impl Strategy<Value = State> {
    (0..State::ALL.len()).prop_map(|at| State::ALL[at])
}

fn any_rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        any::<u32>().prop_map(Rule::Offset),
        any_moment().prop_map(Rule::At),
        any::<u32>().prop_map(Rule::Nag),
        any_instant().prop_map(Rule::Snooze),
    ]
}

fn any_reminder() -> impl Strategy<Value = Reminder> {
    (
        (of(any_moment()), any_rule(), any_instant(), any_state(), of(any_instant()), any::<bool>()),
        (of(any_state()), prop_oneof![Just(0), any::<u32>()], of(any_instant()), of("\\PC{0,80}")),
        (of(any_instant()), of(any_instant()), of(any_id()), of(0..u32::MAX), of(0..u32::MAX)),
        of(prop::sample::select(Cause::ALL.to_vec())),
    )
        .prop_map(|((occurrence, rule, fire_at, state, settled_at, maybe_out), rest, more, cause)| {
            let (received_at, moved_from, within, planned_by, ended_by) = more;
            let (leaving, attempts, next_attempt, reason) = rest;
            Reminder {
                occurrence,
                rule,
                fire_at,
                state,
                settled_at,
                maybe_out,
                leaving,
                attempts,
                next_attempt,
                reason,
                cause,
                received_at,
                moved_from,
                within,
                planned_by,
                ended_by,
            }
        })
}

pub(super) fn any_record() -> impl Strategy<Value = Record> {
    let reminders = vec((any_reminder(), any::<bool>()), 0..8).prop_map(|reminders| {
        let mut list: Vec<Reminder> = Vec::new();
        for (mut reminder, same) in reminders {
            // Reminders of one occurrence follow one another in life.
            if let (true, Some(before)) = (same, list.last()) {
                reminder.occurrence = before.occurrence;
            }
            list.push(reminder);
        }
        list
    });
    let history = of((any::<u32>(), vec(any_note(), 0..6)))
        .prop_map(|some| some.map(|(forgotten, notes)| History { forgotten, notes }).unwrap_or_default());
    (any_task(), any::<u32>(), reminders, vec((any_rule(), any_instant()), 0..8), history).prop_map(
        |(task, generation, mut reminders, low_water, history)| {
            // Most reminders of most records were planned by their first note.
            if generation % 2 == 0 {
                for reminder in &mut reminders {
                    (reminder.planned_by, reminder.ended_by) = (Some(0), None);
                }
            }
            // So it is with most due dates when the settings change.
            let due = reminders.first().and_then(|r| r.occurrence).filter(|_| generation % 3 == 0);
            let since = Timestamp::from_millis(i64::from(generation % 5) - 2);
            Record { task, generation, defaults: Defaults { since, due }, reminders, low_water, history }
        },
    )
}

/// An event's version near the instant `ms`.
pub(super) fn version(ms: i64, kind: Kind) -> Version {
    Version { ms, kind, broker: ms + 12, offset: 48_151, digest: 0x9e37_79b9_7f4a_7c15 }
}

/// A task as most are: five fields from its creation and one reminder ahead.
pub(super) fn plain_record() -> Record {
    let now = 1_790_000_000_123;
    let created = version(now, Kind::Created);
    let due = Timestamp::from_millis(now + 7 * 86_400_000);
    let cell = |statement, dated: bool| Cell {
        statement,
        version: created,
        since: dated.then_some(Timestamp::from_millis(now)),
    };
    let statements = [
        (Statement::User(Some("3f1c9b1e-5d0a-4a3b-9a57-0d9b1d2c7e11".into())), false),
        (Statement::Title(Some("Send the quarterly report".into())), false),
        (Statement::Priority(Some(Priority::High)), false),
        (Statement::Status(Some(Status::Todo)), true),
        (Statement::Due(Some(Due::Instant(due))), true),
    ];
    let task = Task {
        created: Some(created),
        born: Some(Timestamp::from_millis(now)),
        cells: statements.into_iter().map(|(statement, dated)| cell(statement, dated)).collect(),
        transport: Some(Timestamp::from_millis(now + 12)),
        ..Task::default()
    };
    let occurrence = Moment::new(Due::Instant(due), Zone::UTC);
    let reminders = vec![Reminder::pending(Some(occurrence), Rule::Offset(0), due)];
    Record { task, generation: 1, reminders, ..Record::default() }
}

/// The same as this release leaves it: with a note of its event.
pub(super) fn noted_record() -> Record {
    let mut record = plain_record();
    let id = EventId::of("8f1d5b0e-2a67-4c3b-9d41-6e0b7c52a419");
    assert!(matches!(id, EventId::Uuid(_)));
    let version = record.task.created.unwrap();
    record.history.add(Note::Event(Noted {
        at: Timestamp::from_millis(version.ms + 40),
        version,
        outcome: Outcome::Applied,
        id: Some(id),
        producer: Some("chat-api".into()),
        overwritten: Vec::new(),
        refused: Vec::new(),
    }));
    record.reminders[0].planned_by = Some(0);
    record
}
