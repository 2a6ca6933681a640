//! What is found wrong, and that a store as the worker leaves it is whole.

use super::disks::{TornDisk, places_of};
use crate::domain::{Record, Reminder, ReminderId, Rule, State, Tally, TaskId, Timestamp};
use crate::store::sled::disk::Disk as _;
use crate::store::sled::disk::Writes;
use crate::store::sled::memory::MemoryDisk;
use crate::store::sled::{FINDINGS_MAX, SledStore, in_memory, keys, parts::VALUE_MAX};
use crate::store::{Batch, Claim, Ledger, Meta, Op, OpenError, OutboxEntry, Quarantined, Store, Usage};

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn task(name: &str) -> TaskId {
    TaskId::new(name).unwrap()
}

/// One of everything, with counters that agree.
fn whole() -> SledStore {
    let store = in_memory().unwrap();
    let mut batch = Batch::default();
    let mut gone = Reminder::pending(None, Rule::Offset(5), at(5));
    gone.settle(State::Expired, at(9), None);
    let reminders = vec![Reminder::pending(None, Rule::Offset(0), at(10)), gone];
    batch.replace(&task("a"), None, Some(Box::new(Record { reminders, ..Record::default() })));
    batch.push(Op::PutClaim(Claim { number: 4, reminders: vec![ReminderId::from_bytes([7; 16])] }));
    let event = Quarantined { at: at(1), topic: "t".into(), code: "c".into(), reason: "r".into(), length: 1 };
    batch.push(Op::PutQuarantined(2, event, vec![7; VALUE_MAX + 1]));
    for (number, dead) in [(7, false), (8, true)] {
        let entry = OutboxEntry {
            topic: "t".into(),
            task: task("a"),
            event_id: "e".into(),
            at: at(1),
            attempts: 0,
            next_attempt: None,
            reason: None,
            dead,
            length: 3,
        };
        batch.push(Op::PutOutbox(number, entry, vec![1; 3]));
    }
    let count = |state| i64::from(matches!(state, State::Pending | State::Expired));
    batch.push(Op::PutMeta(Box::new(Meta {
        reminders: Tally::from_counts(State::ALL.map(count)),
        ledger: Ledger { planned: 2, ..Ledger::default() },
        quarantine: Usage { entries: 1, bytes: VALUE_MAX as u64 + 1 },
        outbox: Usage { entries: 2, bytes: 6 },
        outbox_dead: Usage { entries: 1, bytes: 3 },
        next_claim: 5,
        next_quarantined: 3,
        next_outbox: 9,
        ..Meta::default()
    })));
    store.commit(&batch).unwrap();
    store
}

fn id(rule: Rule) -> ReminderId {
    ReminderId::of(&task("a"), None, rule)
}

#[test]
fn a_whole_store_is_found_whole_and_told_by_kind() {
    let found = whole().verify().unwrap();
    assert_eq!(found.wrong, [""; 0]);
    let entries: Vec<(&str, u64)> = found.spaces.iter().map(|(name, space)| (*name, space.entries)).collect();
    assert_eq!(
        entries,
        [
            ("bodies of quarantined events", 1),
            ("bodies of the outbox", 2),
            ("claims", 1),
            ("counters", 1),
            ("outbox", 2),
            ("parts of long values", 2),
            ("pending reminders", 1),
            ("quarantined events", 1),
            ("settled reminders", 1),
            ("tasks", 1),
        ]
    );
    assert_eq!(in_memory().unwrap().verify().unwrap().count, 0, "so is an empty one");
}

#[test]
fn each_disagreement_is_found_and_named() {
    let pending = keys::index(keys::PENDING, &(at(10), id(Rule::Offset(0))));
    let settled = keys::index(keys::SETTLED, &(at(5), id(Rule::Offset(5))));
    let stray = keys::index(keys::PENDING, &(at(11), id(Rule::Offset(0))));
    let body = keys::numbered(keys::QUARANTINED_BODY, 2);
    let part = |number| keys::part(&keys::parts(&body), number);
    let text = |text: &str| Some([&[0], text.as_bytes()].concat());
    type Case = (Vec<u8>, Option<Vec<u8>>, &'static str);
    let table: [Case; 16] = [
        (pending.clone(), None, "is not in the index of pending"),
        (settled.clone(), None, "is not in the index of settled"),
        (settled, text("b"), "is not in the index of settled"),
        (stray.clone(), text("a"), "the task a has no reminder"),
        (stray, text("nobody"), "the task nobody has no reminder"),
        (keys::record(&task("a")), Some(vec![0, 99]), "tasks a"),
        (keys::record(&task("a")), None, "the task a has no reminder"),
        (b"r\xff".to_vec(), Some(vec![0, 1]), "key cannot be read"),
        (part(1), None, "a value in parts"),
        (body, None, "it has no body"),
        (keys::part(&keys::parts(b"Q nothing"), 0), Some(vec![1]), "a part of a value that is not there"),
        (keys::numbered(keys::OUTBOX, 7), None, "a body of nothing"),
        (keys::numbered(keys::CLAIM, 5), Some(vec![0, 1, 0]), "the next of claims is 5, and 5 is there"),
        (keys::numbered(keys::OUTBOX, 8), Some(vec![7]), "the first byte of a value"),
        (b"z".to_vec(), Some(vec![0]), "of no kind that is known"),
        (keys::single(keys::META), None, "the counters: pending: they say 0, there are 1"),
    ];
    for (key, value, told) in table {
        let store = whole();
        store.disk.write(&Writes::from([(key.clone(), value)])).unwrap();
        let found = store.verify().unwrap();
        assert!(found.wrong.iter().any(|wrong| wrong.contains(told)), "{key:?} {told}: {:?}", found.wrong);
    }
}

#[test]
fn findings_are_counted_and_told_up_to_the_bound() {
    let store = in_memory().unwrap();
    for (number, told) in [(FINDINGS_MAX, FINDINGS_MAX), (FINDINGS_MAX + 1, FINDINGS_MAX)] {
        let writes: Writes = (0..number).map(|n| (format!("z{n}").into_bytes(), Some(vec![0]))).collect();
        store.disk.write(&writes).unwrap();
        let found = store.verify().unwrap();
        assert_eq!((found.count, found.wrong.len()), (number as u64, told));
    }
}

/// `count` tasks with a pending reminder each, and counters that agree.
fn many(store: &SledStore, count: u16) {
    for first in (0..count).step_by(100) {
        let mut batch = Batch::default();
        for number in first..count.min(first + 100) {
            let reminders = vec![Reminder::pending(None, Rule::Offset(0), at(1_000 + i64::from(number)))];
            batch.replace(&numbered(number), None, Some(Box::new(Record { reminders, ..Record::default() })));
        }
        store.commit(&batch).unwrap();
    }
    let mut batch = Batch::default();
    let pending = |state| if state == State::Pending { i64::from(count) } else { 0 };
    batch.push(Op::PutMeta(Box::new(Meta {
        reminders: Tally::from_counts(State::ALL.map(pending)),
        ledger: Ledger { planned: u64::from(count), ..Ledger::default() },
        ..Meta::default()
    })));
    store.commit(&batch).unwrap();
}

fn numbered(number: u16) -> TaskId {
    task(&format!("task-{number:04}"))
}

#[test]
fn what_cannot_be_read_is_told_by_where_it_begins_and_ends_and_all_around_it_is_read() {
    const COUNT: u16 = 1_000;
    let record = |number| keys::record(&numbered(number));
    let last_pending =
        keys::index(keys::PENDING, &(at(1_999), ReminderId::of(&numbered(999), None, Rule::Offset(0))));
    type Case = (Vec<u8>, Vec<u8>, u64, &'static str);
    let table: [Case; 5] = [
        (
            record(300),
            record(310),
            10,
            "what comes after tasks task-0299 and before tasks task-0310 cannot be read: ",
        ),
        (record(0), record(256), 256, "from the first of tasks and before tasks task-0256 cannot be read"),
        (
            record(990),
            b"r~".to_vec(),
            10,
            "what comes after tasks task-0989 to the last of tasks cannot be read",
        ),
        (
            vec![keys::META],
            vec![keys::META + 1],
            1,
            "what comes from the first of counters to the last of counters",
        ),
        (last_pending, record(1), 2, " and before tasks task-0001 cannot be read: "),
    ];
    for (from, to, lost, told) in table {
        let whole = in_memory().unwrap();
        many(&whole, COUNT);
        let disk = TornDisk { whole: MemoryDisk::of(&whole.disk).unwrap(), tears: vec![(from, to)] };
        let found = SledStore::on(Box::new(disk)).unwrap().verify().unwrap();
        assert_eq!(found.count, 1, "{told}: {:?}", found.wrong);
        assert!(found.wrong[0].contains(told), "{told}: {:?}", found.wrong);
        let entries: u64 = found.spaces.values().map(|space| space.entries).sum();
        assert_eq!(entries + lost, 2 * u64::from(COUNT) + 1, "{told}");
    }
}

#[test]
fn pages_of_the_engine_that_were_changed_are_told_and_the_rest_is_read() {
    const CACHE_MB: u64 = 16;
    // Several segments of the engine's: of the last one it takes any change for the end of what was written.
    const EVENTS: u64 = 600;
    const NAME: usize = "event 000".len();
    let named = |number: u64| format!("event {number:03}");
    let room = tempfile::tempdir().unwrap();
    let dir = room.path().join("store");
    let store = SledStore::open(&dir, CACHE_MB).unwrap();
    for first in (0..EVENTS).step_by(50) {
        let mut batch = Batch::default();
        for number in first..first + 50 {
            let event =
                Quarantined { at: at(1), topic: "t".into(), code: "c".into(), reason: "r".into(), length: 1 };
            let mut body = vec![7; VALUE_MAX - 2];
            body[..NAME].copy_from_slice(named(number).as_bytes());
            batch.push(Op::PutQuarantined(number, event, body));
        }
        store.commit(&batch).unwrap();
    }
    let mut batch = Batch::default();
    let quarantine = Usage { entries: EVENTS, bytes: EVENTS * (VALUE_MAX as u64 - 2) };
    batch.push(Op::PutMeta(Box::new(Meta { quarantine, next_quarantined: EVENTS, ..Meta::default() })));
    store.commit(&batch).unwrap();
    store.close();
    // Opened once more it keeps a snapshot, and reads a page only when it is asked for.
    SledStore::open(&dir, CACHE_MB).unwrap().close();
    let whole = std::fs::read(dir.join("db")).unwrap();
    let words = "cannot be read: a part of its files is not what was written: ";
    let mut told = 0;
    for number in (100..EVENTS).step_by(100) {
        let mut changed = whole.clone();
        // The engine may have written it more than once, and reads one of them.
        for copy in places_of(named(number).as_bytes(), &whole) {
            changed[copy] ^= 0x55;
        }
        std::fs::write(dir.join("db"), &changed).unwrap();
        let found = match SledStore::copied(&dir, CACHE_MB) {
            Ok(copied) => copied.store.verify().unwrap(),
            // One that it reads as it opens.
            Err(OpenError::Damaged { .. }) => continue,
            Err(error) => panic!("{number}: {error}"),
        };
        assert!(found.wrong.iter().any(|wrong| wrong.contains(words)), "{number}: {:?}", found.wrong);
        let entries: u64 = found.spaces.values().map(|space| space.entries).sum();
        assert!(entries > EVENTS, "{entries}: {:?}", found.wrong);
        told += 1;
    }
    assert!(told > 0, "of so many damages one at least is of a page that it does not read as it opens");
}
