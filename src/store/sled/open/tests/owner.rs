//! Whose the files are that are made in the place of a store's.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use super::*;

/// Someone else, where root runs the tests.
const OTHER: u32 = 1234;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// All that lies in `root`, with itself.
fn paths(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    for entry in fs::read_dir(root).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(paths(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

/// Gives all of `stage` to someone else, if root may, with modes of their own.
fn given(stage: &Stage1) {
    for path in paths(stage.room.path()) {
        if is_root() {
            chown(&path, Some(OTHER), Some(OTHER)).unwrap();
        }
        let mode = if path.is_dir() { 0o750 } else { 0o640 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn is_theirs(stage: &Stage1) {
    let mine = rustix::process::geteuid().as_raw();
    let owner = if is_root() { OTHER } else { mine };
    for path in paths(stage.room.path()) {
        let found = fs::metadata(&path).unwrap();
        assert_eq!(found.uid(), owner, "{}", path.display());
        if path == stage.path || ["db", "conf"].iter().any(|name| path == stage.path.join(name)) {
            let mode = if path.is_dir() { 0o750 } else { 0o640 };
            assert_eq!(found.mode() & 0o777, mode, "{}", path.display());
        }
    }
    assert_eq!(fs::metadata(stage.place().marker).unwrap().mode() & 0o777, 0o640);
}

#[test]
fn what_a_compaction_or_a_restore_puts_in_the_place_of_a_store_is_its_owners_with_its_modes() {
    let stage = backed_up();
    given(&stage);
    SledStore::compact(&stage.path, CACHE_MB, at(NOW)).unwrap();
    is_theirs(&stage);
    stage.break_db();
    stage.open().unwrap().close();
    is_theirs(&stage);
}

#[test]
fn an_import_where_the_store_is_gone_is_its_markers_owners_and_else_of_who_owns_the_directory_above() {
    for marked in [true, false] {
        let stage = backed_up();
        given(&stage);
        fs::remove_dir_all(&stage.path).unwrap();
        if !marked {
            fs::remove_file(stage.place().marker).unwrap();
            fs::remove_file(stage.place().lock).unwrap();
        }
        let from = stage.shelf.list().unwrap()[0].path.clone();
        let origin = Origin { now: at(NOW), holds: false, aside: None, reason: None };
        SledStore::import(&stage.path, CACHE_MB, &from, origin, &stage.shelf).unwrap();
        let owner = fs::metadata(stage.room.path()).unwrap().uid();
        for path in paths(stage.room.path()) {
            assert_eq!(fs::metadata(&path).unwrap().uid(), owner, "{marked} {}", path.display());
        }
    }
}

#[test]
fn a_backup_and_who_was_erased_are_whose_the_directory_is() {
    let stage = backed_up();
    given(&stage);
    let store = SledStore::open(&stage.path, CACHE_MB).unwrap();
    stage.shelf.make(&store, &|| at(BACKUP + 1), &|| false).unwrap();
    stage.shelf.note_erasing("ann", at(1), crate::store::sled::Erasing::Begins).unwrap();
    store.take_down(at(NOW)).unwrap();
    let owner = fs::metadata(stage.room.path()).unwrap().uid();
    for path in paths(stage.room.path()) {
        assert_eq!(fs::metadata(&path).unwrap().uid(), owner, "{}", path.display());
    } // A new directory of backups is the store's owner's, whoever owns the one above.
    if is_root() {
        chown(stage.room.path(), Some(0), Some(0)).unwrap();
    }
    let new = Shelf::new(stage.room.path().join("new.backups"), 5);
    new.make(&store, &|| at(BACKUP + 2), &|| false).unwrap();
    for path in paths(new.dir()) {
        assert_eq!(fs::metadata(&path).unwrap().uid(), owner, "{}", path.display());
    }
}

#[test]
fn a_link_in_the_place_of_a_file_beside_the_store_is_not_followed() {
    let stage = backed_up();
    let victim = stage.room.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let short = FRESH.short();
    let of_store = stage.shelf.clone().of(Some(FRESH));
    let writes: [(PathBuf, &dyn Fn() -> bool); 3] = [
        (stage.place().lock, &|| SledStore::compact(&stage.path, CACHE_MB, at(NOW)).is_ok()),
        (stage.place().beside(".compacting"), &|| {
            // The opening removes the link, or the writing refuses it.
            SledStore::compact(&stage.path, CACHE_MB, at(NOW)).is_ok()
                && fs::read(&victim).unwrap() != b"precious"
        }),
        (stage.shelf.dir().join(format!("erased-{short}")), &|| {
            of_store.note_erasing("ann", at(1), crate::store::sled::Erasing::Begins).is_ok()
        }),
    ];
    for (path, write) in writes {
        let _ = fs::remove_file(&path);
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        assert!(!write(), "{}", path.display());
        assert_eq!(fs::read(&victim).unwrap(), b"precious", "{}", path.display());
        let _ = fs::remove_file(&path);
    }
    let export = stage.room.path().join("x.rmb");
    std::os::unix::fs::symlink(&victim, stage.room.path().join("x.rmb.partial")).unwrap();
    let store = SledStore::open(&stage.path, CACHE_MB).unwrap();
    assert!(store.export(&export, at(NOW)).is_err());
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}
