//! That a store whose index can't be read holds what one holds whose index can.

use proptest::collection::vec;
use proptest::prelude::*;

use super::disks::{TornDisk, places_of};
use crate::domain::{Record, Reminder, ReminderId, Rule, State, TaskId, Timestamp};
use crate::store::audit::{UNREADABLE, audit};
use crate::store::sled::disk::Disk as _;
use crate::store::sled::memory::MemoryDisk;
use crate::store::sled::{SledStore, in_memory, keys};
use crate::store::{Batch, IndexKey, Store};

const TASKS: u16 = 12;
const MOMENTS: i64 = 20;

/// A task's reminders by the moment of each, and whether it is pending.
type Plan = Vec<(i64, bool)>;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn task(number: u16) -> TaskId {
    TaskId::new(format!("task-{number:05}")).unwrap()
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

/// Makes `plan` of a task, or removes it.
fn change(store: &SledStore, number: u16, plan: Option<&Plan>) {
    let mut batch = Batch::default();
    let before = store.record(&task(number)).unwrap();
    batch.replace(&task(number), before.as_ref(), plan.map(record));
    store.commit(&batch).unwrap();
}

/// `store` on a disk that can't read what its index `space` holds from one moment up to another.
fn torn(store: &SledStore, space: u8, from: i64, to: i64) -> SledStore {
    let key = |moment| keys::index(space, &(at(moment), ReminderId::from_bytes([0; 16])));
    let whole = MemoryDisk::of(&store.disk).unwrap();
    SledStore::on(Box::new(TornDisk { whole, from: key(from), to: key(to) })).unwrap()
}

/// All of an index, read in pages of `limit`.
fn index(store: &SledStore, limit: usize, pending: bool) -> Vec<(IndexKey, TaskId)> {
    let mut all: Vec<(IndexKey, TaskId)> = Vec::new();
    loop {
        let after = all.last().map(|(key, _)| *key);
        let page = if pending { store.pending(after, limit) } else { store.settled(after, limit) }.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page.into_iter().map(|entry| (entry.key, entry.task)));
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    vec((0..MOMENTS, any::<bool>()), 0..4)
}

proptest! {
    #[test]
    fn whatever_is_written_a_torn_index_reads_as_a_whole_one(
        first in vec(plan(), TASKS as usize),
        pending in any::<bool>(),
        (from, length) in (0..MOMENTS, 1..MOMENTS),
        steps in vec((0..TASKS, proptest::option::of(plan()), 1_usize..9, any::<bool>()), 0..12),
    ) {
        let whole = in_memory().unwrap();
        for (number, plan) in (0..).zip(&first) {
            change(&whole, number, Some(plan));
        }
        let space = if pending { keys::PENDING } else { keys::SETTLED };
        let torn = torn(&whole, space, from, from + length);
        for (number, plan, limit, look) in steps {
            for store in [&whole, &torn] {
                change(store, number, plan.as_ref());
            }
            if look {
                for pending in [true, false] {
                    prop_assert_eq!(index(&torn, limit, pending), index(&whole, limit, pending));
                }
            }
        }
        for (key, _) in index(&whole, 5, pending) {
            let key = keys::index(space, &key);
            prop_assert_eq!(torn.disk.get(&key).unwrap(), whole.disk.get(&key).unwrap());
        }
        prop_assert_eq!(torn.fingerprint().unwrap(), whole.fingerprint().unwrap());
    }
}

#[test]
fn a_torn_index_is_told_and_nothing_of_it_is_missing() {
    let whole = in_memory().unwrap();
    for number in 0..TASKS {
        change(&whole, number, Some(&vec![(i64::from(number), true)]));
    }
    let torn = torn(&whole, keys::PENDING, 3, 6);
    assert_eq!(torn.damage(), Vec::<String>::new(), "nobody has come upon it");
    let unreadable = |store: &SledStore| {
        audit(store).unwrap().mismatches.into_iter().find(|found| found.what == UNREADABLE)
    };
    assert_eq!(unreadable(&whole), None);
    assert_eq!(unreadable(&torn).map(|found| found.there), Some(1));
    assert_eq!(torn.damage().len(), 1);
    let found = torn.verify().unwrap();
    let told: Vec<_> = found.wrong.iter().filter(|wrong| wrong.contains("pending reminders")).collect();
    assert!(told.len() == 1 && told[0].contains("nothing of it is missing"), "{:?}", found.wrong);
    assert_eq!(found.spaces["pending reminders"].entries, u64::from(TASKS));
}

#[test]
fn records_that_cant_be_read_leave_the_others_in_the_index() {
    let whole = in_memory().unwrap();
    for number in 0..TASKS {
        change(&whole, number, Some(&vec![(i64::from(number), true)]));
    }
    let index_torn = TornDisk {
        whole: MemoryDisk::of(&whole.disk).unwrap(),
        from: vec![keys::PENDING],
        to: keys::record(&task(2)),
    };
    let torn = SledStore::on(Box::new(index_torn)).unwrap();
    let tasks: Vec<_> = index(&torn, 5, true).into_iter().map(|(_, task)| task).collect();
    assert_eq!(tasks, (2..TASKS).map(task).collect::<Vec<_>>());
}

/// What a real page that was changed does to the engine: it is read again for each write in it.
#[test]
fn a_worker_goes_on_over_a_damaged_page_of_the_engines_index_and_compacting_writes_it_anew() {
    const CACHE_MB: u64 = 16;
    const COUNT: u16 = 20_000;
    let room = tempfile::tempdir().unwrap();
    let dir = room.path().join("store");
    let store = SledStore::open(&dir, CACHE_MB).unwrap();
    let whole = in_memory().unwrap();
    let plan = |number: u16| vec![(i64::from(number), true)];
    for store in [&store, &whole] {
        for first in (0..COUNT).step_by(1_000) {
            let mut batch = Batch::default();
            for number in first..first + 1_000 {
                batch.replace(&task(number), None, Some(record(&plan(number))));
            }
            store.commit(&batch).unwrap();
        }
    }
    store.close();
    // Opened once more it keeps a snapshot, and reads a page only when it is asked for.
    SledStore::open(&dir, CACHE_MB).unwrap().close();
    let mut file = std::fs::read(dir.join("db")).unwrap();
    let damaged = COUNT / 2;
    let id = ReminderId::of(&task(damaged), None, Rule::Offset(0));
    for place in places_of(&id.as_bytes()[..], &file) {
        file[place] ^= 0x55;
    }
    std::fs::write(dir.join("db"), &file).unwrap();

    // Written anew by itself.
    let as_it_was = index(&whole, 256, true);
    let other = room.path().join("other");
    std::fs::create_dir(&other).unwrap();
    for file in std::fs::read_dir(&dir).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        std::fs::copy(file.path(), other.join(file.file_name())).unwrap();
    }
    SledStore::compact(&other, CACHE_MB, at(1)).unwrap();
    let compacted = SledStore::open(&other, CACHE_MB).unwrap();
    assert_eq!(index(&compacted, 256, true), as_it_was);
    assert_eq!(compacted.damage(), Vec::<String>::new());

    // Under a worker that goes on: writes come upon it first, one reminder there goes, one moves there.
    let store = SledStore::open(&dir, CACHE_MB).unwrap();
    for store in [&store, &whole] {
        change(store, damaged + 1, None);
        change(store, 3, Some(&plan(damaged)));
    }
    assert_eq!(store.damage().len(), 1, "{:?}", store.damage());
    assert_eq!(index(&store, 256, true), index(&whole, 256, true));
}
