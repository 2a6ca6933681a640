//! A store of which pages are damaged, on the real engine: found by a reader, made anew by the next start.

use super::*;
use crate::domain::ReminderId;
use crate::store::audit::audit;
use crate::store::sled::open::witness::{HAS_GONE_BACK, Marker, Witness};
use crate::store::sled::tests::disks::places_of;
use crate::store::{HOLDS_LESS, StoreError};

const MANY: usize = 6_000;

/// Flips a byte wherever one of `needles` stands in the store's file: the first of which the engine does not find by itself
/// as it opens, which depends on where it has put it.
fn damage(stage: &Stage1, needles: impl Iterator<Item = Vec<u8>>) {
    let whole = files(&stage.path);
    for needle in needles {
        fs::remove_dir_all(&stage.path).unwrap();
        fs::create_dir(&stage.path).unwrap();
        for (path, bytes) in &whole {
            let mut bytes = bytes.clone();
            if path.ends_with("db") {
                for place in places_of(&needle, &bytes) {
                    bytes[place] ^= 0x55;
                }
            }
            fs::write(path, bytes).unwrap();
        }
        let opens = || SledStore::open(&stage.path, CACHE_MB).map(SledStore::close).is_ok();
        // It writes as it opens and closes, which may bring what it has read nearer to its end.
        if opens() && opens() {
            return;
        }
    }
    panic!("the engine finds each by itself");
}

/// The numbers of some tasks.
fn some() -> impl Iterator<Item = usize> {
    (1..12).map(|part| part * MANY / 12 + 1)
}

/// A page of the index of pending reminders is damaged.
fn damage_the_index(stage: &Stage1) {
    damage(
        stage,
        some().map(|number| ReminderId::of(&task(number), None, Rule::Offset(0)).as_bytes().to_vec()),
    );
}

/// A page of records is.
fn damage_records(stage: &Stage1, whole: &SledStore) {
    let record = |number: usize| whole.record(&task(number)).unwrap().unwrap();
    damage(stage, some().map(|number| crate::store::sled::records::encode(&record(number))));
}

/// A store of [`MANY`] tasks on many pages; backed up, unless it is to have none, before some were changed.
fn many(with_backup: bool) -> (Stage1, SledStore) {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("store");
    let shelf = Shelf::new(room.path().join("store.backups"), 5);
    let store = SledStore::open(&path, CACHE_MB).unwrap();
    fill(&store, MANY);
    if with_backup {
        shelf.make(&store, &|| at(BACKUP), &|| false).unwrap();
    }
    let mut batch = Batch::default();
    for number in [10, MANY / 2, MANY - 10] {
        let before = store.record(&task(number)).unwrap();
        let reminders = vec![Reminder::pending(None, Rule::Offset(0), at(NOW * 2))];
        batch.replace(
            &task(number),
            before.as_ref(),
            Some(Box::new(Record { reminders, ..Record::default() })),
        );
    }
    store.commit(&batch).unwrap();
    // More than a segment: in the newest one the engine finds damage by itself as it opens.
    for number in 1..400 {
        let mut batch = Batch::default();
        let event =
            Quarantined { at: at(1), topic: "t".into(), code: "c".into(), reason: "r".into(), length: 1 };
        batch.push(Op::PutQuarantined(number, event, vec![7; 32_000]));
        store.commit(&batch).unwrap();
    }
    let mut batch = Batch::default();
    let meta = store.meta().unwrap();
    batch.push(Op::PutMeta(Box::new(Meta {
        quarantine: Usage { entries: 400, bytes: 100_000 + 399 * 32_000 },
        next_quarantined: 400,
        ..meta
    })));
    store.commit(&batch).unwrap();
    store.take_down(at(NOW - 1)).unwrap();
    let whole = store.to_memory().unwrap();
    store.close();
    // Opened once more it keeps a snapshot, and reads a page only when it is asked for.
    SledStore::open(&path, CACHE_MB).unwrap().close();
    (Stage1 { room, path, shelf }, whole)
}

/// Comes upon what is damaged as a worker does: by reading everything, in any order.
fn comes_upon_it(stage: &Stage1) {
    let store = stage.open().unwrap();
    let _ = (store.pending(None, usize::MAX), store.tasks(None, usize::MAX));
    assert!(matches!(store.torn(), Some(StoreError::Torn(_))), "{:?}", store.restored());
    let mut batch = Batch::default();
    batch.push(Op::RemoveRecord(task(1)));
    assert!(matches!(store.commit(&batch), Err(StoreError::Torn(_))));
    // The minute's marker does not forget it.
    store.take_down(at(NOW)).unwrap();
    store.close();
}

#[test]
fn a_damaged_index_page_is_made_anew_and_nothing_is_missing() {
    let (stage, whole) = many(false);
    damage_the_index(&stage);
    comes_upon_it(&stage);
    let store = stage.open().unwrap();
    assert_eq!(store.pending(None, usize::MAX).unwrap(), whole.pending(None, usize::MAX).unwrap());
    assert_eq!(store.verify().unwrap().count, 0);
    assert_eq!(audit(&store).unwrap().mismatches, vec![]);
    assert_eq!(store.restored().unwrap(), None, "nothing is missing");
    assert!(stage.aside().exists());
    store.close();
    stage.open().unwrap();
    let asides = fs::read_dir(stage.room.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains(".damaged-"));
    assert_eq!(asides.count(), 1, "once");
}

#[test]
fn a_damaged_page_of_tasks_is_as_in_the_backup_and_all_others_are_as_they_were() {
    for with_backup in [true, false] {
        let (stage, whole) = many(with_backup);
        damage_records(&stage, &whole);
        comes_upon_it(&stage);
        let store = stage.open().unwrap();
        let restored = store.restored().unwrap().unwrap();
        assert_eq!(restored.from, if with_backup { at(BACKUP) } else { Timestamp::MIN });
        let (mut as_before, mut missing) = (0, 0);
        for number in 0..MANY {
            let of = |store: &SledStore| store.record(&task(number)).unwrap();
            match of(&store) {
                None => missing += 1,
                found if found == of(&whole) => {}
                Some(_) => as_before += 1,
            }
        }
        assert_eq!(missing > 0, !with_backup, "{missing}");
        assert!(missing < MANY / 4 && as_before <= 1, "{missing} {as_before}");
        assert_eq!(store.verify().unwrap().count, 0);
        assert_eq!(audit(&store).unwrap().mismatches, vec![]);
        // What was made anew is a store as any other.
        let mut batch = Batch::default();
        batch.push(Op::RemoveRecord(task(1)));
        store.commit(&batch).unwrap();
    }
}

#[test]
fn a_pause_of_a_store_that_is_made_anew_of_its_own_counters_holds_on() {
    let (stage, whole) = many(true);
    let store = stage.open().unwrap();
    back::pause(&store, BACKUP + 1);
    store.take_down(at(NOW - 1)).unwrap();
    store.close();
    SledStore::open(&stage.path, CACHE_MB).unwrap().close();
    damage_records(&stage, &whole);
    comes_upon_it(&stage);
    let store = stage.open().unwrap();
    assert!(store.restored().unwrap().is_some() && store.meta().unwrap().paused.is_some());
}

#[test]
fn one_from_which_reminders_are_gone_is_made_anew_with_the_records_that_the_backup_has() {
    let cases = [(true, true), (true, true), (true, false), (false, false)];
    for (number, (with_backup, is_record_gone)) in cases.into_iter().enumerate() {
        let (stage, whole) = many(with_backup);
        let store = stage.open().unwrap();
        // As where the engine takes a page for one that was never written.
        let mut gone = Writes::new();
        store
            .disk
            .range(&[keys::PENDING], &[keys::PENDING + 1], &mut |key, _| {
                gone.insert(key.to_vec(), None);
                Ok(gone.len() < 20)
            })
            .unwrap();
        if is_record_gone {
            gone.insert(keys::record(&task(20)), None);
        }
        store.disk.apply(&gone).unwrap();
        let found = audit(&store).unwrap().mismatches;
        assert!(
            found.iter().any(|mismatch| mismatch.what == "pending_index" && mismatch.lacks()),
            "{found:?}"
        );
        // Found by the recount, or beside what can't be read.
        let by_recount = !is_record_gone || number == 0;
        store.tear(if by_recount { format!("{HOLDS_LESS}: {}", found[0].what) } else { "a page".to_owned() });
        assert!(matches!(store.torn(), Some(StoreError::Torn(_))));
        store.close();
        let store = stage.open().unwrap();
        assert_eq!(store.tasks(None, usize::MAX).unwrap(), whole.tasks(None, usize::MAX).unwrap());
        assert_eq!(store.pending(None, usize::MAX).unwrap(), whole.pending(None, usize::MAX).unwrap());
        assert_eq!(audit(&store).unwrap().mismatches, vec![]);
        let restored = store.restored().unwrap().unwrap();
        let is_told = restored.reason.is_some_and(|why| why.starts_with(HOLDS_LESS));
        assert_eq!(is_told, by_recount, "it is told, and done once");
    }
}

#[test]
fn without_auto_it_is_left_to_a_person() {
    let (stage, whole) = many(true);
    damage_records(&stage, &whole);
    comes_upon_it(&stage);
    let recovery = Recovery { auto: false, ..stage.recovery() };
    let told = SledStore::open_or_restore(&stage.path, CACHE_MB, &recovery).err().unwrap();
    assert!(told.to_string().contains("restore.auto"), "{told}");
    assert!(!stage.aside().exists());
}

#[test]
fn one_that_has_gone_back_as_well_is_held_against_the_backup_and_the_later_of_the_two_goes_on() {
    for (is_fuller, with_backup) in [(false, true), (true, true), (false, false)] {
        let (stage, whole) = many(with_backup);
        damage_records(&stage, &whole);
        comes_upon_it(&stage);
        let place = stage.place();
        let marker = place.marker().unwrap().unwrap();
        let ahead = Meta { next_claim: 7, ..whole.meta().unwrap() };
        place.write_marker(&Marker { witness: Some(Witness::of(&ahead, at(BACKUP + 5))), ..marker }).unwrap();
        if is_fuller {
            let mut batch = Batch::default();
            batch.push(Op::PutMeta(Box::new(ahead)));
            whole.commit(&batch).unwrap();
            stage.shelf.make(&whole, &|| at(NOW - 1), &|| false).unwrap();
        }
        if !with_backup {
            let told = stage.open().err().unwrap().to_string();
            assert!(told.contains("no good backup") && !told.contains("remove"), "{told}");
            assert!(!stage.aside().exists(), "it is left to a person");
            continue;
        }
        let store = stage.open().unwrap();
        let restored = store.restored().unwrap().unwrap();
        assert!(restored.reason.as_ref().is_some_and(|why| why.contains(HAS_GONE_BACK)), "{restored:?}");
        let meta = store.meta().unwrap();
        // The pieces, or the backup as it is.
        let (from, claims, quarantined) = if is_fuller { (NOW - 1, 7, 400) } else { (BACKUP, 0, 400) };
        assert_eq!(
            (restored.from, meta.next_claim, meta.quarantine.entries),
            (at(from), claims, quarantined),
            "{restored:?}"
        );
    }
}

#[test]
fn damage_that_is_found_while_the_marker_is_written_is_not_forgotten() {
    let (stage, whole) = many(true);
    damage_records(&stage, &whole);
    let store = stage.open().unwrap();
    let _ = store.tasks(None, usize::MAX);
    // Found, and not asked for yet.
    assert!(store.disk.torn().is_some());
    let place = stage.place();
    store.write_down(&place, Witness::of(&whole.meta().unwrap(), at(NOW))).unwrap();
    assert!(place.marker().unwrap().unwrap().torn.is_some());
}
