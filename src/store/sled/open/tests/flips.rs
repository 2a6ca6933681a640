//! A store of which bytes have changed or are missing.

use super::*;

/// What the engine makes of a store of which one byte has changed, or which was cut off: either it says so, and the
/// backup takes its place, or it opens with what it holds.
#[test]
fn a_store_with_a_byte_flipped_or_cut_off_opens_or_is_restored_and_never_panics() {
    let stage = backed_up();
    let was = SledStore::open(&stage.path, CACHE_MB).unwrap().fingerprint().unwrap();
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
