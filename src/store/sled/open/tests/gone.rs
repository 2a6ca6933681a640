//! A directory that is taken away from an open store, and what only looks like that.

use super::*;

#[test]
fn a_marker_that_is_removed_or_replaced_beside_an_open_store_is_written_anew() {
    let stage = backed_up();
    let store = stage.open().unwrap();
    store.take_down(at(NOW)).unwrap();
    let marker = stage.place().marker;
    let said = fs::read(&marker).unwrap();
    let spoil: [fn(&Path); 2] =
        [|marker| fs::remove_file(marker).unwrap(), |marker| fs::write(marker, "x").unwrap()];
    for spoil in spoil {
        spoil(&marker);
        store.take_down(at(NOW)).unwrap();
        assert_eq!(fs::read(&marker).unwrap(), said);
    }
    let before = fs::metadata(&marker).unwrap().modified().unwrap();
    store.take_down(at(NOW)).unwrap();
    assert_eq!(fs::metadata(&marker).unwrap().modified().unwrap(), before, "nothing has changed");
}

#[cfg(unix)]
#[test]
fn a_store_that_was_taken_away_is_told_and_nothing_is_written_in_its_place() {
    let stage = backed_up();
    let store = stage.open().unwrap();
    let moved = stage.path.with_file_name("moved");
    fs::rename(&stage.path, &moved).unwrap();
    let told = store.take_down(at(NOW)).unwrap_err().to_string();
    assert!(told.contains("is not there any more"), "{told}");
    let before = stage.files();
    fs::create_dir(&stage.path).unwrap();
    fs::write(stage.path.join("db"), "another").unwrap();
    store.close();
    fs::remove_dir_all(&stage.path).unwrap();
    assert_eq!(stage.files(), before);
}

#[cfg(unix)]
#[test]
fn a_store_in_whose_place_another_file_lies_takes_nothing_more_for_good() {
    let stage = backed_up();
    let store = stage.open().unwrap();
    fs::rename(stage.path.join("db"), stage.path.join("db.before")).unwrap();
    fs::write(stage.path.join("db"), "another").unwrap();
    let is_told = || {
        let told = store.take_down(at(NOW)).unwrap_err().to_string();
        assert!(told.contains("is another file now"), "{told}");
        assert!(matches!(store.commit(&Batch::default()), Err(StoreError::Gone { .. })));
    };
    is_told();
    // Put back too late: the process is ending.
    fs::rename(stage.path.join("db.before"), stage.path.join("db")).unwrap();
    is_told();
}

#[cfg(unix)]
#[test]
fn a_store_reached_by_a_link_or_put_back_before_anybody_looked_was_not_taken_away() {
    let stage = backed_up();
    let link = stage.path.with_file_name("link");
    std::os::unix::fs::symlink(&stage.path, &link).unwrap();
    let store = SledStore::open(&link, CACHE_MB).unwrap();
    store.take_down(at(NOW)).unwrap();
    let moved = stage.path.with_file_name("moved");
    fs::rename(&stage.path, &moved).unwrap();
    fs::rename(&moved, &stage.path).unwrap();
    store.take_down(at(NOW)).unwrap();
    fill(&store, TASKS);
}

#[cfg(unix)]
#[test]
fn an_older_copy_in_the_place_of_an_open_store_does_not_go_on_as_if_nothing_was_missing() {
    let stage = backed_up();
    let older = stage.path.with_file_name("older");
    let copy = |from: &Path, to: &Path| {
        fs::create_dir(to).unwrap();
        for file in ["conf", "db"] {
            fs::copy(from.join(file), to.join(file)).unwrap();
        }
    };
    copy(&stage.path, &older);
    let store = stage.open().unwrap();
    let mut meta = store.meta().unwrap();
    meta.next_claim += 1;
    let mut batch = Batch::default();
    batch.push(Op::PutMeta(Box::new(meta)));
    store.commit(&batch).unwrap();
    fs::rename(&stage.path, stage.path.with_file_name("moved")).unwrap();
    copy(&older, &stage.path);
    assert!(matches!(store.take_down(at(NOW - 2)), Err(StoreError::Gone { .. })));
    let last = stage.shelf.make(&store, &|| at(NOW - 1), &|| false).unwrap();
    store.close();
    assert_eq!(stage.open().unwrap().restored().unwrap().unwrap().backup, last.name);
}
