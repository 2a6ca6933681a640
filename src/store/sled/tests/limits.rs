//! No value handed to the engine is longer than it may be, whatever the store is given.

use super::disks::TestDisk;
use super::strategies::{version, zone};
use crate::domain::history::{
    EventId, HISTORY_MAX, History, NOTED_ID_MAX_BYTES, NOTED_KEY_MAX_BYTES, NOTED_PRODUCER_MAX_BYTES,
    NOTED_REASON_MAX_BYTES, NOTED_REFUSALS_MAX, Note, Noted,
};
use crate::domain::task::{CALLED_OFF_MAX, CalledOff, Cell, Origin, Outcome, PAST_MAX, Past};
use crate::domain::{
    ARRIVALS_MAX, CORRELATION_MAX_BYTES, Cause, Defaults, Due, Field, Kind, LIST_MAX, LOW_WATER_MAX, Moment,
    Nags, PLANNED_MAX, Priority, REASON_MAX_BYTES, RECURRENCE_MAX_BYTES, Record, Refusal, Reminder,
    ReminderId, Rule, SETTLED_HARD_MAX, Snooze, State, Statement, Status, TAG_MAX_BYTES, TASK_ID_MAX_BYTES,
    TEXT_MAX_BYTES, Target, Task, TaskId, Timestamp, USER_ID_MAX_BYTES, Until,
};
use crate::store::sled::parts::VALUE_MAX;
use crate::store::sled::{SledStore, records};
use crate::store::{Batch, Claim, Op, Store};

/// The longest name in the tz database.
const ZONE: &str = "America/Argentina/ComodRivadavia";

fn long(length: usize) -> String {
    "x".repeat(length)
}

/// Every field, as long as it can be.
fn largest_statements() -> [Statement; 14] {
    let wall = |n: usize| Due::Wall(i64::MAX - i64::try_from(n).unwrap());
    let moment = |n: usize| Moment::new(wall(n), zone(ZONE));
    let list = || 0..LIST_MAX;
    [
        Statement::User(Some(long(USER_ID_MAX_BYTES))),
        Statement::Title(Some(long(TEXT_MAX_BYTES))),
        Statement::Priority(Some(Priority::High)),
        Statement::Status(Some(Status::Todo)),
        Statement::Due(Some(wall(0))),
        Statement::Zone(Some(zone(ZONE))),
        Statement::Offsets(Some(list().map(|n| u32::MAX - u32::try_from(n).unwrap()).collect())),
        Statement::RemindAt(Some(list().map(wall).collect())),
        Statement::Tags(Some(list().map(|_| long(TAG_MAX_BYTES)).collect())),
        Statement::Recurrence(Some(long(RECURRENCE_MAX_BYTES))),
        Statement::Nags(Some(Nags { every_minutes: u32::MAX, max: u32::MAX })),
        Statement::Snooze(Some(Snooze {
            until: Until::At(Timestamp::MAX),
            of: Target::Occurrence(moment(0)),
        })),
        Statement::Acknowledged(Some(Target::Occurrence(moment(1)))),
        Statement::Cancelled(Some(Target::Occurrence(moment(2)))),
    ]
}

/// How many reminders may be pending: all that are planned, and as many that have left the plan while an attempt of
/// theirs is under way.
const PENDING_MAX: usize = 2 * PLANNED_MAX;

/// Every field, version and reminder that a task can have at once, each as long as it can be and unlike the
/// others, and all that a record keeps of what is past.
fn largest_record() -> Record {
    let wall = |n: usize| Due::Wall(i64::MAX - i64::try_from(n).unwrap());
    let moment = |n: usize| Moment::new(wall(n), zone(ZONE));
    let statements = largest_statements();
    let cells = (0..).zip(statements).map(|(n, statement)| Cell {
        statement,
        version: version(if n % 2 == 0 { i64::MIN / 4 } else { i64::MAX / 4 } + n, Kind::Updated),
        since: Some(Timestamp::MAX),
    });
    let past = |value: usize| Past { field: Field::Due, value: value as u64, since: Timestamp::MAX };
    let rule = |n: usize| Rule::At(moment(n));
    let reminder = |n: usize, state| Reminder {
        occurrence: Some(moment(n)),
        settled_at: Some(Timestamp::MAX),
        maybe_out: true,
        leaving: Some(State::Cancelled),
        attempts: u32::MAX,
        next_attempt: Some(Timestamp::MAX),
        reason: Some(long(REASON_MAX_BYTES)),
        cause: Some(Cause::PastAtImport),
        received_at: Some(Timestamp::MAX),
        moved_from: Some(Timestamp::MAX),
        within: Some(ReminderId::from_bytes([4; 16])),
        planned_by: Some(u32::MAX - 1),
        ended_by: Some(u32::MAX - 1),
        ..Reminder { state, ..Reminder::pending(None, rule(n), Timestamp::MIN) }
    };
    let task = Task {
        created: Some(version(i64::MIN / 4 - 1, Kind::Created)),
        born: Some(Timestamp::MAX),
        deleted: Some(version(i64::MAX / 4 + 99, Kind::Deleted)),
        cells: cells.collect(),
        past: (0..PAST_MAX).map(past).collect(),
        arrivals: vec![u64::MAX; ARRIVALS_MAX],
        due_origin: Origin { correlation_id: Some(long(CORRELATION_MAX_BYTES)), trace_id: Some([9; 16]) },
        recurrence_producer: Some(long(128)),
        called_off: vec![
            CalledOff { of: Some(Target::Occurrence(moment(3))), at: Timestamp::MAX };
            CALLED_OFF_MAX
        ],
        transport: Some(Timestamp::MAX),
    };
    let settled = (0..SETTLED_HARD_MAX).map(|n| reminder(n, State::Published));
    let ahead = (0..PENDING_MAX).map(|n| reminder(SETTLED_HARD_MAX + n, State::Pending));
    Record {
        task,
        generation: u32::MAX,
        defaults: Defaults { since: Timestamp::MAX, due: Some(moment(4)) },
        reminders: settled.chain(ahead).collect(),
        history: largest_history(),
        low_water: (0..LOW_WATER_MAX).map(|n| (rule(n), Timestamp::MAX)).collect(),
    }
}

/// As many notes as there may be, each of an event that was wrong in all that is kept of it.
fn largest_history() -> History {
    let refusal = || Refusal { key: long(NOTED_KEY_MAX_BYTES), reason: long(NOTED_REASON_MAX_BYTES) };
    let note = |n: usize| {
        Note::Event(Noted {
            at: Timestamp::MAX,
            version: version(i64::MIN / 4 - 1 - i64::try_from(n).unwrap(), Kind::Updated),
            outcome: Outcome::Applied,
            id: Some(EventId::Text(long(NOTED_ID_MAX_BYTES))),
            producer: Some(long(NOTED_PRODUCER_MAX_BYTES)),
            overwritten: vec![Field::Due; 14],
            refused: (0..NOTED_REFUSALS_MAX).map(|_| refusal()).collect(),
        })
    };
    History { forgotten: u32::MAX, notes: (0..HISTORY_MAX).map(note).collect() }
}

/// Values that the largest record takes: 128 settled reminders and 96 pending ones, 16 notes, 64 marks and 15 fields.
const LARGEST_VALUES: usize = 4;
/// Most bytes that it takes; it comes within a fiftieth of that.
const LARGEST_BYTES: usize = 120_000;

#[test]
fn the_largest_record_takes_as_many_values_as_the_bound() {
    let record = largest_record();
    let settled = record.reminders.iter().filter(|r| r.state != State::Pending).count();
    assert_eq!((settled, record.reminders.len() - settled), (SETTLED_HARD_MAX, 2 * PLANNED_MAX));
    let bytes = records::encode(&record).len();
    assert_eq!(bytes.div_ceil(VALUE_MAX), LARGEST_VALUES, "{bytes} bytes");
    assert!(bytes > LARGEST_BYTES - LARGEST_BYTES / 50 && bytes <= LARGEST_BYTES, "{bytes} bytes");
}

#[test]
fn whatever_is_committed_no_value_exceeds_the_longest() {
    let disk = TestDisk::default();
    let store = SledStore::on(Box::new(disk.clone())).unwrap();
    let task = TaskId::new(long(TASK_ID_MAX_BYTES)).unwrap();
    let claim = Claim { number: 1, reminders: vec![ReminderId::from_bytes([5; 16]); 10_000] };
    let mut batch = Batch::default();
    batch.replace(&task, None, Some(Box::new(largest_record())));
    batch.push(Op::PutClaim(claim.clone()));
    store.commit(&batch).unwrap();
    assert_eq!(store.record(&task).unwrap(), Some(largest_record()));
    assert_eq!(store.claims().unwrap(), [claim]);
    assert_eq!(disk.longest(), VALUE_MAX);
    let mut batch = Batch::default();
    batch.replace(&task, Some(&largest_record()), None);
    batch.push(Op::RemoveClaim(1));
    store.commit(&batch).unwrap();
    assert_eq!(disk.entries().len(), 0, "what was written went again");
}

#[test]
fn the_largest_records_make_no_blob_file() {
    const TASKS: usize = 200;
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("store");
    let store = SledStore::open(&path, 16).unwrap();
    for group in 0..TASKS / 20 {
        let mut batch = Batch::default();
        for n in 0..20 {
            let task = TaskId::new(format!("task {:03}", n * TASKS / 20 + group)).unwrap();
            batch.push(Op::PutRecord(task, Box::new(largest_record())));
        }
        store.commit(&batch).unwrap();
    }
    assert_eq!(store.tasks(None, usize::MAX).unwrap().len(), TASKS);
    store.close();
    assert_eq!(std::fs::read_dir(path.join("blobs")).unwrap().count(), 0);
}
