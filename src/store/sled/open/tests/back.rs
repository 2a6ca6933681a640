//! A store that has gone back, held against a backup; none at all where backups are; and backups of a clock that was ahead.

use super::*;
use crate::store::sled::open::fuller::ITSELF;

/// Commits until the store has begun so many attempts, with a record for the last, and counts them rightly.
fn attempts(stage: &Stage1, count: u64) -> SledStore {
    let store = SledStore::open(&stage.path, CACHE_MB).unwrap();
    let mut batch = Batch::default();
    let meta = store.meta().unwrap();
    batch.push(Op::PutMeta(Box::new(Meta { next_claim: count, ..meta })));
    batch.push(Op::PutRecord(task(900 + usize::try_from(count % 100).unwrap()), Box::default()));
    store.commit(&batch).unwrap();
    store
}

fn put_back(stage: &Stage1, files: &BTreeMap<PathBuf, Vec<u8>>) {
    fs::remove_dir_all(&stage.path).unwrap();
    for (path, bytes) in files {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// The store of a stage whose marker says 3,100 and which holds 3,000.
fn gone_back(stage: &Stage1) {
    attempts(stage, 3_000).close();
    let earlier = files(&stage.path);
    let store = attempts(stage, 3_100);
    store.take_down(at(NOW - 60_000)).unwrap();
    store.close();
    put_back(stage, &earlier);
}

#[test]
fn a_store_gone_back_by_a_little_is_kept_over_a_much_older_backup_and_it_is_told() {
    for holds in [false, true] {
        let stage = backed_up();
        gone_back(&stage);
        let recovery = Recovery { holds, ..stage.recovery() };
        let store = SledStore::open_or_restore(&stage.path, CACHE_MB, &recovery).unwrap();
        assert_eq!(store.meta().unwrap().next_claim, 3_000);
        let restored = store.restored().unwrap().unwrap();
        assert_eq!((restored.at, restored.from, restored.backup.as_str()), (at(NOW), at(BACKUP), ITSELF));
        let overdue = if holds { AfterRestore::Held } else { AfterRestore::Fires };
        assert_eq!((restored.overdue, restored.confirmed), (overdue, None));
        assert!(restored.erases && restored.reason.as_ref().is_some_and(|why| why.contains("3100 attempts")));
        store.close();
        assert!(!stage.aside().exists() && !stage.place().swap.exists());
        let store = stage.open().unwrap();
        assert_eq!(store.restored().unwrap(), Some(restored), "opened again nobody accuses it");
    }
}

#[test]
fn what_an_earlier_restore_misses_and_nobody_confirmed_is_still_missing() {
    let stage = backed_up();
    gone_back(&stage);
    stage.open().unwrap().close();
    let earlier = files(&stage.path);
    let store = attempts(&stage, 3_200);
    store.take_down(at(NOW)).unwrap();
    // A backup that is younger than what was missing the first time.
    fs::remove_dir_all(stage.shelf.dir()).unwrap();
    store.close();
    put_back(&stage, &earlier);
    let store = SledStore::copied(&stage.path, CACHE_MB);
    assert!(store.is_err(), "it is accused");
    let other = in_memory().unwrap();
    stage.shelf.make(&other, &|| at(NOW - 1), &|| false).unwrap();
    let restored = stage.open().unwrap().restored().unwrap().unwrap();
    assert_eq!(restored.from, at(BACKUP));
}

#[test]
fn a_backup_that_is_newer_than_the_store_wins() {
    let stage = backed_up();
    let earlier = files(&stage.path);
    let store = attempts(&stage, 3_100);
    store.take_down(at(NOW - 60_000)).unwrap();
    let backup = stage.shelf.make(&store, &|| at(NOW - 60_000), &|| false).unwrap();
    store.close();
    put_back(&stage, &earlier);
    let store = stage.open().unwrap();
    assert_eq!(store.meta().unwrap().next_claim, 3_100);
    assert_eq!(store.restored().unwrap().unwrap().backup, backup.name);
    assert!(stage.aside().exists());
}

#[test]
fn a_store_gone_back_in_which_something_is_wrong_is_not_kept() {
    let stage = backed_up();
    let store = attempts(&stage, 3_000);
    store.disk.write(&Writes::from([(keys::record(&task(901)), Some(vec![0, 99]))])).unwrap();
    store.close();
    let earlier = files(&stage.path);
    let store = attempts(&stage, 3_100);
    store.take_down(at(NOW)).unwrap();
    store.close();
    put_back(&stage, &earlier);
    stage.is_restored(&stage.open().unwrap());
    assert!(stage.aside().exists());
}

#[test]
fn without_auto_or_without_a_backup_a_store_gone_back_is_left_to_a_person() {
    let stage = backed_up();
    gone_back(&stage);
    let recovery = Recovery { auto: false, ..stage.recovery() };
    let told = SledStore::open_or_restore(&stage.path, CACHE_MB, &recovery).err().unwrap();
    assert!(told.to_string().contains("gone back") && told.to_string().contains("restore.auto"), "{told}");
    fs::remove_dir_all(stage.shelf.dir()).unwrap();
    let told = stage.open().err().unwrap();
    assert!(told.to_string().contains("gone back") && told.to_string().contains("no good backup"), "{told}");
    let marker = stage.place().marker;
    assert!(told.to_string().contains(&format!("remove {}", marker.display())), "{told}");
    fs::remove_file(marker).unwrap();
    assert_eq!(stage.open().unwrap().meta().unwrap().next_claim, 3_000, "it does what it says");
}

#[test]
fn where_backups_are_and_no_store_nor_marker_no_empty_one_is_begun() {
    let stage = backed_up();
    let place = stage.place();
    fs::remove_dir_all(&stage.path).unwrap();
    fs::remove_file(&place.marker).unwrap();
    let before = stage.files();
    for empty_dir in [false, true] {
        if empty_dir {
            fs::create_dir(&stage.path).unwrap();
        }
        let told = stage.open().err().unwrap();
        assert!(matches!(told, OpenError::Unreachable { .. }), "{told}");
        let newest = stage.shelf.list().unwrap()[0].path.display().to_string();
        for word in [newest.as_str(), "mounted", "store import", "move the backups away"] {
            assert!(told.to_string().contains(word), "{word}: {told}");
        }
    }
    assert_eq!(stage.files(), before);
    assert!(!SledStore::stands_at(&stage.path).unwrap(), "an empty directory is no store");
    fs::rename(stage.shelf.dir(), stage.room.path().join("away")).unwrap();
    let store = stage.open().unwrap();
    assert_eq!((store.tasks(None, 1).unwrap().len(), store.restored().unwrap()), (0, None));
    store.close();
    assert!(SledStore::stands_at(&stage.path).unwrap());
    fs::remove_dir_all(&stage.path).unwrap();
    assert!(SledStore::stands_at(&stage.path).unwrap(), "its marker says that it was there");
}

#[test]
fn a_backup_made_while_the_clock_was_ahead_is_restored_last_and_ends_no_later_than_now() {
    const FUTURE: i64 = 4_070_908_800_000;
    let stage = backed_up();
    let store = SledStore::open(&stage.path, CACHE_MB).unwrap();
    let ahead = stage.shelf.make(&store, &|| at(FUTURE), &|| false).unwrap();
    store.close();
    let spare = stage.shelf.list_at(at(NOW)).unwrap()[0].clone();
    stage.break_db();
    let store = stage.open().unwrap();
    assert_eq!(store.restored().unwrap().unwrap().backup, spare.name);
    store.close();

    fs::remove_file(spare.path).unwrap();
    fs::remove_dir_all(stage.aside()).unwrap();
    stage.break_db();
    let restored = stage.open().unwrap().restored().unwrap().unwrap();
    assert_eq!((restored.at, restored.from, &restored.backup), (at(NOW), at(NOW), &ahead.name));
    assert_eq!(restored.in_doubt_to, at(FUTURE), "what was due by then may have gone out");
    assert_eq!(restored.erased_from(), Timestamp::MIN, "nobody knows since when");
}

#[test]
fn what_a_marker_has_seen_of_a_clock_that_was_ahead_is_in_doubt_whatever_takes_the_place_of_the_store() {
    const AHEAD: i64 = NOW + 60_000;
    for is_fuller in [false, true] {
        let stage = backed_up();
        attempts(&stage, 3_000).close();
        let earlier = files(&stage.path);
        let store = attempts(&stage, 3_100);
        store.take_down(at(AHEAD)).unwrap();
        store.close();
        put_back(&stage, &earlier);
        if !is_fuller {
            stage.break_db();
        }
        let restored = stage.open().unwrap().restored().unwrap().unwrap();
        assert_eq!((restored.backup == ITSELF, stage.aside().exists()), (is_fuller, !is_fuller));
        assert_eq!((restored.at, restored.from, restored.in_doubt_to), (at(NOW), at(BACKUP), at(AHEAD)));
    }
}

#[test]
fn an_empty_directory_beside_a_marker_is_a_file_system_that_is_not_mounted_and_no_damage() {
    for bare in [false, true] {
        let stage = backed_up();
        fs::remove_dir_all(&stage.path).unwrap();
        fs::create_dir(&stage.path).unwrap();
        if bare {
            fs::create_dir(stage.path.join("lost+found")).unwrap();
        }
        let before = stage.files();
        for told in [stage.open().err().unwrap(), SledStore::open(&stage.path, CACHE_MB).err().unwrap()] {
            assert!(matches!(told, OpenError::Unreachable { .. }), "{told}");
            assert!(
                told.to_string().contains("mount") && told.to_string().contains("store import"),
                "{told}"
            );
        }
        assert_eq!(stage.files(), before);
        assert!(!stage.aside().exists());
    }
}

/// Whatever bears the name of a backup.
#[cfg(unix)]
#[test]
fn what_bears_the_name_of_a_backup_and_is_no_file_is_passed_over() {
    let stage = backed_up();
    let name = |number: u32| stage.shelf.dir().join(format!("backup-20260921T15000{number}.000Z.rmb"));
    fs::create_dir(name(1)).unwrap();
    std::os::unix::fs::symlink("/nowhere", name(2)).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, name(3), mode).unwrap();
    assert_eq!(stage.shelf.list().unwrap().len(), 1);
    stage.break_db();
    stage.is_restored(&stage.open().unwrap());
}

/// The store of a stage with all reminders paused since.
pub(super) fn pause(store: &SledStore, since: i64) {
    let mut meta = store.meta().unwrap();
    meta.pause(at(since), Some("a migration".into()));
    let mut batch = Batch::default();
    batch.push(Op::PutMeta(Box::new(meta)));
    store.commit(&batch).unwrap();
}

#[test]
fn a_pause_of_a_backup_that_is_restored_is_dropped() {
    let stage = backed_up();
    let store = stage.open().unwrap();
    pause(&store, BACKUP - 1);
    stage.shelf.make(&store, &|| at(BACKUP + 1), &|| false).unwrap();
    store.close();
    stage.break_db();
    let store = stage.open().unwrap();
    assert_eq!((store.restored().unwrap().is_some(), store.meta().unwrap().paused), (true, None));
}
