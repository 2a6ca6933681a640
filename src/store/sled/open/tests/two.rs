//! Two stores whose backups lie in one directory, and which store is which.

use super::*;
use crate::store::sled::Erasing;

/// A store of so many tasks that a worker has opened, and which has the number `fresh` since.
fn begun(stage: &Stage1, name: &str, fresh: Identity, tasks: usize) -> (PathBuf, SledStore) {
    let path = stage.room.path().join(name);
    // A directory of backups in which others lie keeps a first start from beginning anew.
    let elsewhere = Shelf::new(stage.room.path().join("elsewhere"), 5);
    let recovery = Recovery { shelf: elsewhere, fresh, ..stage.recovery() };
    let store = SledStore::open_or_restore(&path, CACHE_MB, &recovery).unwrap();
    assert_eq!(store.identity(), Some(fresh));
    fill(&store, tasks);
    (path, store)
}

fn id(byte: u8) -> Identity {
    Identity::from_bytes([byte; 16])
}

fn break_db(path: &Path) {
    let db = path.join("db");
    let length = fs::metadata(&db).unwrap().len();
    fs::write(db, vec![0; usize::try_from(length).unwrap()]).unwrap();
}

#[test]
fn a_store_is_given_its_number_once_and_keeps_it_through_a_restore_and_a_compaction() {
    let stage = backed_up();
    let marked = || stage.place().marker().unwrap().unwrap().identity;
    assert_eq!(marked(), None, "a store from before");
    let open =
        |fresh| SledStore::open_or_restore(&stage.path, CACHE_MB, &Recovery { fresh, ..stage.recovery() });
    for (fresh, break_it) in [(1, false), (2, false), (3, true), (4, false)] {
        if break_it {
            // Of a backup from before it was given.
            stage.break_db();
        }
        let store = open(id(fresh)).unwrap();
        assert_eq!((store.identity(), marked()), (Some(id(1)), Some(id(1))), "{fresh}");
        store.take_down(at(NOW)).unwrap();
        assert!(marked().is_some() && stage.place().marker().unwrap().unwrap().witness.is_some());
        stage.is_restored(&store);
        store.close();
    }
    SledStore::compact(&stage.path, CACHE_MB, at(NOW)).unwrap();
    assert_eq!(marked(), Some(id(1)));
    assert_eq!(open(id(5)).unwrap().identity(), Some(id(1)));
}

#[test]
fn a_number_that_the_marker_has_not_yet_is_taken_from_the_store() {
    let stage = backed_up();
    stage.open().unwrap().close();
    stage.place().mark(None).unwrap();
    SledStore::open(&stage.path, CACHE_MB).unwrap().close();
    assert_eq!(stage.place().marker().unwrap().unwrap().identity, Some(FRESH));
}

#[test]
fn of_two_stores_on_one_directory_of_backups_each_is_restored_from_its_own() {
    let stage = backed_up();
    let (first, a) = begun(&stage, "a", id(1), 3);
    let (second, b) = begun(&stage, "b", id(2), 5);
    let made = stage.shelf.make(&a, &|| at(BACKUP + 1), &|| false).unwrap();
    assert_eq!(check_file(&made.path).unwrap().head.store, Some(id(1)));
    stage.shelf.make(&b, &|| at(BACKUP + 2), &|| false).unwrap();
    a.close();
    b.close();
    for (path, tasks) in [(&first, 3), (&second, 5)] {
        break_db(path);
        let store = SledStore::open_or_restore(path, CACHE_MB, &stage.recovery()).unwrap();
        assert_eq!(store.tasks(None, 99).unwrap().len(), tasks);
        store.close();
    }
    // The name lies: what counts is what the file says of itself.
    fs::remove_file(&made.path).unwrap();
    let theirs = &stage.shelf.clone().of(Some(id(2))).list_at(at(NOW)).unwrap()[0];
    fs::rename(&theirs.path, made.path).unwrap();
    for backup in stage.shelf.list().unwrap().iter().filter(|kept| kept.store.is_none()) {
        fs::remove_file(&backup.path).unwrap();
    }
    break_db(&first);
    let told = SledStore::open_or_restore(&first, CACHE_MB, &stage.recovery()).err().unwrap();
    assert!(told.to_string().contains("no good backup of it"), "{told}");
}

#[test]
fn only_a_backup_of_another_store_is_told_as_that_and_taken_by_hand_alone() {
    let stage = backed_up();
    fs::remove_dir_all(stage.shelf.dir()).unwrap();
    let (path, store) = begun(&stage, "a", id(1), 3);
    store.close();
    let (_, other) = begun(&stage, "b", id(2), 5);
    let made = stage.shelf.make(&other, &|| at(BACKUP), &|| false).unwrap();
    other.close();
    break_db(&path);
    let told = SledStore::open_or_restore(&path, CACHE_MB, &stage.recovery()).err().unwrap();
    assert!(matches!(told, OpenError::Damaged { .. }), "{told}");
    assert!(told.to_string().contains("1 of another store"), "{told}");
    fs::remove_dir_all(&path).unwrap();
    let origin = Origin { now: at(NOW), holds: false, aside: None, reason: None };
    SledStore::import(&path, CACHE_MB, &made.path, origin, &stage.shelf).unwrap();
    let store = SledStore::open_or_restore(&path, CACHE_MB, &stage.recovery()).unwrap();
    assert_eq!(
        (store.identity(), store.tasks(None, 99).unwrap().len()),
        (Some(id(2)), 5),
        "it goes on as that"
    );
}

#[test]
fn a_store_removes_no_backup_that_another_makes_or_has_made() {
    let stage = backed_up();
    let (_, a) = begun(&stage, "a", id(1), 1);
    let (_, b) = begun(&stage, "b", id(2), 1);
    let shelf = Shelf::new(stage.room.path().join("shared"), 2);
    let both = |ms| [&a, &b].map(|store| shelf.make(store, &|| at(ms), &|| false).unwrap());
    let first = both(1);
    assert_ne!(first[0].path, first[1].path, "of one instant");
    let partial = shelf.dir().join("backup-20261124T090000.123Z-02020202.rmb.partial");
    fs::write(&partial, "x").unwrap();
    for ms in 2..6 {
        shelf.make(&a, &|| at(ms), &|| false).unwrap();
    }
    let kept = |store: &SledStore| shelf.clone().of(store.identity()).list_at(at(9)).unwrap();
    assert_eq!((kept(&a).len(), kept(&b), partial.exists()), (2, vec![first[1].clone()], true));
    assert_eq!(shelf.clone().of(a.identity()).others().unwrap(), 1);
}

#[test]
fn who_was_erased_from_one_store_stays_in_the_other() {
    let stage = backed_up();
    stage.shelf.note_erasing("before", at(10), Erasing::Ended).unwrap();
    let [a, b] = [1, 2].map(|byte| stage.shelf.clone().of(Some(id(byte))));
    a.note_erasing("ann", at(20), Erasing::Ended).unwrap();
    let users = |shelf: &Shelf| -> Vec<String> {
        shelf.to_erase(Some(at(0))).unwrap().into_iter().map(|erased| erased.user).collect()
    };
    assert_eq!((users(&a), users(&b)), (vec!["ann".into(), "before".into()], vec!["before".into()]));
}

#[test]
fn another_store_in_the_place_of_the_one_that_its_marker_tells_of_is_refused_and_left() {
    let stage = backed_up();
    stage.open().unwrap().close();
    let (other, store) = begun(&stage, "b", id(2), 5);
    store.close();
    fs::remove_dir_all(&stage.path).unwrap();
    fs::rename(other, &stage.path).unwrap();
    let told = stage.open().err().unwrap();
    assert!(matches!(told, OpenError::Unreachable { .. }), "{told}");
    for word in [FRESH.to_string(), id(2).to_string(), "store.marker".into()] {
        assert!(told.to_string().contains(&word), "{word}: {told}");
    }
    fs::remove_file(stage.place().marker).unwrap();
    assert_eq!(stage.open().unwrap().identity(), Some(id(2)));
}
