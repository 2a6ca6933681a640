//! A store that does not open: what it says, and that it leaves everything where it was.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use reminder_worker::domain::{Record, TaskId};
use reminder_worker::store::sled::SledStore;
use reminder_worker::store::{Batch, Op, OpenError, Store};
use tempfile::TempDir;

const CACHE_MB: u64 = 16;
const TASKS: usize = 300;

/// Breaks the store in a directory.
type Break = fn(&Path);
/// Breaks the bytes of a file.
type Garble = fn(&mut [u8]);

fn open(path: &Path) -> Result<SledStore, OpenError> {
    SledStore::open(path, CACHE_MB)
}

fn fails(path: &Path) -> OpenError {
    open(path).err().unwrap()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// A store with [`TASKS`] tasks, closed.
fn filled() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store");
    let store = open(&path).unwrap();
    let mut batch = Batch::default();
    for number in 0..TASKS {
        let task = TaskId::new(format!("task {number}")).unwrap();
        batch.push(Op::PutRecord(task, Box::new(Record { generation: 7, ..Record::default() })));
    }
    store.commit(&batch).unwrap();
    store.close();
    (dir, path)
}

fn count(store: &SledStore) -> usize {
    store.tasks(None, usize::MAX).unwrap().len()
}

/// Every file under `root` with its bytes, the lock file aside.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(snapshot(&entry.path()));
            found.insert(entry.path(), Vec::new());
        } else if entry.path().extension().is_none_or(|suffix| suffix != "lock") {
            found.insert(entry.path(), fs::read(entry.path()).unwrap());
        }
    }
    found
}

#[test]
fn missing_directories_above_are_made() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a/b/c/store");
    open(&path).unwrap().close();
    assert!(path.join("db").exists() && beside(&path, ".marker").exists() && beside(&path, ".lock").exists());
}

#[test]
fn a_store_that_is_open_is_held_and_says_by_whom() {
    let (_dir, path) = filled();
    let store = open(&path).unwrap();
    let error = fails(&path);
    assert!(matches!(error, OpenError::Held { .. }));
    let message = error.to_string();
    assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
    assert!(message.contains("store.path"), "{message}");
    store.close();
    assert_eq!(count(&open(&path).unwrap()), TASKS);
}

#[test]
fn a_closed_store_can_be_opened_at_once() {
    let (_dir, path) = filled();
    for number in 0..100 {
        let store = open(&path).unwrap();
        let task = TaskId::new(format!("task {number}")).unwrap();
        let mut batch = Batch::default();
        batch.push(Op::PutRecord(task, Box::default()));
        store.commit(&batch).unwrap();
        store.close();
    }
}

#[test]
fn a_held_store_whose_lock_file_went_is_held_all_the_same() {
    let (_dir, path) = filled();
    let _store = open(&path).unwrap();
    fs::remove_file(beside(&path, ".lock")).unwrap();
    assert!(matches!(fails(&path), OpenError::Held { .. }));
}

#[test]
fn a_file_in_the_place_of_a_directory_is_out_of_reach() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "mine").unwrap();
    for path in [file.clone(), file.join("store"), file.join("a/store")] {
        let error = fails(&path);
        assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("set store.path to a directory"), "{error}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn the_root_of_a_file_system_is_no_place_for_a_store() {
    let error = fails(Path::new("/"));
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_out_of_reach_and_not_damaged() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store");
    fs::create_dir_all(&path).unwrap();
    std::os::unix::fs::symlink("/dev/full", path.join("db")).unwrap();
    let error = fails(&path);
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("free space"), "{error}");
}

#[test]
fn a_store_that_is_gone_though_its_marker_is_there_is_damaged_and_nothing_is_made_in_its_place() {
    let missing: [(&str, Break); 5] = [
        ("it is not there", |path| fs::remove_dir_all(path).unwrap()),
        ("conf", |path| fs::remove_file(path.join("conf")).unwrap()),
        ("conf", |path| fs::write(path.join("conf"), b"").unwrap()),
        ("db", |path| fs::remove_file(path.join("db")).unwrap()),
        ("db", |path| fs::write(path.join("db"), b"").unwrap()),
    ];
    for (file, break_it) in missing {
        let (dir, path) = filled();
        break_it(&path);
        let before = snapshot(dir.path());
        for _ in 0..2 {
            let error = fails(&path);
            assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains(file) && error.to_string().contains("marker"), "{error}");
            let told = error.to_string();
            let (restore, give_up) = (told.find("store import"), told.find("to give up on purpose"));
            assert!(restore.is_some() && restore < give_up, "what saves comes first: {told}");
        }
        assert_eq!(snapshot(dir.path()), before);
    }
}

#[test]
fn a_store_of_which_the_bytes_went_is_damaged_however_often_it_is_opened() {
    let zeros = |bytes: &mut [u8]| bytes.fill(0);
    let noise = |bytes: &mut [u8]| {
        let mut state = 0x9e37_79b9u32;
        bytes.fill_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        });
    };
    let breakers: [(&str, Garble); 3] = [("db", zeros), ("db", noise), ("conf", noise)];
    for (file, break_it) in breakers {
        let (_dir, path) = filled();
        let mut bytes = fs::read(path.join(file)).unwrap();
        break_it(&mut bytes);
        fs::write(path.join(file), bytes).unwrap();
        for _ in 0..2 {
            let error = fails(&path);
            assert!(matches!(error, OpenError::Damaged { .. }), "{file}: {error}");
            assert!(error.to_string().contains("restore a backup"), "{error}");
        }
    }
}

#[test]
fn a_store_cut_short_opens_or_says_what_is_wrong_but_never_panics() {
    for part in 0..8 {
        let (_dir, path) = filled();
        let file = fs::OpenOptions::new().write(true).open(path.join("db")).unwrap();
        file.set_len(file.metadata().unwrap().len() * part / 8 + 1).unwrap();
        if let Err(error) = open(&path) {
            assert!(matches!(error, OpenError::Damaged { .. }), "{part}: {error}");
        }
    }
}

#[test]
fn a_directory_of_another_program_is_not_written_into() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store");
    let other = sled::Config::new().path(&path).segment_size(4 << 20).open().unwrap();
    other.insert("key", "value").unwrap();
    drop(other);
    let error = fails(&path);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(!beside(&path, ".marker").exists());
    let other = sled::Config::new().path(&path).segment_size(4 << 20).open().unwrap();
    assert_eq!(other.len(), 1);
}

#[test]
fn a_creation_cut_off_anywhere_is_taken_up_again() {
    let cut: [fn(&Path); 4] = [
        |path| fs::create_dir(path).unwrap(),
        |path| fs::create_dir_all(path.join("blobs")).unwrap(),
        |path| {
            open(path).unwrap().close();
            fs::remove_file(path.join("db")).unwrap();
        },
        |path| {
            // sled's own files, and no commit of ours.
            sled::Config::new().path(path).segment_size(4 << 20).open().map(drop).unwrap();
        },
    ];
    for leave in cut {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("store");
        leave(&path);
        let _ = fs::remove_file(beside(&path, ".marker"));
        assert_eq!(count(&open(&path).unwrap()), 0);
        assert!(beside(&path, ".marker").exists());
        assert_eq!(count(&open(&path).unwrap()), 0);
    }
}

#[test]
fn a_store_whose_marker_went_is_opened_with_all_that_it_holds_and_marked_again() {
    let (_dir, path) = filled();
    fs::remove_file(beside(&path, ".marker")).unwrap();
    assert_eq!(count(&open(&path).unwrap()), TASKS);
    assert!(beside(&path, ".marker").exists());
}
