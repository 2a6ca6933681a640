//! The store in a directory: what is kept, in what files, and in which order it reads.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::path::Path;

use proptest::prelude::*;
use reminder_worker::domain::{Record, Reminder, ReminderId, Rule, TaskId, Timestamp};
use reminder_worker::store::sled::{SledStore, in_memory};
use reminder_worker::store::{Batch, Claim, Meta, Op, OutboxEntry, Quarantined, Store, Usage};
use tempfile::TempDir;

const CACHE_MB: u64 = 16;
/// What Dapr lets an event be.
const BODY_MAX: usize = 4 * 1024 * 1024;
/// What the store hands to its engine at once.
const VALUE_MAX: usize = 32 * 1024;

fn open(dir: &Path) -> SledStore {
    SledStore::open(dir, CACHE_MB).unwrap()
}

fn task(name: &str) -> TaskId {
    TaskId::new(name).unwrap()
}

fn record(fire_at: i64) -> Record {
    let reminder = Reminder::pending(None, Rule::Offset(0), Timestamp::from_millis(fire_at));
    Record { reminders: vec![reminder], ..Record::default() }
}

fn quarantined(length: usize) -> Quarantined {
    Quarantined {
        at: Timestamp::from_millis(7),
        topic: "task-events".into(),
        code: "not_json".into(),
        reason: "it is no JSON".into(),
        length: length as u64,
    }
}

fn outbox(name: &str, length: usize) -> OutboxEntry {
    OutboxEntry {
        topic: "task-events".into(),
        task: task(name),
        event_id: format!("event of {name}"),
        at: Timestamp::from_millis(7),
        attempts: 0,
        next_attempt: None,
        reason: None,
        dead: false,
        length: length as u64,
    }
}

/// Bytes that differ from place to place, so that parts in the wrong order show.
fn body(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at / 251 % 256).unwrap() ^ u8::try_from(at % 256).unwrap()).collect()
}

fn batch(ops: impl IntoIterator<Item = Op>) -> Batch {
    let mut batch = Batch::default();
    ops.into_iter().for_each(|op| batch.push(op));
    batch
}

#[test]
fn everything_committed_is_there_after_closing_and_opening_again() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store");
    let id = ReminderId::from_bytes([3; 16]);
    let key = (Timestamp::from_millis(5), id);
    let meta = Meta { next_claim: 4, outbox: Usage { entries: 1, bytes: 9 }, ..Meta::default() };
    let claim = Claim { number: 3, reminders: vec![id] };
    let store = open(&path);
    store
        .commit(&batch([
            Op::PutMeta(Box::new(meta.clone())),
            Op::PutRecord(task("a"), Box::new(record(1))),
            Op::PutPending(key, task("a")),
            Op::PutSettled(key, task("b")),
            Op::PutClaim(claim.clone()),
            Op::PutQuarantined(1, quarantined(3), b"abc".to_vec()),
            Op::PutOutbox(2, outbox("a", 9), b"{\"a\": 12}".to_vec()),
        ]))
        .unwrap();
    store.close();
    let store = open(&path);
    assert_eq!(store.meta().unwrap(), meta);
    assert_eq!(store.record(&task("a")).unwrap(), Some(record(1)));
    assert_eq!(store.record(&task("b")).unwrap(), None);
    assert_eq!(store.pending(None, 9).unwrap()[0].task, task("a"));
    assert_eq!(store.settled(None, 9).unwrap()[0].task, task("b"));
    assert_eq!(store.claims().unwrap(), [claim]);
    assert_eq!(store.quarantined(None, 9).unwrap(), [(1, quarantined(3))]);
    assert_eq!(store.quarantined_body(1).unwrap(), b"abc");
    assert_eq!(store.outbox(None, 9).unwrap(), [(2, outbox("a", 9))]);
    assert_eq!(store.outbox_body(2).unwrap(), b"{\"a\": 12}");
}

#[test]
fn an_empty_store_reads_as_empty() {
    let store = in_memory().unwrap();
    assert_eq!(store.meta().unwrap(), Meta::default());
    assert_eq!(store.tasks(None, 9).unwrap(), []);
    assert_eq!(store.pending(None, 9).unwrap(), []);
    assert_eq!(store.outbox_body(1).unwrap(), Vec::<u8>::new());
    assert_eq!(store.syncs(), 0);
}

#[test]
fn each_commit_forces_the_disk_once_and_an_empty_one_does_not() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir.path().join("store"));
    for number in 1..=5u64 {
        store.commit(&batch([Op::PutClaim(Claim { number, reminders: Vec::new() })])).unwrap();
        assert_eq!(store.syncs(), number);
    }
    store.commit(&Batch::default()).unwrap();
    assert_eq!(store.syncs(), 5);
}

#[test]
fn the_largest_bodies_make_no_blob_file_and_come_back_whole() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store");
    let store = open(&path);
    for number in 0..4 {
        store
            .commit(&batch([
                Op::PutQuarantined(number, quarantined(BODY_MAX), body(BODY_MAX)),
                Op::PutOutbox(number, outbox("a", BODY_MAX), body(BODY_MAX)),
            ]))
            .unwrap();
    }
    assert_eq!(store.quarantined_body(3).unwrap(), body(BODY_MAX));
    store.close();
    let blobs: Vec<_> = std::fs::read_dir(path.join("blobs")).unwrap().collect();
    assert!(blobs.is_empty(), "{blobs:?}");
    let store = open(&path);
    assert_eq!(store.outbox_body(0).unwrap(), body(BODY_MAX));
    assert_eq!(store.quarantined(None, 9).unwrap().len(), 4);
}

#[test]
fn bodies_on_either_side_of_the_longest_value_come_back_whole() {
    let store = in_memory().unwrap();
    let lengths = [0, 1, VALUE_MAX - 1, VALUE_MAX, VALUE_MAX + 1, 2 * VALUE_MAX, 2 * VALUE_MAX + 1];
    for (number, length) in (0..).zip(lengths) {
        store.commit(&batch([Op::PutOutbox(number, outbox("a", length), body(length))])).unwrap();
    }
    for (number, length) in (0..).zip(lengths) {
        assert_eq!(store.outbox_body(number).unwrap(), body(length), "{length} bytes");
    }
}

#[test]
fn a_long_body_goes_whole_and_a_shorter_one_in_its_place_is_not_mixed_with_it() {
    let store = in_memory().unwrap();
    let put = |length| Op::PutOutbox(1, outbox("a", length), body(length));
    store.commit(&batch([put(VALUE_MAX * 5)])).unwrap();
    store.commit(&batch([put(VALUE_MAX * 2)])).unwrap();
    assert_eq!(store.outbox_body(1).unwrap(), body(VALUE_MAX * 2));
    store.commit(&batch([Op::RemoveOutbox(1), put(10), put(VALUE_MAX * 3), Op::RemoveOutbox(1)])).unwrap();
    assert_eq!(store.outbox_body(1).unwrap(), b"");
    store.commit(&batch([put(VALUE_MAX)])).unwrap();
    assert_eq!(store.outbox_body(1).unwrap(), body(VALUE_MAX));
}

#[test]
fn a_changed_outbox_entry_keeps_its_body() {
    let store = in_memory().unwrap();
    let failed = OutboxEntry { attempts: 1, ..outbox("a", VALUE_MAX * 2) };
    store
        .commit(&batch([
            Op::PutOutbox(1, outbox("a", VALUE_MAX * 2), body(VALUE_MAX * 2)),
            Op::UpdateOutbox(1, failed.clone()),
        ]))
        .unwrap();
    assert_eq!(store.outbox(None, 9).unwrap(), [(1, failed)]);
    assert_eq!(store.outbox_body(1).unwrap(), body(VALUE_MAX * 2));
}

#[test]
fn lists_page_without_gaps_or_repeats() {
    let store = in_memory().unwrap();
    let names: Vec<String> = (0..25).map(|n| format!("task {n:02}")).collect();
    let mut all = Batch::default();
    for (name, at) in names.iter().zip(-12..) {
        all.replace(&task(name), None, Some(Box::new(record(at))));
    }
    store.commit(&all).unwrap();
    let mut found = Vec::new();
    loop {
        let page = store.tasks(found.last(), 7).unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_eq!(found, names.iter().map(|name| task(name)).collect::<Vec<_>>());
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = store.pending(after, 7).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.key);
        found.extend(page.into_iter().map(|entry| entry.key.0.millis()));
    }
    assert_eq!(found, (-12..13).collect::<Vec<_>>());
    assert_eq!(store.pending(None, 0).unwrap(), []);
}

#[test]
fn a_task_id_that_begins_like_another_is_another() {
    let store = in_memory().unwrap();
    let (short, long) = (task("a"), task("a\0"));
    store
        .commit(&batch([
            Op::PutRecord(short.clone(), Box::new(record(1))),
            Op::PutRecord(long.clone(), Box::new(record(2))),
            Op::RemoveRecord(short.clone()),
        ]))
        .unwrap();
    assert_eq!(store.record(&short).unwrap(), None);
    assert_eq!(store.record(&long).unwrap(), Some(record(2)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Both carriers of the store are the same to their readers.
    #[test]
    fn the_directory_and_the_map_hold_the_same_after_the_same_commits(
        steps in proptest::collection::vec((0..6u8, 0..4u64, 0..80_000usize), 1..12),
    ) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("store");
        let (mut durable, memory) = (open(&path), in_memory().unwrap());
        for (kind, number, length) in steps {
            let name = format!("task {number}");
            let op = match kind {
                0 => Op::PutOutbox(number, outbox(&name, length), body(length)),
                1 => Op::RemoveOutbox(number),
                2 => Op::PutQuarantined(number, quarantined(length), body(length)),
                3 => Op::RemoveQuarantined(number),
                4 => Op::PutRecord(task(&name), Box::new(record(i64::try_from(length).unwrap()))),
                _ => {
                    durable.close();
                    durable = open(&path);
                    Op::RemoveRecord(task(&name))
                }
            };
            durable.commit(&batch([op.clone()])).unwrap();
            memory.commit(&batch([op])).unwrap();
            prop_assert_eq!(durable.outbox(None, 9).unwrap(), memory.outbox(None, 9).unwrap());
            prop_assert_eq!(durable.quarantined(None, 9).unwrap(), memory.quarantined(None, 9).unwrap());
            prop_assert_eq!(durable.tasks(None, 9).unwrap(), memory.tasks(None, 9).unwrap());
            for number in 0..4 {
                prop_assert!(durable.outbox_body(number).unwrap() == memory.outbox_body(number).unwrap());
                prop_assert!(
                    durable.quarantined_body(number).unwrap() == memory.quarantined_body(number).unwrap()
                );
            }
        }
    }
}
