//! A snapshot that the engine had not finished when it was killed or its disk was full.

use super::*;

#[test]
fn a_snapshot_that_was_not_finished_is_no_damage_and_nothing_is_restored_for_it() {
    for contents in [&b""[..], b"short", &[0; 4_096]] {
        // Behind every finished one by its name, and of the number of none.
        for name in ["snap.0000000000000001.generating", "snap.FFFFFFFFFFFFFFF0.generating"] {
            let stage = backed_up();
            let store = stage.open().unwrap();
            let mut batch = Batch::default();
            batch.push(Op::PutRecord(task(777), Box::default()));
            store.commit(&batch).unwrap();
            store.close();
            let unfinished = stage.path.join(name);
            fs::write(&unfinished, contents).unwrap();
            let looked_at = SledStore::copied(&stage.path, CACHE_MB).unwrap();
            assert!(looked_at.store.record(&task(777)).unwrap().is_some());
            assert!(unfinished.exists(), "who only looks changes nothing");
            let store = stage.open().unwrap();
            assert!(store.record(&task(777)).unwrap().is_some(), "newer than any backup");
            assert!(store.restored().unwrap().is_none() && !unfinished.exists());
        }
    }
}
