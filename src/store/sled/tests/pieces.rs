//! That of a torn store all comes back that can be read, and the rest as the backup has it.

use proptest::collection::vec;
use proptest::prelude::*;

use super::disks::TornDisk;
use crate::domain::{Record, Reminder, Rule, State, Tally, TaskId, Timestamp};
use crate::store::audit::audit;
use crate::store::sled::disk::{Disk as _, Writes};
use crate::store::sled::memory::MemoryDisk;
use crate::store::sled::pieces::Pieces;
use crate::store::sled::{SledStore, in_memory, keys};
use crate::store::{Batch, Ledger, Meta, Op, OutboxEntry, Quarantined, Store, StoreError, Usage};

const TASKS: u16 = 30;
const MOMENTS: i64 = 20;

/// A task's reminders by the moment of each, and whether it is pending.
type Plan = Vec<(i64, bool)>;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn task(number: u16) -> TaskId {
    TaskId::new(format!("task-{number:02}")).unwrap()
}

fn record(plan: &Plan) -> Box<Record> {
    let reminder = |(minutes, (moment, pending)): (u32, &(i64, bool))| {
        let mut reminder = Reminder::pending(None, Rule::Offset(minutes), at(*moment));
        if !pending {
            reminder.settle(State::Published, at(*moment), None);
        }
        reminder
    };
    Box::new(Record { reminders: (0..).zip(plan).map(reminder).collect(), ..Record::default() })
}

/// A store of these tasks, with counters that agree.
fn store(plans: &[Plan]) -> SledStore {
    let store = in_memory().unwrap();
    let (mut batch, mut reminders) = (Batch::default(), Tally::default());
    for (number, plan) in (0..).zip(plans) {
        let record = record(plan);
        reminders.add(&Tally::count(&record.reminders));
        batch.replace(&task(number), None, Some(record));
    }
    let planned = u64::try_from(reminders.total()).unwrap();
    let ledger = Ledger { planned, ..Ledger::default() };
    batch.push(Op::PutMeta(Box::new(Meta { reminders, ledger, ..Meta::default() })));
    store.commit(&batch).unwrap();
    store
}

fn tear(whole: &SledStore, tears: Vec<(Vec<u8>, Vec<u8>)>) -> TornDisk {
    TornDisk { whole: MemoryDisk::of(&whole.disk).unwrap(), tears }
}

/// Of this many tasks, each with a reminder at least: what is known of none can't be looked for.
fn plans() -> impl Strategy<Value = Vec<Plan>> {
    vec(vec((0..MOMENTS, any::<bool>()), 1..4), TASKS as usize)
}

proptest! {
    #[test]
    fn of_records_with_several_tears_each_comes_back_that_can_be_read_and_the_others_as_in_the_backup(
        before in plans(),
        now in plans(),
        tears in vec((0..TASKS, 1..6_u16), 0..4),
        has_backup in any::<bool>(),
    ) {
        let (backup, whole) = (store(&before), store(&now));
        let is_torn = |number: u16| tears.iter().any(|(from, count)| (*from..from + count).contains(&number));
        let key = |number: u16| keys::record(&task(number));
        let torn = tear(&whole, tears.iter().map(|(from, count)| (key(*from), key(from + count))).collect());
        let backup = has_backup.then_some(&backup);
        let pieces = Pieces::of(&torn, backup).unwrap();
        prop_assert_eq!(pieces.left_out.is_empty(), tears.is_empty());
        let made = pieces.joined(backup, false).unwrap();
        for number in 0..TASKS {
            let of = |store: &SledStore| store.record(&task(number)).unwrap();
            let expected = if is_torn(number) { backup.and_then(of) } else { of(&whole) };
            prop_assert_eq!(of(&made), expected, "{}", number);
        }
        prop_assert_eq!(audit(&made).unwrap().mismatches, vec![]);
        let found = made.verify().unwrap();
        prop_assert_eq!(found.count, 0, "{:?}", found.wrong);
    }

    #[test]
    fn of_torn_indexes_nothing_is_missing(
        plans in plans(),
        tears in vec((any::<bool>(), 0..MOMENTS, 1..MOMENTS), 1..4),
    ) {
        let whole = store(&plans);
        let key = |pending, moment| {
            let space = if pending { keys::PENDING } else { keys::SETTLED };
            keys::index(space, &(at(moment), crate::domain::ReminderId::from_bytes([0; 16])))
        };
        let tears = tears.iter().map(|(pending, from, length)| (key(*pending, *from), key(*pending, from + length)));
        let pieces = Pieces::of(&tear(&whole, tears.collect()), None).unwrap();
        prop_assert_eq!(&pieces.left_out, &vec![]);
        let made = pieces.joined(None, false).unwrap();
        prop_assert_eq!(made.pending(None, usize::MAX).unwrap(), whole.pending(None, usize::MAX).unwrap());
        prop_assert_eq!(made.settled(None, usize::MAX).unwrap(), whole.settled(None, usize::MAX).unwrap());
    }
}

#[test]
fn what_cannot_be_read_of_the_quarantine_and_the_outbox_keeps_its_place_and_is_told() {
    let whole = store(&[]);
    let mut batch = Batch::default();
    for number in 0..6 {
        let event =
            Quarantined { at: at(1), topic: "t".into(), code: "c".into(), reason: "r".into(), length: 3 };
        batch.push(Op::PutQuarantined(number, event, vec![7; 3]));
        let entry = OutboxEntry {
            topic: "t".into(),
            task: task(0),
            event_id: "e".into(),
            at: at(1),
            attempts: 0,
            next_attempt: None,
            reason: None,
            dead: false,
            length: 3,
        };
        batch.push(Op::PutOutbox(number, entry, vec![1; 3]));
    }
    let usage = Usage { entries: 6, bytes: 18 };
    batch.push(Op::PutMeta(Box::new(Meta {
        quarantine: usage,
        outbox: usage,
        next_quarantined: 6,
        next_outbox: 6,
        ..Meta::default()
    })));
    whole.commit(&batch).unwrap();
    let span = |space, from, to| (keys::numbered(space, from), keys::numbered(space, to));
    let torn = tear(
        &whole,
        vec![
            span(keys::QUARANTINED, 2, 3),
            span(keys::QUARANTINED_BODY, 4, 5),
            span(keys::OUTBOX, 2, 3),
            span(keys::OUTBOX_BODY, 4, 5),
        ],
    );
    let made = Pieces::of(&torn, None).unwrap().joined(None, false).unwrap();
    let codes: Vec<_> =
        made.quarantined(None, 9).unwrap().into_iter().map(|(number, event)| (number, event.code)).collect();
    assert_eq!(codes.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    assert_eq!((codes[2].1.as_str(), codes[4].1.as_str()), ("lost", "c"));
    let dead: Vec<_> =
        made.outbox(None, 9).unwrap().into_iter().map(|(number, entry)| (number, entry.dead)).collect();
    assert_eq!(dead, [(0, false), (1, false), (3, false), (4, true), (5, false)]);
    let told = audit(&made).unwrap().mismatches;
    assert_eq!(told, vec![]);
}

#[test]
fn without_counters_no_store_can_be_made() {
    let whole = store(&[vec![(1, true)]]);
    let meta = || (vec![keys::META], vec![keys::META + 1]);
    let made = |backup| Pieces::of(&tear(&whole, vec![meta()]), backup).unwrap().joined(backup, false);
    assert!(matches!(made(None), Err(StoreError::Corrupt(_))));
    assert_eq!(made(Some(&whole)).unwrap().fingerprint().unwrap().0, whole.fingerprint().unwrap().0);
}

#[test]
fn once_a_page_cannot_be_read_nothing_more_is_written_and_one_bad_value_is_no_such_page() {
    let key = |number: u16| keys::record(&task(number));
    let torn = tear(&store(&vec![vec![(1, true)]; 9]), vec![(key(3), key(4))]);
    let store = SledStore::on(Box::new(torn)).unwrap();
    let batch = || {
        let mut batch = Batch::default();
        batch.push(Op::RemoveRecord(task(8)));
        batch
    };
    store.commit(&batch()).unwrap();
    assert!(store.torn().is_none() && store.tasks(None, 2).is_ok());
    assert!(store.record(&task(3)).is_err());
    assert!(matches!(store.torn(), Some(StoreError::Torn(_))));
    assert!(matches!(store.commit(&batch()), Err(StoreError::Torn(_))));

    let store = in_memory().unwrap();
    store.disk.write(&Writes::from([(key(1), Some(vec![0, 99]))])).unwrap();
    assert!(store.record(&task(1)).is_err() && store.torn().is_none());
}
