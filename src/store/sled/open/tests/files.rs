//! Exports, imports and compactions.

use super::*;

#[test]
fn an_export_makes_the_same_store_elsewhere_and_never_over_another() {
    let stage = backed_up();
    let file = stage.room.path().join("export.rmb");
    let copy = SledStore::copied(&stage.path, CACHE_MB).unwrap();
    copy.store.export(&file, at(NOW)).unwrap();
    let was = copy.store.fingerprint().unwrap();
    assert!(copy.store.export(&file, at(NOW)).is_err(), "a file that is there is not overwritten");
    let origin = || Origin { now: at(NOW), holds: true, aside: None, reason: None };
    for dir in ["new", "empty", "gone"] {
        let dir = stage.room.path().join(dir);
        match dir.file_name().unwrap().to_str().unwrap() {
            "empty" => fs::create_dir(&dir).unwrap(),
            // A store that is gone while its marker is there.
            "gone" => {
                SledStore::open(&dir, CACHE_MB).unwrap().close();
                fs::remove_dir_all(&dir).unwrap();
            }
            _ => {}
        }
        SledStore::import(&dir, CACHE_MB, &file, origin(), &stage.shelf).unwrap();
        let store = SledStore::open(&dir, CACHE_MB).unwrap();
        assert_eq!(store.verify().unwrap().count, 0);
        assert_eq!(store.restored().unwrap().unwrap().overdue, AfterRestore::Held);
        store.disk.write(&Writes::from([(keys::single(keys::RESTORED), None)])).unwrap();
        assert_eq!(store.fingerprint().unwrap(), was);
        let held = SledStore::import(&dir, CACHE_MB, &file, origin(), &stage.shelf);
        assert!(matches!(held, Err(RestoreError::Open(OpenError::Held { .. }))));
        store.close();
        let error = SledStore::import(&dir, CACHE_MB, &file, origin(), &stage.shelf).unwrap_err();
        assert!(error.to_string().contains("something is in it"), "{error}");
        assert_eq!(SledStore::open(&dir, CACHE_MB).unwrap().fingerprint().unwrap(), was);
    }
}

#[test]
fn an_import_of_a_file_that_is_no_good_leaves_no_store() {
    let stage = backed_up();
    let mut bytes = fs::read(&stage.shelf.list().unwrap()[0].path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let file = stage.room.path().join("bad.rmb");
    fs::write(&file, bytes).unwrap();
    let dir = stage.room.path().join("new");
    let origin = Origin { now: at(NOW), holds: false, aside: None, reason: None };
    assert!(matches!(
        SledStore::import(&dir, CACHE_MB, &file, origin, &stage.shelf),
        Err(RestoreError::File { .. })
    ));
    assert!(
        !dir.exists()
            && !Place::new(&dir).unwrap().coming.exists()
            && !Place::new(&dir).unwrap().marker.exists()
    );
}

#[test]
fn a_store_that_takes_no_less_room_anew_is_left_as_it_is() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("store");
    SledStore::open(&path, CACHE_MB).unwrap().close();
    let file = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(path.join("db")).unwrap());
    let was = file();
    let done = SledStore::compact(&path, CACHE_MB, at(NOW)).unwrap();
    assert_eq!((done.after, file()), (done.before, was));
    assert!(!Place::new(&path).unwrap().coming.exists());
}

#[test]
fn a_compacted_store_holds_the_same_in_less_room() {
    let stage = backed_up();
    let store = SledStore::open(&stage.path, CACHE_MB).unwrap();
    for number in 1..=120u8 {
        let event =
            Quarantined { at: at(1), topic: "t".into(), code: "c".into(), reason: "r".into(), length: 1 };
        let mut batch = Batch::default();
        batch.push(Op::PutQuarantined(0, event, vec![number; 100_000]));
        store.commit(&batch).unwrap();
    }
    fill(&store, TASKS);
    let was = store.fingerprint().unwrap();
    store.close();
    let stranger = "store.before-compact-1";
    fs::create_dir(stage.room.path().join(stranger)).unwrap();
    let done = SledStore::compact(&stage.path, CACHE_MB, at(NOW)).unwrap();
    assert_eq!(done.entries, was.0);
    assert!(done.after < done.before, "{done:?}");
    let store = SledStore::open(&stage.path, CACHE_MB).unwrap();
    assert_eq!(store.fingerprint().unwrap(), was);
    stage.is_restored(&store);
    let held = SledStore::compact(&stage.path, CACHE_MB, at(NOW));
    assert!(matches!(held, Err(RestoreError::Open(OpenError::Held { .. }))));
    let names: Vec<String> = fs::read_dir(stage.room.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("compact"))
        .collect();
    assert_eq!(names, [stranger], "nothing is left beside it, and what another run left stays");
}

#[test]
fn a_compaction_cut_off_at_its_swap_is_ended_by_the_next_start_without_a_backup() {
    for renames in 0..3 {
        let stage = backed_up();
        fs::remove_dir_all(stage.shelf.dir()).unwrap();
        let file = stage.room.path().join("file");
        let store = stage.open().unwrap();
        store.export(&file, at(NOW)).unwrap();
        let was = store.fingerprint().unwrap();
        store.close();
        let place = stage.place();
        let lock = place.hold().unwrap();
        place.fill(&lock, &file, CACHE_MB, None).unwrap();
        drop(lock);
        let aside = "store.before-compact-1";
        place
            .write_note(&Note {
                stage: Stage::Ready,
                aside: aside.into(),
                reason: "r".into(),
                store: None,
                print: None,
            })
            .unwrap();
        if renames > 0 {
            fs::rename(&place.dir, stage.room.path().join(aside)).unwrap();
        }
        if renames > 1 {
            fs::rename(&place.coming, &place.dir).unwrap();
        }
        let store = stage.open().unwrap();
        assert_eq!(store.fingerprint().unwrap(), was, "{renames}");
        assert_eq!(store.restored().unwrap(), None);
    }
}

#[test]
fn what_was_being_made_and_has_no_note_is_cleared_by_the_next_opening() {
    let openings: [fn(&Stage1); 3] = [
        |stage| stage.open().unwrap().close(),
        |stage| SledStore::open(&stage.path, CACHE_MB).unwrap().close(),
        |stage| assert!(SledStore::compact(&stage.path, CACHE_MB, at(NOW)).is_ok()),
    ];
    for open in openings {
        let stage = backed_up();
        let place = stage.place();
        fs::create_dir(&place.coming).unwrap();
        fs::write(place.coming.join("db"), b"half").unwrap();
        fs::write(place.beside(".compacting"), b"half").unwrap();
        open(&stage);
        assert!(!place.coming.exists() && !place.beside(".compacting").exists());
        stage.is_restored(&stage.open().unwrap());
    }
}

#[test]
fn a_compaction_that_cannot_be_made_leaves_the_store_as_it_was_and_nothing_beside_it() {
    let stage = backed_up();
    let place = stage.place();
    let store = SledStore::open(&stage.path, CACHE_MB).unwrap();
    let (tasks, was) = (store.tasks(None, usize::MAX).unwrap(), store.fingerprint().unwrap());
    store.close();
    let lock = place.hold().unwrap();
    let file = place.beside(".compacting");
    fs::copy(&stage.shelf.list().unwrap()[0].path, &file).unwrap();
    // Not what was there.
    assert!(place.make_compact(&lock, &file, CACHE_MB, &(was.0 + 1, was.1)).is_err());
    assert!(!place.coming.exists());
    fs::remove_file(&file).unwrap();
    drop(lock);
    // It can't be written.
    fs::create_dir_all(file.join("stranger")).unwrap();
    let told = SledStore::compact(&stage.path, CACHE_MB, at(NOW)).unwrap_err();
    assert!(matches!(told, RestoreError::Open(OpenError::Unreachable { .. })), "{told}");
    assert!(!place.coming.exists() && !place.swap.exists());
    assert_eq!(stage.open().unwrap().tasks(None, usize::MAX).unwrap(), tasks);
}

#[test]
fn no_store_is_made_inside_another_one() {
    let stage = backed_up();
    let (from, before) = (stage.shelf.list().unwrap()[0].path.clone(), stage.files());
    for inner in ["inner", "deep/er"] {
        let dir = stage.path.join(inner);
        let origin = Origin { now: at(NOW), holds: false, aside: None, reason: None };
        let told = SledStore::import(&dir, CACHE_MB, &from, origin, &stage.shelf).unwrap_err().to_string();
        assert!(told.contains("inside the store") && told.contains("store.path"), "{told}");
        assert!(SledStore::open(&dir, CACHE_MB).is_err());
    }
    assert_eq!(stage.files(), before);
    assert_eq!(
        fs::read_dir(&stage.path)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path().ends_with("deep"))
            .count(),
        0
    );
}
