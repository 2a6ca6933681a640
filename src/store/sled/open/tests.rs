mod back;
mod files;
mod flips;
mod gone;
mod imports;
mod mend;
#[cfg(unix)]
mod owner;
mod stale;
mod two;
mod unfinished;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::swap::{Note, Stage};
use super::*;
use crate::domain::{Record, Reminder, Rule, State, Tally, TaskId, Timestamp};
use crate::store::sled::disk::{Disk as _, Writes};
use crate::store::sled::{Shelf, check_file, in_memory, keys};
use crate::store::{AfterRestore, Batch, Ledger, Meta, Op, Quarantined, Store, Usage};

const CACHE_MB: u64 = 16;
const TASKS: usize = 40;
/// When the backup was made, when the damage was found.
const BACKUP: i64 = 1_790_000_000_000;
const NOW: i64 = BACKUP + 3_600_000;
/// What a store without a number is given.
const FRESH: Identity = Identity::from_bytes([7; 16]);

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn task(number: usize) -> TaskId {
    TaskId::new(format!("task {number:03}")).unwrap()
}

/// Tasks with a reminder each, a body in parts, and counters that agree.
fn fill(store: &SledStore, tasks: usize) {
    let mut batch = Batch::default();
    for number in 0..tasks {
        let due = at(BACKUP + i64::try_from(number).unwrap());
        let record =
            Record { reminders: vec![Reminder::pending(None, Rule::Offset(0), due)], ..Record::default() };
        batch.replace(&task(number), None, Some(Box::new(record)));
    }
    let event = Quarantined { at: at(1), topic: "t".into(), code: "c".into(), reason: "r".into(), length: 1 };
    batch.push(Op::PutQuarantined(0, event, vec![7; 100_000]));
    let pending = i64::try_from(tasks).unwrap();
    batch.push(Op::PutMeta(Box::new(Meta {
        reminders: Tally::from_counts(
            State::ALL.map(|state| if state == State::Pending { pending } else { 0 }),
        ),
        ledger: Ledger { planned: tasks as u64, ..Ledger::default() },
        quarantine: Usage { entries: 1, bytes: 100_000 },
        next_quarantined: 1,
        ..Meta::default()
    })));
    store.commit(&batch).unwrap();
}

/// A store of [`TASKS`] tasks with a backup, which is closed.
struct Stage1 {
    room: tempfile::TempDir,
    path: PathBuf,
    shelf: Shelf,
}

fn backed_up() -> Stage1 {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("store");
    let shelf = Shelf::new(room.path().join("store.backups"), 5);
    let store = SledStore::open(&path, CACHE_MB).unwrap();
    fill(&store, TASKS);
    shelf.make(&store, &|| at(BACKUP), &|| false).unwrap();
    store.close();
    Stage1 { room, path, shelf }
}

impl Stage1 {
    fn recovery(&self) -> Recovery {
        Recovery {
            shelf: self.shelf.clone(),
            auto: true,
            holds: false,
            now: at(NOW),
            fresh: FRESH,
            patience: Duration::ZERO,
        }
    }

    fn open(&self) -> Result<SledStore, OpenError> {
        SledStore::open_or_restore(&self.path, CACHE_MB, &self.recovery())
    }

    fn place(&self) -> Place {
        Place::new(&self.path).unwrap()
    }

    fn aside(&self) -> PathBuf {
        self.room.path().join("store.damaged-20260921T151320.000Z")
    }

    /// Every file with its bytes, the lock aside.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        files(self.room.path())
    }

    fn break_db(&self) {
        let db = self.path.join("db");
        let length = fs::metadata(&db).unwrap().len();
        fs::write(db, vec![0; usize::try_from(length).unwrap()]).unwrap();
    }

    /// Asserts that the backup is in place, whole, and that nothing is left of its making.
    fn is_restored(&self, store: &SledStore) {
        assert_eq!(store.tasks(None, usize::MAX).unwrap().len(), TASKS);
        assert_eq!(store.quarantined_body(0).unwrap(), [7; 100_000]);
        assert_eq!(store.verify().unwrap().wrong, [""; 0]);
        let place = self.place();
        assert!(place.marker.exists() && !place.coming.exists() && !place.swap.exists());
    }
}

fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else if entry.path().extension().is_none_or(|suffix| suffix != "lock") {
            found.insert(entry.path(), fs::read(entry.path()).unwrap());
        }
    }
    found
}

#[test]
fn a_store_that_is_not_damaged_is_opened_as_it_is() {
    let stage = backed_up();
    let store = stage.open().unwrap();
    stage.is_restored(&store);
    assert_eq!(store.restored().unwrap(), None);
    assert!(!stage.aside().exists());
}

#[test]
fn whatever_the_damage_the_newest_backup_takes_its_place_and_what_was_there_is_kept() {
    let breakers: [fn(&Stage1); 5] = [
        Stage1::break_db,
        |stage| fs::remove_file(stage.path.join("db")).unwrap(),
        |stage| fs::remove_file(stage.path.join("conf")).unwrap(),
        |stage| fs::write(stage.path.join("conf"), [1; 60]).unwrap(),
        |stage| fs::remove_dir_all(&stage.path).unwrap(),
    ];
    for (number, break_it) in breakers.into_iter().enumerate() {
        let stage = backed_up();
        break_it(&stage);
        let was = stage.path.exists().then(|| files(&stage.path).len());
        let store = stage.open().unwrap();
        stage.is_restored(&store);
        let restored = store.restored().unwrap().unwrap();
        assert_eq!(
            (restored.from, restored.at, restored.overdue),
            (at(BACKUP), at(NOW), AfterRestore::Fires)
        );
        assert_eq!(restored.backup, stage.shelf.list().unwrap()[0].name);
        assert!(restored.erases && restored.confirmed.is_none() && restored.reason.is_some());
        assert_eq!(
            (stage.aside().exists(), restored.aside.is_some()),
            (was.is_some(), was.is_some()),
            "{number}"
        );
        let (count, bytes) = stage.place().damaged_beside().unwrap();
        assert_eq!((count > 0, bytes > 0), (was.is_some(), was.is_some_and(|files| files > 0)), "{number}");
        store.close();
        let store = stage.open().unwrap();
        assert_eq!(store.restored().unwrap(), Some(restored), "opened again it is the same");
    }
}

#[test]
fn a_value_that_every_start_needs_and_cannot_be_read_is_damage() {
    for key in [
        keys::single(keys::META),
        keys::single(keys::IDENTITY),
        keys::single(keys::RESTORED),
        keys::numbered(keys::CLAIM, 1),
    ] {
        let stage = backed_up();
        let store = SledStore::open(&stage.path, CACHE_MB).unwrap();
        store.disk.write(&Writes::from([(key, Some(vec![0, 99]))])).unwrap();
        store.close();
        stage.is_restored(&stage.open().unwrap());
        assert!(stage.aside().exists());
    }
}

#[test]
fn a_restore_cut_off_after_any_step_is_ended_by_the_next_start() {
    let cut: [fn(&Stage1, &Place, &Note); 7] = [
        |_, place, note| place.write_note(note).unwrap(),
        // The engine has mended by itself what it refused before: nobody knows what it left out.
        |stage, place, note| {
            place.write_note(note).unwrap();
            fs::remove_dir_all(&stage.path).unwrap();
            fs::remove_file(&place.marker).unwrap();
            let other = SledStore::open(&stage.path, CACHE_MB);
            assert!(matches!(other, Err(OpenError::Damaged { .. })), "no other opening believes it either");
            place.drop_note().unwrap();
            SledStore::open(&stage.path, CACHE_MB).unwrap().close();
            place.write_note(note).unwrap();
        },
        |_, place, note| {
            place.write_note(note).unwrap();
            fs::create_dir(&place.coming).unwrap();
            fs::write(place.coming.join("db"), b"half").unwrap();
        },
        |stage, place, note| ready(stage, place, note),
        |stage, place, note| {
            ready(stage, place, note);
            fs::rename(&place.dir, stage.aside()).unwrap();
        },
        |stage, place, note| {
            ready(stage, place, note);
            fs::rename(&place.dir, stage.aside()).unwrap();
            fs::rename(&place.coming, &place.dir).unwrap();
        },
        // The directory was gone from the start.
        |stage, place, note| {
            ready(stage, place, note);
            fs::remove_dir_all(&place.dir).unwrap();
            fs::rename(&place.coming, &place.dir).unwrap();
            fs::create_dir(stage.aside()).unwrap();
        },
    ];
    for (number, cut_off) in cut.into_iter().enumerate() {
        let stage = backed_up();
        stage.break_db();
        let aside = stage.aside().file_name().unwrap().to_str().unwrap().to_owned();
        let note =
            Note { stage: Stage::Damaged, aside, reason: "it was broken".into(), store: None, print: None };
        cut_off(&stage, &stage.place(), &note);
        let store = stage.open().unwrap_or_else(|error| panic!("{number}: {error}"));
        stage.is_restored(&store);
        assert!(stage.aside().exists(), "{number}: what was damaged is kept");
        assert!(store.restored().unwrap().is_some(), "{number}");
    }
}

/// The store to come is made and the swap may begin.
fn ready(stage: &Stage1, place: &Place, note: &Note) {
    let lock = place.hold().unwrap();
    let origin = Origin { now: at(NOW), holds: false, aside: Some(note.aside.clone()), reason: None };
    place.fill(&lock, &stage.shelf.list().unwrap()[0].path, CACHE_MB, Some(origin)).unwrap();
    place.write_note(&Note { stage: Stage::Ready, ..note.clone() }).unwrap();
}

#[test]
fn a_note_that_is_cut_off_or_changed_is_told_or_means_what_it_did_and_never_renames_elsewhere() {
    let stage = backed_up();
    let place = stage.place();
    let note = Note {
        stage: Stage::Ready,
        aside: "store.damaged-1".into(),
        reason: "r".into(),
        store: None,
        print: None,
    };
    place.write_note(&note).unwrap();
    let whole = fs::read(&place.swap).unwrap();
    let is_harmless = |bytes: &[u8]| {
        fs::write(&place.swap, bytes).unwrap();
        match place.note() {
            Ok(Some(read)) => {
                assert!(read.aside.starts_with("store.") && !read.aside.contains('/'), "{read:?}");
            }
            Ok(None) => panic!("a note that is there"),
            Err(error) => assert!(error.to_string().contains("store.swap"), "{error}"),
        }
    };
    (0..whole.len()).for_each(|length| is_harmless(&whole[..length]));
    for (place, bit) in (0..whole.len()).flat_map(|place| (0..8).map(move |bit| (place, bit))) {
        let mut flipped = whole.clone();
        flipped[place] ^= 1 << bit;
        is_harmless(&flipped);
    }
    for aside in ["/etc", "store.../../x", "other", "store", "store.\u{0}"] {
        place.write_note(&Note { aside: aside.into(), ..note.clone() }).unwrap();
        assert!(place.note().is_err(), "{aside}");
    }
}

#[test]
fn without_a_good_backup_nothing_is_moved_and_it_says_what_to_do() {
    let spoil: [fn(&Stage1); 3] = [
        |stage| fs::remove_dir_all(stage.shelf.dir()).unwrap(),
        |stage| {
            let path = &stage.shelf.list().unwrap()[0].path;
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        },
        |stage| {
            let path = &stage.shelf.list().unwrap()[0].path;
            let file = OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(file.metadata().unwrap().len() - 1).unwrap();
        },
    ];
    for spoil in spoil {
        let stage = backed_up();
        fs::remove_file(stage.path.join("db")).unwrap();
        spoil(&stage);
        let before = stage.files();
        for _ in 0..2 {
            let error = stage.open().err().unwrap();
            assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
            let told = error.to_string();
            assert!(told.contains("no good backup") && told.contains("store import"), "{told}");
        }
        assert_eq!(stage.files(), before);
    }
}

#[test]
fn with_auto_off_nothing_is_moved() {
    let stage = backed_up();
    fs::remove_file(stage.path.join("db")).unwrap();
    let before = stage.files();
    let recovery = Recovery { auto: false, ..stage.recovery() };
    let error = SledStore::open_or_restore(&stage.path, CACHE_MB, &recovery).err().unwrap();
    assert!(
        error.to_string().contains("restore.auto") && error.to_string().contains("store import"),
        "{error}"
    );
    assert_eq!(stage.files(), before);
}

#[test]
fn a_backup_that_is_no_good_is_passed_over_for_the_one_before_and_one_of_a_newer_release_is_not() {
    let stage = backed_up();
    let later = stage.shelf.dir().join("backup-20260921T150000.000Z.rmb");
    fs::write(&later, b"not ours").unwrap();
    stage.break_db();
    stage.is_restored(&stage.open().unwrap());

    let stage = backed_up();
    let later = stage.shelf.dir().join("backup-20260921T150000.000Z.rmb");
    fs::copy(&stage.shelf.list().unwrap()[0].path, &later).unwrap();
    let mut bytes = fs::read(&later).unwrap();
    // The file version, and the checksum of its frame.
    let length = usize::from(bytes[11]);
    bytes[16] = 2;
    let sum = crc32fast::hash(&bytes[8..13 + length]).to_be_bytes();
    bytes[13 + length..17 + length].copy_from_slice(&sum);
    fs::write(&later, bytes).unwrap();
    fs::remove_file(stage.path.join("db")).unwrap();
    let before = stage.files();
    let error = stage.open().err().unwrap();
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("newer release"), "{error}");
    assert_eq!(stage.files(), before);
}

#[test]
fn what_is_held_or_out_of_reach_is_not_damaged() {
    let stage = backed_up();
    let store = stage.open().unwrap();
    assert!(matches!(stage.open(), Err(OpenError::Held { .. })));
    store.close();
    fs::remove_dir_all(&stage.path).unwrap();
    fs::write(&stage.path, "a file").unwrap();
    let before = stage.files();
    assert!(matches!(stage.open(), Err(OpenError::Unreachable { .. })));
    assert_eq!(stage.files(), before);
}

/// A file that opens and answers every read with an I/O error.
#[cfg(target_os = "linux")]
#[test]
fn a_store_of_which_a_file_cannot_be_read_is_out_of_reach_and_left_as_it_is() {
    let stage = backed_up();
    let (snapshot, before) = (stage.path.join("snap.7"), stage.files());
    std::os::unix::fs::symlink("/proc/self/mem", &snapshot).unwrap();
    let error = stage.open().err().unwrap();
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("look after the disk"), "{error}");
    fs::remove_file(snapshot).unwrap();
    assert_eq!(stage.files(), before);
    stage.is_restored(&stage.open().unwrap());
    assert!(!stage.aside().exists());
}
