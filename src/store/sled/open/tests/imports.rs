//! Whom an import erases, which store it goes on as, and what a second restore keeps of the first.

use super::*;
use crate::store::sled::{Beside, Erasing};

fn id(byte: u8) -> Identity {
    Identity::from_bytes([byte; 16])
}

fn import(stage: &Stage1, file: &Path, aside: bool) -> Result<Beside, RestoreError> {
    let aside = aside.then(|| Origin::name_aside(&stage.path, at(NOW)));
    let origin = Origin { now: at(NOW), holds: false, aside, reason: None };
    SledStore::import(&stage.path, CACHE_MB, file, origin, &stage.shelf).map(|(_, beside)| beside)
}

/// The newest backup, copied elsewhere with what tells of an erasing that was cut off.
fn copied(stage: &Stage1) -> PathBuf {
    let newest = stage.shelf.list().unwrap()[0].clone();
    let elsewhere = Shelf::new(stage.room.path().join("copied"), 5);
    let store = check_file(&newest.path).unwrap().head.store;
    elsewhere.clone().of(store).note_erasing("ann", at(BACKUP), Erasing::Begins).unwrap();
    let file = elsewhere.dir().join(newest.name);
    fs::copy(newest.path, &file).unwrap();
    file
}

#[test]
fn an_import_that_is_refused_notes_nobody_for_the_store_that_is_there() {
    let stage = backed_up();
    let store = stage.open().unwrap();
    stage.shelf.make(&store, &|| at(BACKUP + 1), &|| false).unwrap();
    let file = copied(&stage);
    let own = stage.shelf.clone().of(Some(FRESH));
    let noted = || own.to_erase(Some(Timestamp::MIN)).unwrap().len();
    assert!(matches!(import(&stage, &file, true), Err(RestoreError::Open(OpenError::Held { .. }))));
    assert_eq!(noted(), 0, "its worker runs");
    store.close();
    assert!(import(&stage, &file, false).is_err());
    assert_eq!(noted(), 0, "it is not to be set aside");
    let bad = file.with_file_name("bad.rmb");
    fs::write(&bad, &fs::read(&file).unwrap()[1..]).unwrap();
    assert!(matches!(import(&stage, &bad, true), Err(RestoreError::File { .. })));
    assert_eq!(noted(), 0, "the file is no good");
    assert_eq!(import(&stage, &file, true).unwrap(), Beside { users: 1, unread: 0 });
    assert_eq!(noted(), 1);
}

#[test]
fn of_a_backup_without_a_number_the_store_goes_on_as_its_marker_says_with_who_was_erased_of_that() {
    let stage = backed_up();
    // Of a release before there were numbers.
    let file = stage.shelf.list().unwrap()[0].path.clone();
    stage.open().unwrap().close();
    let own = stage.shelf.clone().of(Some(FRESH));
    own.note_erasing("ann", at(NOW), Erasing::Ended).unwrap();
    assert_eq!(import(&stage, &file, true).unwrap(), Beside { users: 1, unread: 0 });
    let recovery = Recovery { fresh: id(9), ..stage.recovery() };
    let store = SledStore::open_or_restore(&stage.path, CACHE_MB, &recovery).unwrap();
    assert_eq!(store.identity(), Some(FRESH));
}

#[test]
fn a_second_restore_or_import_before_a_person_has_confirmed_the_first_misses_what_that_does() {
    let stage = backed_up();
    stage.break_db();
    let held = Recovery { holds: true, ..stage.recovery() };
    let store = SledStore::open_or_restore(&stage.path, CACHE_MB, &held).unwrap();
    let later = stage.shelf.make(&store, &|| at(NOW + 1), &|| false).unwrap();
    store.close();
    stage.break_db();
    let again = Recovery { now: at(NOW + 10), ..stage.recovery() };
    let store = SledStore::open_or_restore(&stage.path, CACHE_MB, &again).unwrap();
    let is_first = |store: &SledStore, now| {
        let restored = store.restored().unwrap().unwrap();
        assert_eq!((restored.at, &restored.backup), (at(now), &later.name));
        assert_eq!((restored.from, restored.overdue), (at(BACKUP), AfterRestore::Held));
    };
    is_first(&store, NOW + 10);
    store.close();
    fs::remove_dir_all(stage.aside()).unwrap();
    import(&stage, &later.path, true).unwrap();
    is_first(&SledStore::open(&stage.path, CACHE_MB).unwrap(), NOW);
}

#[test]
fn a_backup_whose_entries_are_of_another_store_than_its_head_says_is_no_good() {
    let stage = backed_up();
    stage.open().unwrap().close();
    let good = stage.shelf.list().unwrap()[0].name.clone();
    let mut store = SledStore::open(&stage.path, CACHE_MB).unwrap();
    store.identity = Some(id(3));
    let lies = stage.shelf.make(&store, &|| at(BACKUP + 1), &|| false).unwrap();
    store.close();
    // Its head and its name say that it is of the store that its marker tells of.
    stage.place().mark(Some(id(3))).unwrap();
    stage.break_db();
    let store = stage.open().unwrap();
    assert_eq!(store.restored().unwrap().unwrap().backup, good);
    assert!(SledStore::of_file(&lies.path).is_err(), "verify says it, too");
}
