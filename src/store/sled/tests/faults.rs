//! What a failure at each step of a commit leaves, and what unreadable values say.

use super::disks::{Step, TestDisk};
use super::strategies::plain_record;
use crate::domain::{ReminderId, TaskId, Timestamp};
use crate::store::sled::disk::{Disk, Writes};
use crate::store::sled::{SledStore, engine, keys, parts::VALUE_MAX};
use crate::store::{Batch, Claim, Meta, Op, Quarantined, Store, StoreError};

fn task(name: &str) -> TaskId {
    TaskId::new(name).unwrap()
}

fn on(disk: &TestDisk) -> SledStore {
    SledStore::on(Box::new(disk.clone())).unwrap()
}

fn quarantined() -> Quarantined {
    Quarantined {
        at: Timestamp::from_millis(1),
        topic: "t".into(),
        code: "c".into(),
        reason: "r".into(),
        length: 1,
    }
}

/// The batch of the `number`th commit: it writes, replaces and removes, values in parts too.
fn batch(number: u64) -> Batch {
    let mut batch = Batch::default();
    batch.push(Op::PutMeta(Box::new(Meta { next_claim: number, ..Meta::default() })));
    batch.replace(&task(&format!("task {number}")), None, Some(Box::new(plain_record())));
    batch.push(Op::RemoveRecord(task(&format!("task {}", number.wrapping_sub(1)))));
    batch.push(Op::PutClaim(Claim { number, reminders: vec![ReminderId::from_bytes([7; 16])] }));
    let parts = usize::try_from(5 - number % 5).unwrap();
    batch.push(Op::PutQuarantined(1, quarantined(), vec![9; VALUE_MAX * parts]));
    batch.push(Op::RemoveClaim(number.wrapping_sub(1)));
    batch
}

#[test]
fn a_commit_is_applied_then_flushed_then_synced() {
    let disk = TestDisk::default();
    let store = on(&disk);
    for number in 1..4 {
        store.commit(&batch(number)).unwrap();
        assert_eq!(disk.steps(), [Step::Apply, Step::Flush, Step::Sync]);
        assert_eq!(store.syncs(), number);
    }
    store.commit(&Batch::default()).unwrap();
    assert_eq!(disk.steps(), []);
}

#[test]
fn whatever_step_fails_what_was_acknowledged_outlasts_a_power_cut() {
    for step in [Step::Apply, Step::HalfApply, Step::Flush, Step::Sync] {
        let disk = TestDisk::default();
        let store = on(&disk);
        store.commit(&batch(1)).unwrap();
        let acknowledged = disk.entries();
        disk.fail_next(step);
        store.commit(&batch(2)).unwrap_err();
        assert_eq!(disk.after_power_cut().entries(), acknowledged, "{step:?}");
        assert_eq!(store.syncs(), 1);
    }
}

#[test]
fn a_batch_that_failed_and_is_committed_again_leaves_what_it_would_have_at_once() {
    let unfailing = TestDisk::default();
    let store = on(&unfailing);
    (1..=3).for_each(|number| store.commit(&batch(number)).unwrap());
    for step in [Step::Apply, Step::HalfApply, Step::Flush] {
        let disk = TestDisk::default();
        let store = on(&disk);
        store.commit(&batch(1)).unwrap();
        for _ in 0..3 {
            disk.fail_next(step);
            let error = store.commit(&batch(2)).unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)), "{step:?}: {error}");
        }
        store.commit(&batch(2)).unwrap();
        store.commit(&batch(3)).unwrap();
        assert_eq!(disk.entries(), unfailing.entries(), "{step:?}");
        assert_eq!(disk.after_power_cut().entries(), unfailing.entries(), "{step:?}");
    }
}

#[test]
fn nothing_else_is_committed_before_the_batch_that_failed() {
    for step in [Step::Apply, Step::HalfApply, Step::Flush] {
        let disk = TestDisk::default();
        let store = on(&disk);
        disk.fail_next(step);
        store.commit(&batch(1)).unwrap_err();
        disk.steps();
        for other in [batch(2), Batch::default()] {
            let error = store.commit(&other).unwrap_err();
            assert!(matches!(&error, StoreError::Unavailable(why) if why.contains("repeated")), "{error}");
        }
        assert_eq!(disk.steps(), []);
        store.commit(&batch(1)).unwrap();
        store.commit(&batch(2)).unwrap();
    }
}

#[test]
fn after_a_failed_sync_nothing_is_ever_acknowledged_again() {
    let disk = TestDisk::default();
    let store = on(&disk);
    store.commit(&batch(1)).unwrap();
    disk.fail_next(Step::Sync);
    let error = store.commit(&batch(2)).unwrap_err();
    assert!(matches!(error, StoreError::Unsynced(_)), "{error}");
    disk.steps();
    // A second sync of a page that the system has given up says that all is well.
    for number in [2, 3] {
        let error = store.commit(&batch(number)).unwrap_err();
        assert!(matches!(error, StoreError::Unsynced(_)), "{error}");
    }
    assert_eq!(disk.steps(), []);
    let again = on(&disk.after_power_cut());
    assert_eq!(again.meta().unwrap().next_claim, 1);
    again.commit(&batch(2)).unwrap();
}

#[test]
fn a_value_that_cannot_be_read_is_corrupt_to_each_reader() {
    let key = (Timestamp::from_millis(1), ReminderId::from_bytes([1; 16]));
    let garbage = [&b""[..], &[0], &[0, 200, 1, 2], &[1], &[1, 0, 0, 0, 9], &[2, 1], &[0, 1, 255, 255]];
    for stored in garbage {
        let disk = TestDisk::default();
        let writes: Writes = [
            keys::single(keys::META),
            keys::record(&task("a")),
            keys::index(keys::PENDING, &key),
            keys::numbered(keys::CLAIM, 1),
            keys::numbered(keys::QUARANTINED, 1),
            keys::numbered(keys::OUTBOX, 1),
        ]
        .map(|key| (key, Some(stored.to_vec())))
        .into();
        disk.write(&writes).unwrap();
        let store = on(&disk);
        let outcomes = [
            store.meta().map(drop),
            store.record(&task("a")).map(drop),
            store.pending(None, 1).map(drop),
            store.claims().map(drop),
            store.quarantined(None, 1).map(drop),
            store.outbox(None, 1).map(drop),
        ];
        for outcome in outcomes {
            assert!(matches!(outcome, Err(StoreError::Corrupt(_))), "{stored:?}: {outcome:?}");
        }
    }
}

#[test]
fn a_body_that_misses_a_part_is_corrupt() {
    let disk = TestDisk::default();
    let store = on(&disk);
    store.commit(&batch(1)).unwrap();
    let body = keys::numbered(keys::QUARANTINED_BODY, 1);
    disk.write(&[(keys::part(&keys::parts(&body), 1), None)].into()).unwrap();
    assert!(matches!(store.quarantined_body(1), Err(StoreError::Corrupt(_))));
}

#[cfg(target_os = "linux")]
#[test]
fn a_data_file_that_cannot_be_forced_is_unsynced() {
    let dir = tempfile::TempDir::new().unwrap();
    let store = on_a_file_that_cannot_be_forced(&dir.path().join("store"));
    let error = store.commit(&batch(1)).unwrap_err();
    assert!(matches!(error, StoreError::Unsynced(_)), "{error}");
    assert_eq!(store.syncs(), 0);
}

/// Closing it, sled would force its file again, and panics where that fails.
#[cfg(target_os = "linux")]
#[test]
fn a_store_that_could_not_force_a_commit_is_left_and_not_closed() {
    let dir = tempfile::TempDir::new().unwrap();
    for (commits, is_left) in [(0, false), (1, true)] {
        let path = dir.path().join(commits.to_string());
        let store = on_a_file_that_cannot_be_forced(&path);
        for number in 0..commits {
            store.commit(&batch(number)).unwrap_err();
        }
        drop(store);
        // What is left keeps the engine's own lock; of what is closed the engine's threads let go a moment later.
        let data = std::fs::File::open(path.join("db")).unwrap();
        let is_free = (0..RELEASE_LOOKS).any(|_| {
            std::thread::park_timeout(RELEASE_LOOK);
            data.try_lock().is_ok()
        });
        assert_eq!(is_free, !is_left, "{commits} commits failed");
    }
}

/// How long a closed store may stay locked: 2 s, in all.
const RELEASE_LOOKS: u32 = 400;
const RELEASE_LOOK: std::time::Duration = std::time::Duration::from_millis(5);

#[cfg(target_os = "linux")]
fn on_a_file_that_cannot_be_forced(path: &std::path::Path) -> SledStore {
    let db = engine::open(path, 1 << 20).unwrap();
    let lock = tempfile::tempfile().unwrap();
    // A device that takes everything and knows no fdatasync.
    let data = std::fs::File::open("/dev/null").unwrap();
    SledStore::on(Box::new(engine::SledDisk::new(db, data, lock))).unwrap()
}
