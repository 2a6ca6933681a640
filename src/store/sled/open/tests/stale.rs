//! A note of a swap that lies where something else does by now, or that can't be read.

use super::*;

/// A stage whose restore was cut off at `stage`, with its damaged store in place.
fn cut_off(at_stage: Stage) -> Stage1 {
    let stage = backed_up();
    stage.break_db();
    let place = stage.place();
    let aside = stage.aside().file_name().unwrap().to_str().unwrap().to_owned();
    let print = Some(place.print().unwrap());
    let note = Note { stage: at_stage, aside, reason: "it was broken".into(), store: None, print };
    if at_stage == Stage::Ready {
        ready(&stage, &place, &note);
    } else {
        place.write_note(&note).unwrap();
    }
    stage
}

#[test]
fn a_store_that_was_put_back_by_hand_is_never_renamed_away_for_a_note_that_was_left() {
    for at_stage in [Stage::Damaged, Stage::Ready] {
        let stage = cut_off(at_stage);
        let (good, place) = (backed_up(), stage.place());
        let extra = SledStore::open(&good.path, CACHE_MB).unwrap();
        fill(&extra, TASKS + 7);
        extra.close();
        fs::remove_dir_all(&stage.path).unwrap();
        fs::rename(&good.path, &stage.path).unwrap();
        let before = stage.files();
        for told in [stage.open().err().unwrap(), SledStore::open(&stage.path, CACHE_MB).err().unwrap()] {
            assert!(matches!(told, OpenError::Unreachable { .. }), "{told}");
            assert!(
                told.to_string().contains("store.swap") && told.to_string().contains("store verify"),
                "{told}"
            );
        }
        assert_eq!(stage.files(), before);
        let copy = SledStore::copied(&stage.path, CACHE_MB).unwrap();
        assert_eq!(copy.store.tasks(None, 99).unwrap().len(), TASKS + 7, "a person may look at it");
        fs::remove_file(&place.swap).unwrap();
        let store = stage.open().unwrap();
        assert_eq!(store.tasks(None, 99).unwrap().len(), TASKS + 7);
        assert!(!stage.aside().exists() && !place.coming.exists());
    }
}

#[test]
fn where_the_damaged_store_lies_as_it_did_or_was_moved_away_the_note_holds() {
    for at_stage in [Stage::Damaged, Stage::Ready] {
        for moved in [false, true] {
            let stage = cut_off(at_stage);
            assert!(
                SledStore::copied(&stage.path, CACHE_MB).is_err(),
                "nobody believes what was refused once"
            );
            if moved {
                fs::rename(&stage.path, stage.room.path().join("elsewhere")).unwrap();
            }
            stage.is_restored(&stage.open().unwrap());
            assert_eq!(stage.aside().exists(), !moved);
        }
    }
}

#[test]
fn beside_a_note_that_cannot_be_read_a_store_can_still_be_looked_at() {
    let stage = backed_up();
    let store = SledStore::open(&stage.path, CACHE_MB).unwrap();
    // The marker of what stood there before says more than what was restored holds.
    let meta = store.meta().unwrap();
    let mut more = Batch::default();
    more.push(Op::PutMeta(Box::new(Meta { next_claim: 7, ..meta.clone() })));
    store.commit(&more).unwrap();
    store.take_down(at(NOW)).unwrap();
    let mut less = Batch::default();
    less.push(Op::PutMeta(Box::new(meta)));
    store.commit(&less).unwrap();
    store.close();
    fs::write(stage.place().swap, "spoilt").unwrap();
    let before = stage.files();
    assert!(matches!(stage.open(), Err(OpenError::Unreachable { .. })));
    let copy = SledStore::copied(&stage.path, CACHE_MB).unwrap();
    assert_eq!(copy.store.verify().unwrap().wrong, [""; 0]);
    assert_eq!(stage.files(), before);
    // An empty one is not taken for whole.
    for name in ["db", "conf"] {
        fs::write(stage.path.join(name), "").unwrap();
    }
    assert!(SledStore::copied(&stage.path, CACHE_MB).is_err());
}

#[test]
fn a_swap_of_which_what_was_to_come_was_removed_has_not_happened() {
    for (reason, damaged) in [("it was broken", true), (swap::IMPORTED, false), (swap::COMPACTED, false)] {
        let stage = cut_off(Stage::Ready);
        let place = stage.place();
        let note = place.note().unwrap().unwrap();
        place.write_note(&Note { reason: reason.into(), ..note }).unwrap();
        fs::remove_dir_all(&place.coming).unwrap();
        let (marker, db) = (fs::read(&place.marker).unwrap(), fs::read(stage.path.join("db")).unwrap());
        let ended = place.end_swap().unwrap();
        assert_eq!(ended.as_deref(), damaged.then_some(reason));
        assert_eq!(fs::read(&place.marker).unwrap(), marker, "it is of what lies there");
        assert_eq!(fs::read(stage.path.join("db")).unwrap(), db);
        stage.is_restored(&stage.open().unwrap());
        assert!(stage.aside().exists());
    }
}
