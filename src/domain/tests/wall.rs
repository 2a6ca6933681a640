//! Wall times, zones, gaps and overlaps.

use chrono::NaiveTime;

use super::*;

fn nine() -> NaiveTime {
    NaiveTime::from_hms_opt(9, 0, 0).unwrap()
}

#[test]
fn a_gap_moves_a_wall_time_forward_and_an_overlap_takes_the_first() {
    let cases = [
        ("plain winter", "Europe/Berlin", "2026-01-10T12:00:00", "2026-01-10T11:00:00Z"),
        ("plain summer", "Europe/Berlin", "2026-07-10T12:00:00", "2026-07-10T10:00:00Z"),
        ("half an hour east", "Asia/Kolkata", "2026-07-10T12:00:00", "2026-07-10T06:30:00Z"),
        ("start of a gap", "Europe/Berlin", "2026-03-29T02:00:00", "2026-03-29T01:00:00Z"),
        ("inside a gap", "Europe/Berlin", "2026-03-29T02:30:00", "2026-03-29T01:30:00Z"),
        ("end of a gap", "Europe/Berlin", "2026-03-29T03:00:00", "2026-03-29T01:00:00Z"),
        ("an overlap", "Europe/Berlin", "2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),
        ("after an overlap", "Europe/Berlin", "2026-10-25T03:00:00", "2026-10-25T02:00:00Z"),
        ("a gap in the west", "America/New_York", "2026-03-08T02:30:00", "2026-03-08T07:30:00Z"),
        ("an overlap in the west", "America/New_York", "2026-11-01T01:30:00", "2026-11-01T05:30:00Z"),
        ("half an hour's gap", "Australia/Lord_Howe", "2026-10-04T02:15:00", "2026-10-03T15:45:00Z"),
        ("half an hour's overlap", "Australia/Lord_Howe", "2026-04-05T01:45:00", "2026-04-04T14:45:00Z"),
        ("a skipped day", "Pacific/Apia", "2011-12-30T09:00:00", "2011-12-30T19:00:00Z"),
        ("its last millisecond", "Pacific/Apia", "2011-12-30T23:59:59.999", "2011-12-31T09:59:59.999Z"),
        ("another skipped day", "Pacific/Kwajalein", "1993-08-21T12:00:00", "1993-08-22T00:00:00Z"),
        ("a gap at midnight", "America/Sao_Paulo", "2018-11-04T00:30:00", "2018-11-04T03:30:00Z"),
    ];
    for (name, in_zone, local, expected) in cases {
        let moment = Moment::new(wall(local), zone(in_zone));
        assert_eq!(moment.instant(nine()), at(expected), "{name}");
    }
}

#[test]
fn a_date_alone_means_the_configured_time_of_day() {
    let day = Due::date("2026-01-10".parse().unwrap());
    let berlin = Moment::new(day, zone("Europe/Berlin"));
    assert_eq!(berlin.instant(nine()), at("2026-01-10T08:00:00Z"));
    assert_eq!(berlin.instant(NaiveTime::MIN), at("2026-01-09T23:00:00Z"));
    assert_eq!(Moment::new(day, Zone::UTC).instant(nine()), at("2026-01-10T09:00:00Z"));
    let skipped = Due::date("2018-11-04".parse().unwrap());
    let midnight = Moment::new(skipped, zone("America/Sao_Paulo")).instant(NaiveTime::MIN);
    assert_eq!(midnight, at("2018-11-04T03:00:00Z"), "midnight is skipped there");
    let old = Due::date("1969-12-31".parse().unwrap());
    assert_eq!(Moment::new(old, Zone::UTC).instant(nine()), at("1969-12-31T09:00:00Z"));
}

#[test]
fn a_naive_time_under_utc_is_an_instant_under_any_name_of_utc() {
    let naive = wall("2026-11-24T09:00:00");
    for name in ["UTC", "UCT", "Universal", "Zulu", "Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu"] {
        assert_eq!(Moment::new(naive, zone(name)), Moment::new(Due::Instant(T0), Zone::UTC), "{name}");
    }
    for name in ["Europe/London", "Etc/GMT", "Africa/Abidjan"] {
        assert_eq!(Moment::new(naive, zone(name)).zone(), Some(zone(name)), "{name}");
    }
}

#[test]
fn an_instant_has_no_zone_whatever_the_task_states() {
    let moment = Moment::new(Due::Instant(T0), zone("Asia/Kolkata"));
    assert_eq!((moment.zone(), moment.instant(nine())), (None, T0));
}

#[test]
fn a_moment_is_written_as_it_was_stated() {
    let berlin = zone("Europe/Berlin");
    let day = Due::date("2026-11-24".parse().unwrap());
    let cases = [
        (Due::Instant(T0), Zone::UTC, "2026-11-24T09:00:00.000Z"),
        (Due::Instant(T0.plus(std::time::Duration::from_millis(7))), berlin, "2026-11-24T09:00:00.007Z"),
        (wall("2026-11-24T09:00:00"), Zone::UTC, "2026-11-24T09:00:00.000Z"),
        (wall("2026-11-24T09:00:00.120"), berlin, "2026-11-24T09:00:00.120[Europe/Berlin]"),
        (day, berlin, "2026-11-24[Europe/Berlin]"),
        (day, Zone::UTC, "2026-11-24[UTC]"),
        (Due::date("1969-12-31".parse().unwrap()), berlin, "1969-12-31[Europe/Berlin]"),
    ];
    for (due, zone, expected) in cases {
        assert_eq!(Moment::new(due, zone).to_string(), expected);
    }
}

#[test]
fn instants_beyond_the_calendar_have_a_text_and_an_instant() {
    assert_eq!(Timestamp::MAX.to_rfc3339(), "9999-12-31T23:59:59.999Z");
    assert_eq!(Timestamp::MIN.to_rfc3339(), "0000-01-01T00:00:00.000Z");
    let far = Moment::new(Due::Wall(i64::MAX), zone("Europe/Berlin"));
    assert_eq!(far.instant(nine()), Timestamp::MAX);
    assert_eq!(Timestamp::MAX.plus(std::time::Duration::MAX), Timestamp::MAX);
    assert_eq!(Timestamp::MIN.minus(std::time::Duration::MAX), Timestamp::MIN);
    assert_eq!(T0.since(minute(1)), std::time::Duration::ZERO);
}

#[test]
fn a_zone_that_does_not_exist_says_what_to_write() {
    let refused = "Mars/Olympus".parse::<Zone>().unwrap_err();
    assert!(refused.contains("Mars/Olympus") && refused.contains("Europe/Berlin"), "{refused}");
}

#[test]
fn an_occurrence_reads_back_as_it_was_written() {
    for occurrence in [
        Moment::new(Due::Instant(T0), Zone::UTC),
        Moment::new(wall("2026-11-24T12:00:00.250"), zone("Europe/Berlin")),
        Moment::new(wall("2026-11-24T12:00:00"), Zone::UTC),
        Moment::new(Due::date("2026-11-25".parse().unwrap()), zone("Asia/Kolkata")),
    ] {
        assert_eq!(occurrence.to_string().parse(), Ok(occurrence));
    }
    for text in
        ["", "soon", "2026-11-25", "2026-11-25T09:00:00", "2026-13-01[UTC]", "2026-11-25[Mars]", "[UTC]"]
    {
        assert!(text.parse::<Moment>().is_err(), "{text}");
    }
}
