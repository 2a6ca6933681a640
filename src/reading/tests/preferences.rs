//! Users' preferences, in events and in the API.

use serde_json::{Value, json};

use super::super::*;
use crate::domain::{Digest, Mute, Priority, Quiet, QuietMode, Wish, WishField};

fn read_one(payload: &Value) -> Reading {
    let event = json!({
        "event_type": "user_preferences_updated", "event_id": "e", "timestamp": "2026-11-24T09:00:00Z",
        "producer": "settings", "payload": payload,
    });
    read(event.to_string().as_bytes(), &Transport::default())
}

fn change(payload: &Value) -> PreferencesChange {
    match read_one(payload) {
        Reading::Preferences(change) => *change,
        other => panic!("{payload}: {other:?}"),
    }
}

fn quiet(start: &str, end: &str, mode: QuietMode) -> Wish {
    Wish::Quiet(Some(Quiet::new(start.parse().unwrap(), end.parse().unwrap(), mode).unwrap()))
}

fn digest(at: &str, below: Priority) -> Wish {
    Wish::Digest(Some(Digest { at: at.parse().unwrap(), below }))
}

#[test]
fn every_wish_is_read_in_the_contracts_and_in_flat_spellings() {
    let all = vec![
        Wish::Zone(Some("Europe/Berlin".parse().unwrap())),
        Wish::Offsets(Some(vec![0, 15])),
        quiet("22:00", "07:00", QuietMode::Drop),
        Wish::Mute(Some(Mute::Always)),
        digest("08:00", Priority::Medium),
    ];
    let whole = json!({
        "user_id": "u", "timezone": "Europe/Berlin", "reminder_offsets": [15, 0, 15],
        "quiet_hours": {"start": "22:00", "end": "07:00", "mode": "drop"}, "mute": true,
        "digest": {"at": "08:00", "below": "MEDIUM"},
    });
    let flat = json!({
        "userId": "u", "timeZone": "Europe/Berlin", "reminderOffsets": ["15min", 0],
        "quietHoursStart": "22:00", "quietHoursEnd": "07:00:00", "quietHoursMode": "Drop", "muted": "true",
        "digestAt": "08:00", "digestBelow": "medium",
    });
    for payload in [whole, flat.clone(), json!({"user_id": "u", "preferences": flat})] {
        let read = change(&payload);
        assert_eq!(
            (read.user.as_str(), &read.wishes, read.refused.as_slice()),
            ("u", &all, &[][..]),
            "{payload}"
        );
        let Said::Event { message_id, producer, stamps, .. } = read.said else { panic!("an event") };
        assert_eq!((message_id.as_deref(), producer.as_deref()), (Some("e"), Some("settings")));
        assert!(stamps.event.is_some());
    }
}

#[test]
fn null_clears_and_what_is_absent_is_not_said() {
    for (payload, wishes) in [
        (json!({"user_id": 7, "quiet_hours": null}), vec![Wish::Quiet(None)]),
        (json!({"user_id": "u", "quiet_hours": {"enabled": false, "start": "x"}}), vec![Wish::Quiet(None)]),
        (json!({"user_id": "u", "quiet_start": null, "quiet_end": null}), vec![Wish::Quiet(None)]),
        (json!({"user_id": "u", "mute": false, "digest": false}), vec![Wish::Mute(None), Wish::Digest(None)]),
        (json!({"user_id": "u", "digest": {"at": "08:00"}}), vec![digest("08:00", Priority::High)]),
        (
            json!({"user_id": "u", "quiet_hours": {"start": "1:00", "end": "07:00"}, "reminder_offsets": null}),
            vec![Wish::Offsets(None)],
        ),
        (json!({"user_id": "u", "theme": "dark"}), vec![]),
    ] {
        assert_eq!(change(&payload).wishes, wishes, "{payload}");
    }
    let until = change(&json!({"user_id": "u", "mute": "2026-12-01T00:00:00+01:00"}));
    let Some(Wish::Mute(Some(Mute::Until(at)))) = until.wishes.first() else { panic!("{until:?}") };
    assert_eq!(at.to_rfc3339(), "2026-11-30T23:00:00.000Z");
}

#[test]
fn nonsense_is_refused_alone_with_its_reason() {
    for (key, value, why) in [
        ("timezone", json!("Mars/Olympus"), "no IANA zone"),
        ("timezone", json!(2), "a number"),
        ("reminder_offsets", json!([-5]), "no offset"),
        ("quiet_hours", json!({"start": "22:00", "end": "22:00"}), "all day"),
        ("quiet_hours", json!({"start": "22:00"}), "end is missing"),
        ("quiet_hours", json!({"start": "25:00", "end": "07:00"}), "start: it is no time of day"),
        ("quiet_hours", json!({"start": "22:00", "end": "07:00", "mode": "later"}), "mode: `later`"),
        ("quiet_hours", json!("always"), "a string"),
        ("mute", json!("soon"), "RFC 3339"),
        ("mute", json!(5), "a number"),
        ("digest", json!({"at": "8"}), "at: it is no time of day"),
        ("digest", json!({"below": "HIGH"}), "at is missing"),
        ("digest", json!({"at": "08:00", "below": "LOW"}), "nothing is below LOW"),
    ] {
        let alone = json!({"user_id": "u", key: value});
        let Reading::Refused(reason) = read_one(&alone) else { panic!("{alone}") };
        assert_eq!(reason.code(), "preferences_unreadable", "{alone}");
        assert!(reason.to_string().contains(why), "{reason}");
        let other = if key == "mute" { "digest" } else { "mute" };
        let beside = change(&json!({"user_id": "u", key: value, other: null}));
        assert_eq!(beside.wishes.len(), 1, "the others stand");
        assert_eq!(beside.refused[0].key, key);
        assert!(beside.refused[0].reason.contains(why), "{:?}", beside.refused);
    }
}

#[test]
fn preferences_of_nobody_are_refused() {
    for (payload, code) in [
        (json!({"mute": true}), "user_missing"),
        (json!({"user_id": "", "mute": true}), "user_unreadable"),
        (json!({"user_id": {}, "mute": true}), "user_unreadable"),
        (json!({"user_id": "u".repeat(257), "mute": true}), "user_unreadable"),
    ] {
        let Reading::Refused(reason) = read_one(&payload) else { panic!("{payload}") };
        assert_eq!(reason.code(), code, "{payload}");
    }
    assert_eq!(change(&json!({"user_id": "u".repeat(256), "mute": true})).user.len(), 256);
}

#[test]
fn kinds_of_preferences_are_told_from_others() {
    for (word, is_ours) in [
        ("user_preferences_updated", true),
        ("com.example.UserPreferencesUpdated.v1", true),
        ("preferences.changed", true),
        ("user_updated", false),
        ("preferences_viewed", false),
    ] {
        let event = json!({"event_type": word, "payload": {"user_id": "u", "mute": true}}).to_string();
        let reading = read(event.as_bytes(), &Transport::default());
        assert_eq!(matches!(reading, Reading::Preferences(_)), is_ours, "{word}: {reading:?}");
    }
}

#[test]
fn the_api_takes_nothing_it_cannot_read() {
    let read = read_wishes(&json!({"digest": null, "timezone": "UTC"})).unwrap();
    assert_eq!(read.iter().map(Wish::field).collect::<Vec<_>>(), [WishField::Zone, WishField::Digest]);
    for (body, why) in [
        (json!([]), "an object"),
        (json!({"timeZone": "UTC"}), "`timeZone` is no preference"),
        (json!({"mute": true, "timezone": "Mars"}), "`timezone`: `Mars` is no IANA zone"),
    ] {
        let refused = read_wishes(&body).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn preferences_lie_so_deep_at_most() {
    let inner = json!({"user_id": "u", "mute": true});
    let within = |keys: &[&str]| keys.iter().rev().fold(inner.clone(), |inner, key| json!({*key: inner}));
    assert_eq!(change(&within(&["data", "preferences"])).wishes.len(), 1, "below the payload");
    let Reading::Refused(reason) = read_one(&within(&["data", "payload", "preferences"])) else { panic!() };
    assert_eq!(reason.code(), "user_missing");
}
