//! A store of which bytes have changed or are missing.

use super::*;

/// What the engine makes of a store of which one byte has changed, or which was cut off: either it says so, and the
/// backup takes its place, or it opens with what it holds.
#[test]
fn a_store_with_a_byte_flipped_or_cut_off_opens_or_is_restored_and_never_panics() {
    let stage = backed_up();
    let was = stage.open().unwrap().fingerprint().unwrap();
    let whole = files(&stage.path);
    let (mut restored, mut same, mut silent) = (0, 0, 0);
    let used = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let samples = std::env::var("FLIPS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    for name in ["db", "conf"] {
        let path = stage.path.join(name);
        let bytes = &whole[&path];
        for sample in 0..samples {
            for cut in [false, true] {
                let _ = fs::remove_dir_all(&stage.path);
                let _ = fs::remove_dir_all(stage.aside());
                fs::create_dir(&stage.path).unwrap();
                whole.iter().for_each(|(path, bytes)| {
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, bytes).unwrap();
                });
                let place = used(bytes) * sample / samples;
                let mut changed = bytes.clone();
                if cut {
                    changed.truncate(place);
                } else {
                    changed[place] ^= 1 << (sample % 8);
                }
                fs::write(&path, changed).unwrap();
                let store = stage.open().unwrap_or_else(|error| panic!("{name} {place} {cut}: {error}"));
                match store.restored().unwrap() {
                    Some(_) => {
                        stage.is_restored(&store);
                        restored += 1;
                    }
                    None if store.fingerprint().is_ok_and(|is| is == was) => same += 1,
                    None => {
                        println!(
                            "{name} at {place} of {}, cut {cut}: {:?}",
                            bytes.len(),
                            store.verify().map(|f| f.count)
                        );
                        silent += 1;
                    }
                }
            }
        }
    }
    println!("{restored} restored, {same} as they were, {silent} otherwise");
    // The engine has a checksum on what it writes: of 400 samples none came through as something else.
    assert!(restored > 0 && same > 0 && silent == 0);
}

/// A store that has gone back to an earlier commit, whole in itself, as one of which the newest segments are missing.
#[test]
fn a_store_that_has_gone_back_is_damaged_and_goes_on_only_where_that_is_told() {
    let stage = backed_up();
    let earlier = files(&stage.path);
    let more = |number: usize, count: u64| {
        let store = SledStore::open(&stage.path, CACHE_MB).unwrap();
        let mut batch = Batch::default();
        let meta = store.meta().unwrap();
        batch.push(Op::PutMeta(Box::new(Meta { next_claim: meta.next_claim + count, ..meta })));
        batch.push(Op::PutRecord(task(number), Box::default()));
        store.commit(&batch).unwrap();
        store
    };
    let store = more(900, 7);
    store.take_down(at(NOW - 1)).unwrap();
    store.close();
    more(901, 1).close();
    stage.open().unwrap().close();
    assert!(!stage.aside().exists(), "with as much as was taken down, or more, it opens");

    fs::remove_dir_all(&stage.path).unwrap();
    for (path, bytes) in earlier {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let plain = SledStore::open(&stage.path, CACHE_MB).err().unwrap();
    assert!(
        plain.to_string().contains("gone back") && plain.to_string().contains("7 attempts begun"),
        "{plain}"
    );
    // It holds what the backup holds, so it goes on; a fuller backup takes its place (the tests of `fuller`).
    let store = stage.open().unwrap();
    stage.is_restored(&store);
    let restored = store.restored().unwrap();
    assert!(restored.as_ref().is_some_and(|restored| restored.confirmed.is_none()), "it is told");
    assert!(!stage.aside().exists());
    store.close();
    assert_eq!(stage.open().unwrap().restored().unwrap(), restored);
}

#[test]
fn a_marker_cut_off_or_changed_accuses_nobody() {
    let stage = backed_up();
    let store = SledStore::open(&stage.path, CACHE_MB).unwrap();
    store.take_down(at(NOW)).unwrap();
    store.close();
    let place = stage.place();
    let whole = fs::read(&place.marker).unwrap();
    let said = place.marker().unwrap().unwrap().witness;
    assert!(said.is_some());
    for length in 0..whole.len() {
        fs::write(&place.marker, &whole[..length]).unwrap();
        assert_eq!(place.marker().unwrap().unwrap().witness, None, "{length}");
    }
    for (byte, bit) in (0..whole.len()).flat_map(|byte| (0..8).map(move |bit| (byte, bit))) {
        let mut flipped = whole.clone();
        flipped[byte] ^= 1 << bit;
        fs::write(&place.marker, flipped).unwrap();
        // A letter of the checksum may change its case.
        let says = place.marker().unwrap().unwrap().witness;
        assert!(says.is_none() || says == said, "{byte}.{bit}");
    }
    stage.open().unwrap().close();
}
