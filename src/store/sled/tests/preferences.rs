//! Preferences of users: their bytes, fixed for ever, and that they come back as they went in.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::strategies::{any_instant, version, zone};
use crate::domain::{
    Digest, Kind, Mute, PastWish, Preferences, Priority, Quiet, QuietMode, TimeOfDay, Timestamp, Wish,
    WishCell, WishField,
};
use crate::store::sled::codes::Coded;
use crate::store::sled::{in_memory, keys, preferences, values};
use crate::store::{Batch, Ledger, Meta, Op, Store, WishesPass};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn time(text: &str) -> TimeOfDay {
    text.parse().unwrap()
}

/// Every wish and optional part at least once.
fn full() -> Preferences {
    let at = Timestamp::from_millis;
    let quiet = Quiet::new(time("22:00"), time("07:30"), QuietMode::Earlier).unwrap();
    let cell = |wish: Wish, since: Option<i64>| WishCell {
        wish,
        version: version(1000, Kind::Updated),
        since: since.map(at),
    };
    Preferences {
        cells: vec![
            cell(Wish::Zone(Some(zone("Europe/Berlin"))), Some(900)),
            cell(Wish::Offsets(Some(vec![0, 1440])), Some(1000)),
            cell(Wish::Quiet(Some(quiet)), None),
            cell(Wish::Mute(Some(Mute::Until(at(5000)))), Some(1)),
            cell(Wish::Digest(Some(Digest { at: time("08:00"), below: Priority::High })), Some(2)),
        ],
        past: vec![PastWish { field: WishField::Mute, value: 7, since: at(-1) }],
        arrivals: vec![8],
    }
}

#[test]
fn preferences_keep_their_bytes() {
    let cleared = Preferences {
        cells: vec![
            WishCell { wish: Wish::Quiet(None), version: version(1, Kind::Updated), since: None },
            WishCell {
                wish: Wish::Mute(Some(Mute::Always)),
                version: version(1, Kind::Updated),
                since: None,
            },
        ],
        ..Preferences::default()
    };
    assert_eq!(
        hex(&preferences::encode(&full())),
        concat!(
            "01054102d00fe80f97f8029e3779b97f4a7c15880e0d4575726f70652f4265726c696e4202d00fe80f97f802",
            "9e3779b97f4a7c15d00f0200a00b0302d00fe80f97f8029e3779b97f4a7c15a80ac203034402d00fe80f97f8",
            "029e3779b97f4a7c150202904e4502d00fe80f97f8029e3779b97f4a7c1504e0030301040000000000000007",
            "01010000000000000008",
        )
    );
    assert_eq!(
        hex(&preferences::encode(&cleared)),
        "01022302021a97f8029e3779b97f4a7c150402021a97f8029e3779b97f4a7c15010000"
    );
    for preferences in [full(), cleared, Preferences::default()] {
        assert_eq!(preferences::decode(&preferences::encode(&preferences)), Ok(preferences));
    }
    assert_eq!(hex(&keys::user("u1")), "757531");
}

#[test]
fn words_of_wishes_keep_their_numbers() {
    let fields = WishField::ALL.map(|field| (field.code(), WishField::from_code(field.code()) == Ok(field)));
    assert_eq!(fields, [1, 2, 3, 4, 5].map(|code| (code, true)));
    let modes = QuietMode::ALL.map(|mode| (mode.code(), QuietMode::from_code(mode.code()) == Ok(mode)));
    assert_eq!(modes, [1, 2, 3].map(|code| (code, true)));
}

#[test]
fn counters_of_users_keep_their_bytes_and_cost_none_where_there_are_none() {
    let pass = |after: Option<&str>, again| {
        Some(WishesPass { after: after.map(|id| crate::domain::TaskId::new(id).unwrap()), again })
    };
    let empty = Meta { ledger: Ledger { forgotten: None, ..Ledger::default() }, ..Meta::default() };
    let plain = hex(&values::encode_meta(&empty));
    for (users, wishes_pass, added) in [
        (0, None, ""),
        (300, None, "ac0200"),
        (2, pass(None, false), "0201"),
        (2, pass(Some("t"), true), "02070174"),
    ] {
        let meta = Meta { users, wishes_pass, ..empty.clone() };
        let bytes = values::encode_meta(&meta);
        let mut flagged = plain.clone();
        if !added.is_empty() {
            flagged.replace_range(2..4, "40");
        }
        assert_eq!(hex(&bytes), flagged + added);
        assert_eq!(values::decode_meta(&bytes), Ok(meta));
    }
}

#[test]
fn users_are_listed_in_the_order_of_their_ids() {
    let store = in_memory().unwrap();
    let mut batch = Batch::default();
    for user in ["b", "a", "c"] {
        batch.push(Op::PutPreferences(user.into(), Box::new(full())));
    }
    store.commit(&batch).unwrap();
    assert_eq!(store.users(None, 2).unwrap(), ["a", "b"]);
    assert_eq!(store.users(Some("b"), 2).unwrap(), ["c"]);
    assert_eq!(store.preferences("a").unwrap(), Some(full()));
    assert_eq!(store.preferences("d").unwrap(), None);
}

fn any_time() -> impl Strategy<Value = TimeOfDay> {
    (0_u16..1440).prop_map(|minutes| TimeOfDay::from_minutes(minutes).unwrap())
}

fn any_wish() -> impl Strategy<Value = Wish> {
    let priority = prop_oneof![Just(Priority::Low), Just(Priority::Medium), Just(Priority::High)];
    let quiet = (any_time(), any_time(), 0..QuietMode::ALL.len())
        .prop_filter_map("all day", |(start, end, mode)| Quiet::new(start, end, QuietMode::ALL[mode]).ok());
    prop_oneof![
        of(Just(zone("Asia/Kolkata"))).prop_map(Wish::Zone),
        of(vec(any::<u32>(), 0..17)).prop_map(Wish::Offsets),
        of(quiet).prop_map(Wish::Quiet),
        of(prop_oneof![Just(Mute::Always), any_instant().prop_map(Mute::Until)]).prop_map(Wish::Mute),
        of((any_time(), priority).prop_map(|(at, below)| Digest { at, below })).prop_map(Wish::Digest),
    ]
}

proptest! {
    #[test]
    fn preferences_come_back_as_they_were(
        cells in vec((any_wish(), any_instant(), of(any_instant())), 0..6),
        past in vec((0..WishField::ALL.len(), any::<u64>(), any_instant()), 0..17),
        arrivals in vec(any::<u64>(), 0..17),
    ) {
        let cells = cells
            .into_iter()
            .map(|(wish, ms, since)| {
                let version = crate::domain::Version { ms: ms.millis(), ..version(0, Kind::Updated) };
                WishCell { wish, version, since }
            })
            .collect();
        let past = past.into_iter().map(|(field, value, since)| PastWish { field: WishField::ALL[field], value, since });
        let kept = Preferences { cells, past: past.collect(), arrivals };
        prop_assert_eq!(preferences::decode(&preferences::encode(&kept)), Ok(kept));
    }

    #[test]
    fn any_bytes_are_preferences_or_refused(mut bytes in vec(any::<u8>(), 0..200)) {
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        // Whatever it returns: it is not a panic.
        let _ = preferences::decode(&bytes);
    }
}
