//! A store of which a part cannot be read.

use super::*;
use crate::store::sled::tests::disks::TornDisk;

#[test]
fn a_store_of_which_a_part_cannot_be_read_is_not_backed_up_by_half_and_what_is_kept_stays() {
    let room = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(room.path().to_owned(), 1);
    let whole = filled(PAGE_ENTRIES + 100);
    let kept = shelf.make(&whole, &|| at(1), &|| false).unwrap();
    for (number, is_told) in [(0, "after its beginning (the page"), (300, "after tasks task 00299 (the page")]
    {
        let key = |number: usize| [b"r", format!("task {number:05}").as_bytes()].concat();
        let disk = MemoryDisk::of(&whole.disk).unwrap();
        let from = key(number);
        let torn =
            SledStore::on(Box::new(TornDisk { whole: disk, tears: vec![(from, key(number + 5))] })).unwrap();
        let error = shelf.make(&torn, &|| at(2), &|| false).unwrap_err();
        assert!(matches!(error, BackupError::Torn { .. }), "{error}");
        assert!(error.to_string().contains(is_told), "{error}");
        assert_eq!(shelf.list().unwrap(), std::slice::from_ref(&kept));
    }
}
