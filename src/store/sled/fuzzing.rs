//! The codecs for fuzzing alone: what bytes are understood as must come back from what it is written as, and files of
//! backups.
//!
//! Bytes that are understood need not be written alike: an older format is written in the newest.

use super::backup::fuzzing::framed;
use super::{SledStore, keys, preferences, records, values};
use crate::domain::TaskId;

/// Bytes as a key.
pub fn keys(bytes: &[u8]) {
    if let Some(place) = keys::index_of(bytes) {
        assert_eq!(keys::index(bytes[0], &place), bytes);
    }
    if let Some(number) = keys::number_of(bytes) {
        assert_eq!(keys::numbered(bytes[0], number), bytes);
    }
    if let Some(task) = keys::task_of(bytes) {
        assert_eq!(keys::task_of(&keys::record(&task)), Some(task));
    }
    if let Some(user) = keys::user_of(bytes) {
        assert_eq!(keys::user_of(&keys::user(&user)), Some(user));
    }
    // What is cut from a key lies between itself and what comes behind it.
    let parts = keys::parts(bytes);
    assert!(keys::part(&parts, 0) < keys::part(&parts, u32::MAX));
    assert!(keys::part(&parts, u32::MAX) < keys::beyond(&parts));
    assert!(keys::above(bytes).as_slice() > bytes);
}

/// Bytes as a record.
pub fn records(bytes: &[u8]) {
    if let Ok(record) = records::decode(bytes) {
        assert_eq!(records::decode(&records::encode(&record)), Ok(record));
    }
}

/// Bytes as a file of a store, and as what the frames of one hold. What is read whole is looked through as `store verify` does.
pub fn backups(bytes: &[u8]) {
    for file in [bytes.to_vec(), framed(bytes)] {
        if let Ok((store, _)) = SledStore::of_reader(file.as_slice()) {
            // Whatever is wrong with what it holds is a finding or an error.
            let _ = store.verify();
        }
    }
}

/// Bytes as another value; the first says which.
pub fn values(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    match which % 6 {
        0 => {
            if let Ok(meta) = values::decode_meta(bytes) {
                assert_eq!(values::decode_meta(&values::encode_meta(&meta)), Ok(meta));
            }
        }
        1 => {
            if let Ok(claim) = values::decode_claim(7, bytes) {
                assert_eq!(values::decode_claim(7, &values::encode_claim(&claim)), Ok(claim));
            }
        }
        2 => {
            if let Ok(task) = values::decode_task(bytes) {
                let task: TaskId = task;
                assert_eq!(values::decode_task(&values::encode_task(&task)), Ok(task));
            }
        }
        3 => {
            if let Ok(event) = values::decode_quarantined(bytes) {
                assert_eq!(values::decode_quarantined(&values::encode_quarantined(&event)), Ok(event));
            }
        }
        4 => {
            if let Ok(entry) = values::decode_outbox(bytes) {
                assert_eq!(values::decode_outbox(&values::encode_outbox(&entry)), Ok(entry));
            }
        }
        _ => {
            if let Ok(kept) = preferences::decode(bytes) {
                assert_eq!(preferences::decode(&preferences::encode(&kept)), Ok(kept));
            }
        }
    }
}
