//! What users wish: the merge, and what plans make of zone and offsets.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;

fn time(text: &str) -> TimeOfDay {
    text.parse().unwrap()
}

/// A change of the wishes of `u`, said in an event stamped at `stamp`.
pub(crate) fn wished(stamp: Timestamp, wishes: &[Wish]) -> PreferencesChange {
    let stamps = Stamps { event: Some(Stamp { at: stamp, whole_second: false }), ..Stamps::default() };
    let said = Said::Event { stamps, offset: 0, message_id: None, producer: None };
    PreferencesChange { user: "u".into(), said, wishes: wishes.to_vec(), refused: Vec::new() }
}

/// Wishes made of changes that arrived when they were stamped.
pub(crate) fn wishes(changes: &[(Timestamp, Wish)]) -> Preferences {
    let mut preferences = Preferences::default();
    for (at, wish) in changes {
        preferences.apply(&wished(*at, std::slice::from_ref(wish)), *at);
    }
    preferences
}

fn user_offsets(minutes: &[u32]) -> Wish {
    Wish::Offsets(Some(minutes.to_vec()))
}

/// What a task of a user with `preferences` calls for: rule, minute and the minute of birth.
fn planned_for(task: &Task, preferences: &Preferences) -> Vec<(String, i64, i64)> {
    let record = Record { task: task.clone(), ..Record::default() };
    let minute = |at: Timestamp| (at.millis() - T0.millis()) / 60_000;
    plan(&super::task("t"), &record, &Rules { in_force: &policy(), user: Some(preferences) })
        .into_iter()
        .map(|planned| (planned.rule.to_string(), minute(planned.fire_at), minute(planned.birth)))
        .collect()
}

#[test]
fn null_clears_and_silence_keeps() {
    let kept = wishes(&[
        (T0, Wish::Zone(Some(zone("Asia/Kolkata")))),
        (T0, Wish::Mute(Some(Mute::Always))),
        (minute(1), Wish::Mute(None)),
    ]);
    assert_eq!((kept.zone(), kept.mute()), (Some(zone("Asia/Kolkata")), None));
    assert_eq!(kept.since(WishField::Zone), T0);
}

#[test]
fn what_is_said_now_counts_after_all_that_was_said() {
    let mut kept = wishes(&[(minute(4), user_offsets(&[5]))]);
    let now = PreferencesChange { said: Said::Now, ..wished(T0, &[user_offsets(&[9])]) };
    assert_eq!(kept.apply(&now, minute(1)).outcome, Outcome::Applied, "though an event's stamp is ahead");
    assert_eq!(kept.offsets(), Some(&[9][..]));
    let again = PreferencesChange { said: Said::Now, ..wished(T0, &[user_offsets(&[5])]) };
    kept.apply(&again, minute(1));
    assert_eq!(kept.offsets(), Some(&[5][..]), "within one millisecond as well");
    kept.apply(&wished(minute(9), &[user_offsets(&[7])]), minute(9));
    assert_eq!(kept.offsets(), Some(&[7][..]), "and a later event after it");
}

#[test]
fn outcomes_are_those_of_a_task() {
    let mut kept = Preferences::default();
    let apply =
        |kept: &mut Preferences, change: &PreferencesChange, arrival| kept.apply(change, arrival).outcome;
    let first = wished(minute(2), &[user_offsets(&[5])]);
    assert_eq!(apply(&mut kept, &first, minute(2)), Outcome::Applied);
    assert_eq!(apply(&mut kept, &first, minute(3)), Outcome::Duplicate);
    assert_eq!(apply(&mut kept, &wished(minute(1), &[user_offsets(&[6])]), minute(3)), Outcome::Stale);
    assert_eq!(apply(&mut kept, &wished(minute(4), &[]), minute(4)), Outcome::Ignored);
    let said = Said::Event { stamps: Stamps::default(), offset: 0, message_id: None, producer: None };
    let unstamped = PreferencesChange { said, ..wished(T0, &[user_offsets(&[7])]) };
    assert_eq!(apply(&mut kept, &unstamped, minute(5)), Outcome::Applied);
    assert_eq!(apply(&mut kept, &unstamped, minute(6)), Outcome::Duplicate);
}

#[test]
fn only_what_plans_depend_on_makes_them_anew() {
    let kept = wishes(&[(minute(2), user_offsets(&[5]))]);
    for (says, change, alike) in [
        ("restated", (minute(3), user_offsets(&[5])), true),
        ("cleared what was clear", (minute(3), Wish::Quiet(None)), true),
        ("another value", (minute(3), user_offsets(&[6])), false),
        ("said earlier than known", (minute(1), user_offsets(&[5])), false),
    ] {
        let mut other = kept.clone();
        other.apply(&wished(change.0, &[change.1]), change.0);
        assert_eq!(kept.plans_like(&other), alike, "{says}");
    }
}

#[test]
fn times_of_day_and_quiet_hours_that_make_no_sense_are_refused() {
    for (text, minutes) in [("00:00", Some(0)), ("23:59", Some(1439)), ("07:30:00", Some(450))] {
        assert_eq!(text.parse::<TimeOfDay>().ok().map(TimeOfDay::minutes), minutes, "{text}");
    }
    for nonsense in ["24:00", "7:30", "12:60", "", "12", "12:3a", "12:30:01", "+1:30", "99:99"] {
        assert!(nonsense.parse::<TimeOfDay>().is_err(), "{nonsense}");
    }
    assert!(Quiet::new(time("22:00"), time("22:00"), QuietMode::Defer).is_err());
    assert!(Mute::Until(minute(5)).covers(minute(4)) && !Mute::Until(minute(5)).covers(minute(5)));
}

#[test]
fn the_nearest_offsets_win() {
    let wish = wishes(&[(minute(3), user_offsets(&[5]))]);
    let plain = merged(&[created(T0, &[due(minute(60))])]);
    assert_eq!(planned_for(&plain, &wish), [("offset:5".into(), 55, 3)]);
    let own = merged(&[created(T0, &[due(minute(60)), offsets(&[10])])]);
    assert_eq!(planned_for(&own, &wish), [("offset:10".into(), 50, 0)]);
    let explicit = Statement::RemindAt(Some(vec![Due::Instant(minute(40))]));
    let at = merged(&[created(T0, &[due(minute(60)), explicit])]);
    assert_eq!(planned_for(&at, &wish).len(), 1, "explicit times stand alone");
    let cleared = wishes(&[(minute(3), user_offsets(&[5])), (minute(4), Wish::Offsets(None))]);
    assert_eq!(planned_for(&plain, &cleared)[0].0, "offset:15", "the configured default");
    let none = wishes(&[(minute(3), user_offsets(&[]))]);
    assert_eq!(planned_for(&plain, &none), []);
}

#[test]
fn a_date_alone_is_the_users_and_a_naive_time_never_is() {
    let wish = wishes(&[(minute(3), Wish::Zone(Some(zone("Asia/Kolkata"))))]);
    let day = Statement::Due(Some(Due::date("2026-11-25".parse().unwrap())));
    let naive = Statement::Due(Some(wall("2026-11-25T09:00:00")));
    let berlin = Statement::Zone(Some(zone("Europe/Berlin")));
    let kolkata = (at("2026-11-25T03:30:00Z").millis() - T0.millis()) / 60_000 - 15;
    for (says, statements, minute, born) in [
        ("a date", vec![day.clone()], kolkata, 3),
        ("a date of a task with a zone", vec![day, berlin.clone()], kolkata + 270, 0),
        ("a naive time", vec![naive.clone()], kolkata + 330, 0),
        ("a naive time with a zone", vec![naive, berlin], kolkata + 270, 0),
    ] {
        let planned = planned_for(&merged(&[created(T0, &statements)]), &wish);
        assert_eq!((planned[0].1, planned[0].2), (minute, born), "{says}");
    }
}

fn wish() -> impl Strategy<Value = Wish> {
    let quiet = |mode| Wish::Quiet(Some(Quiet::new(time("22:00"), time("07:00"), mode).unwrap()));
    prop_oneof![
        Just(Wish::Zone(Some(zone("Europe/Berlin")))),
        Just(Wish::Zone(None)),
        Just(user_offsets(&[5])),
        Just(user_offsets(&[6])),
        Just(Wish::Offsets(None)),
        Just(quiet(QuietMode::Defer)),
        Just(quiet(QuietMode::Drop)),
        Just(Wish::Quiet(None)),
        Just(Wish::Mute(Some(Mute::Always))),
        Just(Wish::Mute(None)),
        Just(Wish::Digest(Some(Digest { at: time("08:00"), below: Priority::High }))),
    ]
}

pub(crate) type Told = (PreferencesChange, Timestamp);

/// Few stamps and few values: equal stamps and values that come back are the rule.
pub(crate) fn told() -> impl Strategy<Value = Told> {
    let form = (0_i64..5, 0_u8..4, 0_i64..3);
    (form, proptest::collection::vec(wish(), 1..4)).prop_map(|((at, form, lag), mut wishes)| {
        wishes.sort_by_key(Wish::field);
        wishes.dedup_by_key(|wish| wish.field());
        let stamp = |at, whole_second| Some(Stamp { at, whole_second });
        let stamps = match form {
            0 => Stamps { event: stamp(minute(at), false), ..Stamps::default() },
            1 => Stamps { event: stamp(minute(at), true), ..Stamps::default() },
            2 => Stamps { broker: Some(minute(at)), ..Stamps::default() },
            // Its own is too far ahead to be believed.
            _ => Stamps { event: stamp(minute(50), false), broker: Some(minute(at)), envelope: None },
        };
        let message_id = Some(format!("{form}-{lag}"));
        let said = Said::Event { stamps, offset: 0, message_id, producer: None };
        (
            PreferencesChange { said, ..wished(T0, &wishes) },
            minute(at).plus(Duration::from_secs(60) * u32::try_from(lag).unwrap()),
        )
    })
}

fn two_orders() -> impl Strategy<Value = (Vec<Told>, Vec<Told>)> {
    proptest::collection::vec(told(), 1..9).prop_flat_map(|changes| {
        let shuffled = || {
            let all = changes.clone();
            subsequence(changes.clone(), 0..=changes.len())
                .prop_map(move |again| [all.clone(), again].concat())
                .prop_shuffle()
        };
        (shuffled(), shuffled())
    })
}

proptest! {
    #[test]
    fn any_order_and_any_repetition_ends_in_the_same_wishes((one, other) in two_orders()) {
        let fold = |told: &[Told]| {
            let mut kept = Preferences::default();
            for (change, arrival) in told {
                kept.apply(change, *arrival);
            }
            // Only their order may differ: it is that of their arrival.
            kept.arrivals.sort_unstable();
            kept
        };
        prop_assert_eq!(fold(&one), fold(&other));
    }
}
