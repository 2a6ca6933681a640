//! The bytes of what is counted independently are what they were.

use super::golden::{counts, hex};
use crate::domain::Tally;
use crate::store::sled::values;
use crate::store::{EventTally, Ledger, Meta};

#[test]
fn what_is_counted_independently_stands_last_in_a_section_and_a_store_from_before_is_taken_at_its_word() {
    let before = Meta {
        events: EventTally { applied: 1, duplicate: 2, stale: 3, ignored: 4, quarantined: 5 },
        reminders: counts(),
        ledger: Ledger { received: 15, planned: 15, forgotten: None },
        ..Meta::default()
    };
    let head = format!("01000102030405020406080a{}", "00".repeat(9));
    let with = |received: u64, forgotten: Option<Tally>| Meta {
        ledger: Ledger { received, planned: 15, forgotten },
        ..before.clone()
    };
    for (meta, tail) in [
        (before.clone(), ""),
        (with(16, None), "0103100f00"),
        (with(300, Some(counts())), "0109ac020f01020406080a"),
    ] {
        assert_eq!(hex(&values::encode_meta(&meta)), format!("{head}{tail}"));
        assert_eq!(values::decode_meta(&values::encode_meta(&meta)), Ok(meta));
    }
    let mut unknown = values::encode_meta(&before);
    unknown.extend([9, 0]);
    assert!(values::decode_meta(&unknown).is_err(), "of a release to come");
}
