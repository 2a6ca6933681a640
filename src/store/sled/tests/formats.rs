//! From one format to the next.

use super::disks::{Step, TestDisk};
use crate::store::OpenError;
use crate::store::sled::disk::{Disk, Writes};
use crate::store::sled::migrations::{FORMAT, FormatError, MIGRATIONS, Migration, format, migrate};
use crate::store::sled::{SledStore, engine, keys};

const OLD: &[u8] = b"r old";

/// A step that can be seen to have run, and how often.
const TO_2: &[Migration] = &[Migration {
    to: 2,
    run: |disk, writes| {
        let times = disk.get(OLD)?.map_or(0, |value| value[0]);
        writes.insert(OLD.to_vec(), Some(vec![times + 1]));
        Ok(())
    },
}];

fn format_1() -> TestDisk {
    let disk = TestDisk::default();
    migrate(&disk, &[], 1).unwrap();
    disk.write(&Writes::from([(OLD.to_vec(), Some(vec![0]))])).unwrap();
    disk
}

fn found(disk: &TestDisk) -> (u32, u8) {
    (format(disk).unwrap().unwrap(), disk.get(OLD).unwrap().unwrap()[0])
}

#[test]
fn the_steps_of_this_release_lead_to_its_format() {
    let formats: Vec<u32> = MIGRATIONS.iter().map(|step| step.to).collect();
    assert_eq!(formats, (1..FORMAT).map(|before| before + 1).collect::<Vec<_>>());
}

#[test]
fn a_new_store_has_the_newest_format_and_needs_no_step() {
    let disk = TestDisk::default();
    migrate(&disk, TO_2, 2).unwrap();
    assert_eq!(format(&disk.after_power_cut()).unwrap(), Some(2));
    assert_eq!(disk.get(OLD).unwrap(), None);
}

#[test]
fn a_step_runs_once_and_is_durable() {
    let disk = format_1();
    for _ in 0..3 {
        migrate(&disk, TO_2, 2).unwrap();
        assert_eq!(found(&disk.after_power_cut()), (2, 1));
    }
}

#[test]
fn a_step_that_fails_anywhere_has_happened_whole_or_not_at_all() {
    for step in [Step::Apply, Step::Flush, Step::Sync] {
        let disk = format_1();
        disk.fail_next(step);
        assert!(matches!(migrate(&disk, TO_2, 2), Err(FormatError::Store(_))), "{step:?}");
        let disk = disk.after_power_cut();
        assert_eq!(found(&disk), (1, 0), "{step:?}");
        migrate(&disk, TO_2, 2).unwrap();
        assert_eq!(found(&disk), (2, 1), "{step:?}");
    }
}

#[test]
fn a_store_of_a_newer_format_is_left_alone() {
    let disk = TestDisk::default();
    migrate(&disk, TO_2, 2).unwrap();
    disk.steps();
    assert!(matches!(migrate(&disk, MIGRATIONS, 1), Err(FormatError::Newer(2))));
    assert_eq!(disk.steps(), []);
}

#[test]
fn keys_without_a_format_are_nobodys_store() {
    let disk = TestDisk::default();
    disk.write(&Writes::from([(b"other".to_vec(), Some(vec![1]))])).unwrap();
    assert!(matches!(migrate(&disk, MIGRATIONS, 1), Err(FormatError::Foreign)));
}

#[test]
fn a_directory_of_a_newer_release_says_so() {
    const RELEASE_TRIES: u32 = 1_000;
    const RELEASE_POLL: std::time::Duration = std::time::Duration::from_millis(5);
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("store");
    SledStore::open(&path, 8).unwrap().close();
    // The engine's threads let go of the file a moment after the store is closed.
    let released =
        || engine::open(&path, 1 << 20).inspect_err(|_| std::thread::park_timeout(RELEASE_POLL)).ok();
    let db = (0..RELEASE_TRIES).find_map(|_| released()).expect("the engine keeps its file");
    db.insert(keys::single(keys::FORMAT), &(FORMAT + 1).to_be_bytes()).unwrap();
    drop(db);
    let error = SledStore::open(&path, 8).err().unwrap();
    assert!(matches!(error, OpenError::Newer { found, known: FORMAT, .. } if found == FORMAT + 1), "{error}");
}
