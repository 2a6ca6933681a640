use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use proptest::prelude::*;

use super::frame::{FRAME_FILL, HEAD, checksum};
use super::hot::{BEHIND_MAX, PAGE_ENTRIES};
use super::read::read_file;
use super::write::FileWriter;
use super::*;
use crate::domain::{Record, TaskId, Timestamp};
use crate::store::sled::disk::{Disk, Writes};
use crate::store::sled::memory::MemoryDisk;
use crate::store::sled::tests::disks::{Step, TestDisk};
use crate::store::sled::{Identity, SledStore, in_memory};
use crate::store::{Batch, Op, Store};

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn head() -> Head {
    Head { format: 3, created: at(1), release: "0.1.0".into(), store: Some(Identity::from_bytes([9; 16])) }
}

type Entries<'a> = &'a [(&'a [u8], Option<&'a [u8]>)];

fn file(head: &Head, entries: Entries<'_>) -> Vec<u8> {
    let mut file = FileWriter::begin(Vec::new(), head).unwrap();
    for (key, value) in entries {
        file.add(key, *value).unwrap();
    }
    let (bytes, length) = file.finish(at(2)).unwrap();
    assert_eq!(bytes.len() as u64, length);
    bytes
}

fn read(bytes: &[u8]) -> Result<(Contents, Writes), FileError> {
    let mut found = Writes::new();
    let contents = read_file(bytes, &mut |key, value| {
        found.insert(key.to_vec(), value.map(<[u8]>::to_vec));
        Ok(())
    })?;
    Ok((contents, found))
}

const SMALL: Entries<'static> =
    &[(b"a", Some(b"1")), (b"b", Some(b"")), (b"a", None), (b"c", Some(b"3")), (b"a", Some(b"4"))];

#[test]
fn the_last_mention_of_a_key_wins() {
    let bytes = file(&head(), SMALL);
    let (contents, found) = read(&bytes).unwrap();
    assert_eq!(contents, Contents { head: head(), finished: at(2), bytes: bytes.len() as u64 });
    let found: Vec<_> = found.iter().map(|(key, value)| (key[0], value.clone().unwrap())).collect();
    assert_eq!(found, [(b'a', b"4".to_vec()), (b'b', vec![]), (b'c', b"3".to_vec())]);
}

/// As the releases wrote it that gave stores no number.
#[test]
fn a_file_whose_head_names_no_store_is_read() {
    let head = Head { store: None, ..head() };
    let bytes = file(&head, SMALL);
    assert_eq!(bytes[8..13], [0, 0, 0, 15, HEAD], "its length is that of before");
    assert_eq!(read(&bytes).unwrap().0.head, head);
}

#[test]
fn a_file_cut_off_at_any_byte_is_refused() {
    let bytes = file(&head(), SMALL);
    for length in 0..bytes.len() {
        let error = read(&bytes[..length]).unwrap_err();
        assert!(matches!(error, FileError::Damaged { .. } | FileError::Foreign), "{length}: {error}");
    }
}

#[test]
fn a_file_with_any_bit_flipped_is_refused() {
    let bytes = file(&head(), SMALL);
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[place] ^= 1 << bit;
            let error = read(&bytes).unwrap_err();
            assert!(
                matches!(error, FileError::Damaged { .. } | FileError::Foreign),
                "{place}.{bit}: {error}"
            );
        }
    }
}

#[test]
fn frames_left_out_repeated_or_moved_are_refused() {
    let large = vec![7; FRAME_FILL / 2];
    let entries: Vec<(&[u8], Option<&[u8]>)> = (b'a'..b'i')
        .map(|key| (std::slice::from_ref(Box::leak(Box::new(key))), Some(large.as_slice())))
        .collect();
    let bytes = file(&head(), &entries);
    let frames = frames(&bytes);
    assert!(frames.len() > 4);
    let joined = |order: &[usize]| -> Vec<u8> {
        bytes[..8].iter().copied().chain(order.iter().flat_map(|n| frames[*n].iter().copied())).collect()
    };
    let whole: Vec<usize> = (0..frames.len()).collect();
    assert!(read(&joined(&whole)).is_ok());
    for place in 0..frames.len() {
        let mut fewer = whole.clone();
        fewer.remove(place);
        let mut twice = whole.clone();
        twice.insert(place, place);
        let mut moved = whole.clone();
        moved.swap(place, (place + 1) % frames.len());
        for order in [fewer, twice, moved] {
            assert!(read(&joined(&order)).is_err(), "{order:?}");
        }
    }
    assert!(read(&[bytes.as_slice(), b"x"].concat()).is_err(), "something behind its end");
}

fn frames(bytes: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut frames) = (&bytes[8..], Vec::new());
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap());
        let (frame, after) = rest.split_at(length as usize + 9);
        frames.push(frame);
        rest = after;
    }
    frames
}

#[test]
fn a_newer_file_is_refused_with_what_to_do_whatever_follows() {
    let newer = |version: u32, format: u32| {
        let payload =
            [version.to_be_bytes().as_slice(), &format.to_be_bytes(), b"what nobody knows"].concat();
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let sum = checksum(length, HEAD, &payload);
        [b"\x89RMB\r\n\x1a\n".as_slice(), &length, &[HEAD], &payload, &sum, b"and more"].concat()
    };
    for (version, format, what) in
        [(2, 3, "file version 2"), (1, 99, "store format 99"), (2, 99, "file version 2")]
    {
        let error = read(&newer(version, format)).unwrap_err();
        assert!(matches!(error, FileError::Newer { .. }), "{error}");
        assert!(error.to_string().contains(what) && error.to_string().contains("use the release"), "{error}");
    }
}

#[test]
fn other_files_are_told_from_damaged_ones() {
    for bytes in [b"".as_slice(), b"PK\x03\x04 a zip", &[0; 4096]] {
        assert!(matches!(read(bytes), Err(FileError::Foreign)));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(tail in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = b"\x89RMB\r\n\x1a\n".to_vec();
        bytes.extend(tail);
        prop_assert!(read(&bytes).is_err());
    }
}

fn put(name: &str, generation: u32) -> Batch {
    let mut batch = Batch::default();
    let record = Record { generation, ..Record::default() };
    batch.push(Op::PutRecord(TaskId::new(name).unwrap(), Box::new(record)));
    batch
}

fn remove(name: &str) -> Batch {
    let mut batch = Batch::default();
    batch.push(Op::RemoveRecord(TaskId::new(name).unwrap()));
    batch
}

/// What the copy restores to, applied in the order of the file.
fn restored(bytes: &[u8]) -> Writes {
    let disk = MemoryDisk::default();
    read_file(bytes, &mut |key, value| {
        disk.apply(&Writes::from([(key.to_vec(), value.map(<[u8]>::to_vec))]))
    })
    .unwrap();
    entries(&disk)
}

fn entries(disk: &dyn Disk) -> Writes {
    let mut all = Writes::new();
    disk.range(&[], &[u8::MAX], &mut |key, value| {
        all.insert(key.to_vec(), Some(value.to_vec()));
        Ok(true)
    })
    .unwrap();
    all
}

fn filled(count: usize) -> SledStore {
    let store = in_memory().unwrap();
    for n in 0..count {
        store.commit(&put(&format!("task {n:05}"), 1)).unwrap();
    }
    store
}

#[test]
fn a_copy_taken_while_batches_are_committed_is_the_store_at_its_end() {
    let store = filled(PAGE_ENTRIES * 3);
    let time = AtomicI64::new(0);
    // Every turn of the copy, before its next page: writes ahead of it, behind it, and what it has just passed.
    let now = || {
        let turn = time.fetch_add(1, Ordering::Relaxed);
        for n in [0, 255, 256, 400, 767] {
            store.commit(&put(&format!("task {n:05}"), u32::try_from(turn).unwrap() + 2)).unwrap();
        }
        store.commit(&remove(&format!("task {:05}", turn * 100))).unwrap();
        store.commit(&put(&format!("task {turn:05} new"), 9)).unwrap();
        at(turn)
    };
    let (bytes, finished, _) = store.copying().unwrap().copy_to(Vec::new(), &now, &|| false).unwrap();
    assert_eq!(restored(&bytes), entries(&store.disk));
    assert_eq!(finished, at(time.load(Ordering::Relaxed) - 1));
    assert!(time.load(Ordering::Relaxed) > 3, "more than one page");
}

#[test]
fn a_copy_under_a_committing_thread_is_a_state_that_was() {
    let store = filled(PAGE_ENTRIES * 4);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 1u32.. {
                // Two records always change together.
                let mut batch = put("task 00000", n);
                put("task 01023", n).ops().iter().for_each(|op| batch.push(op.clone()));
                store.commit(&batch).unwrap();
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        for _ in 0..20 {
            let (bytes, ..) = store.copying().unwrap().copy_to(Vec::new(), &|| at(0), &|| false).unwrap();
            let disk = MemoryDisk::default();
            disk.apply(&restored(&bytes)).unwrap();
            let copy = SledStore::on(Box::new(disk)).unwrap();
            let generation =
                |name: &str| copy.record(&TaskId::new(name).unwrap()).unwrap().unwrap().generation;
            assert_eq!(generation("task 00000"), generation("task 01023"));
        }
        done.store(true, Ordering::Relaxed);
        writer.join().unwrap();
    });
}

#[test]
fn a_copy_waits_while_a_commit_has_failed() {
    let disk = TestDisk::default();
    let store = SledStore::on(Box::new(disk.clone())).unwrap();
    store.commit(&put("a", 1)).unwrap();
    disk.fail_next(Step::HalfApply);
    store.commit(&put("a", 2)).unwrap_err();
    let turns = AtomicI64::new(0);
    let now = || {
        if turns.fetch_add(1, Ordering::Relaxed) == 3 {
            store.commit(&put("a", 2)).unwrap();
        }
        at(0)
    };
    let (bytes, ..) = store.copying().unwrap().copy_to(Vec::new(), &now, &|| false).unwrap();
    assert!(turns.load(Ordering::Relaxed) >= 4);
    assert_eq!(restored(&bytes), disk.entries());
}

#[test]
fn one_copy_is_made_at_a_time_and_one_that_broke_off_makes_room() {
    let store = filled(1);
    let first = store.copying().unwrap();
    assert!(matches!(store.copying(), Err(BackupError::Busy)));
    assert!(matches!(first.copy_to(Vec::new(), &|| at(0), &|| true), Err(BackupError::Stopped)));
    assert!(store.copying().is_ok());
}

#[test]
fn a_copy_that_lags_too_far_is_given_up_and_commits_go_on() {
    let store = filled(PAGE_ENTRIES + 1);
    let mut batch = Batch::default();
    let entry = crate::store::Quarantined {
        at: at(1),
        topic: "t".into(),
        code: "c".into(),
        reason: "r".into(),
        length: 1,
    };
    batch.push(Op::PutQuarantined(1, entry, vec![0; BEHIND_MAX / 4]));
    let lag = |commits: usize| {
        let turns = AtomicI64::new(0);
        let now = || {
            if turns.fetch_add(1, Ordering::Relaxed) == 2 {
                (0..commits).for_each(|_| store.commit(&batch).unwrap());
            }
            at(0)
        };
        store.copying().unwrap().copy_to(std::io::sink(), &now, &|| false)
    };
    assert!(lag(3).is_ok());
    assert!(matches!(lag(4), Err(BackupError::Behind)));
    assert!(lag(0).is_ok());
}

#[test]
fn a_backup_leaves_the_reserve_free_and_says_so() {
    let room = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(room.path().join("backups"), 3).leaving(u64::MAX);
    let store = in_memory().unwrap();
    let told = shelf.make(&store, &|| at(1), &|| false).unwrap_err();
    assert!(matches!(told, BackupError::Short { .. }), "{told}");
    assert_eq!(std::fs::read_dir(shelf.dir()).unwrap().count(), 0, "nothing is left of it");
    assert!(shelf.leaving(0).make(&store, &|| at(1), &|| false).is_ok());
}

#[test]
fn the_oldest_backups_make_room_and_strangers_stay() {
    let room = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(room.path().join("backups"), 3);
    assert_eq!(shelf.list().unwrap(), []);
    let store = filled(1);
    let name = |n: i64| shelf.make(&store, &|| at(n), &|| false).unwrap().name;
    let first = name(1);
    for other in ["mine", "backup-mine.rmb", "backup-20261124T090000.123Z.rmb.partial"] {
        std::fs::write(shelf.dir().join(other), "x").unwrap();
    }
    let names: Vec<String> = (2..6).map(name).collect();
    let kept: Vec<String> = shelf.list().unwrap().into_iter().map(|kept| kept.name).collect();
    assert_eq!(kept, [&names[3], &names[2], &names[1]].map(String::clone));
    assert!(!shelf.dir().join(first).exists());
    assert!(shelf.dir().join("mine").exists() && shelf.dir().join("backup-mine.rmb").exists());
    assert!(!shelf.dir().join("backup-20261124T090000.123Z.rmb.partial").exists());
    let contents = check_file(&shelf.list().unwrap()[0].path).unwrap();
    assert_eq!((contents.head.created, contents.finished), (at(5), at(5)));
}

#[test]
fn a_backup_that_breaks_off_leaves_nothing_and_keeps_the_others() {
    let room = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(room.path().join("backups"), 1);
    let store = filled(1);
    let kept = shelf.make(&store, &|| at(1), &|| false).unwrap();
    assert!(matches!(shelf.make(&store, &|| at(2), &|| true), Err(BackupError::Stopped)));
    assert_eq!(shelf.list().unwrap(), [kept]);
    assert_eq!(std::fs::read_dir(shelf.dir()).unwrap().count(), 1);
    // A file in the place of the directory.
    let blocked = Shelf::new(shelf.list().unwrap()[0].path.clone(), 1);
    assert!(matches!(blocked.make(&store, &|| at(3), &|| false), Err(BackupError::Io { .. })));
    assert!(store.commit(&put("b", 1)).is_ok());
}

/// One made while the clock was ahead, and has stepped back since.
#[test]
fn what_was_just_made_is_never_removed_and_names_of_the_future_make_room_first() {
    const FUTURE: i64 = 4_070_908_800_000;
    for keep in 1..=3 {
        let room = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(room.path().join("backups"), keep);
        let store = filled(1);
        let make = |ms: i64| shelf.make(&store, &|| at(ms), &|| false).unwrap();
        make(FUTURE);
        shelf.note_erasing("u", at(2), Erasing::Ended).unwrap();
        for ms in 10..14 {
            let made = make(ms);
            let kept = shelf.list_at(at(ms)).unwrap();
            assert_eq!(kept.first(), Some(&made), "{keep}");
            assert!(kept.len() <= keep);
            let of_future = kept.iter().any(|kept| kept.created == at(FUTURE));
            assert_eq!(of_future, usize::try_from(ms - 9).unwrap() < keep, "{keep} {ms}");
            let erased = shelf.to_erase(Some(Timestamp::MIN)).unwrap();
            assert_eq!(
                erased.len(),
                usize::from(of_future),
                "who was erased since is noted as long as it is kept"
            );
        }
    }
}

mod torn;
