mod bounds;
mod nonsense;

use chrono::NaiveTime;
use serde_json::{Value, json};

use super::super::tests::{at, wall, zone};
use super::*;

fn nine() -> NaiveTime {
    NaiveTime::from_hms_opt(9, 0, 0).unwrap()
}

fn series(rule: &Value) -> Series {
    Series::parse(&rule.to_string()).unwrap_or_else(|reason| panic!("{rule}: {reason}"))
}

/// A due date as its text states it: a day, a wall time or an instant.
fn due(text: &str) -> Due {
    match text.len() {
        10 => Due::date(text.parse().unwrap()),
        _ if text.ends_with('Z') => Due::Instant(at(text)),
        _ => wall(text),
    }
}

/// The first `n` occurrences as the identity of each is written, and `.` where they end or `!` where the search did.
fn named(rule: &Value, begins: &str, in_zone: &str, n: usize) -> Vec<String> {
    let (series, zone) = (series(rule), zone(in_zone));
    let first = Moment::new(due(begins), zone);
    let mut told = Vec::new();
    let mut after = Timestamp::MIN;
    while told.len() < n {
        match series.next_after(first, zone, nine(), after) {
            Next::At(moment) => {
                assert!(series.is_occurrence(first, zone, nine(), moment), "{rule} {moment}");
                after = moment.instant(nine());
                told.push(moment.to_string());
            }
            Next::Ended(_) => return [told, vec![".".to_owned()]].concat(),
            Next::GaveUp(_) => return [told, vec!["!".to_owned()]].concat(),
        }
    }
    told
}

/// The days of the first occurrences from a day on, in UTC.
fn days(rule: &Value, begins: &str, n: usize) -> String {
    let named = named(rule, begins, "UTC", n);
    named.iter().map(|name| name.split('[').next().unwrap_or(name)).collect::<Vec<_>>().join(" ")
}

/// The instants of the first occurrences, to the minute.
fn instants(rule: &Value, begins: &str, in_zone: &str, n: usize) -> String {
    let (series, zone) = (series(rule), zone(in_zone));
    let first = Moment::new(due(begins), zone);
    let mut told: Vec<Timestamp> = Vec::new();
    while told.len() < n {
        let after = told.last().copied().unwrap_or(Timestamp::MIN);
        let Next::At(moment) = series.next_after(first, zone, nine(), after) else { break };
        told.push(moment.instant(nine()));
    }
    told.iter().map(|at| at.to_rfc3339()[..16].to_owned()).collect::<Vec<_>>().join(" ")
}

#[test]
fn each_frequency_comes_as_often_as_it_says() {
    let cases = [
        (json!({"frequency": "daily"}), "2026-12-30", "2026-12-30 2026-12-31 2027-01-01 2027-01-02"),
        (
            json!({"frequency": "DAILY", "interval": 10}),
            "2026-12-30",
            "2026-12-30 2027-01-09 2027-01-19 2027-01-29",
        ),
        (json!({"frequency": "weekly"}), "2026-12-30", "2026-12-30 2027-01-06 2027-01-13 2027-01-20"),
        (
            json!({"frequency": "weekly", "interval": "3"}),
            "2026-12-30",
            "2026-12-30 2027-01-20 2027-02-10 2027-03-03",
        ),
        (
            json!({"frequency": "monthly", "interval": 2.0}),
            "2026-12-30",
            "2026-12-30 2027-02-28 2027-04-30 2027-06-30",
        ),
        (json!({"frequency": "yearly"}), "2026-12-30", "2026-12-30 2027-12-30 2028-12-30 2029-12-30"),
        (json!("FREQ=DAILY"), "2026-12-30", "2026-12-30 2026-12-31 2027-01-01 2027-01-02"),
        (json!("rrule:freq=weekly;interval=2"), "2026-12-30", "2026-12-30 2027-01-13 2027-01-27 2027-02-10"),
        (json!("RRULE:FREQ=MONTHLY;BYDAY=-1FR"), "2026-12-25", "2026-12-25 2027-01-29 2027-02-26 2027-03-26"),
        (
            json!("FREQ=YEARLY;BYMONTH=11;BYDAY=4TH"),
            "2026-11-26",
            "2026-11-26 2027-11-25 2028-11-23 2029-11-22",
        ),
        (json!("FREQ=MONTHLY;BYDAY=MO,1TU"), "2026-12-01", "2026-12-01 2026-12-07 2026-12-14 2026-12-21"),
        (json!("FREQ=YEARLY;BYWEEKNO=53"), "2026-12-30", "2026-12-30 2026-12-31 2027-01-01 2027-01-02"),
        (
            json!("FREQ=YEARLY;BYWEEKNO=-1;BYDAY=MO"),
            "2026-12-28",
            "2026-12-28 2027-12-27 2028-12-25 2029-12-24",
        ),
        (
            json!("FREQ=YEARLY;BYWEEKNO=52;BYDAY=TH;WKST=FR"),
            "2058-12-27",
            "2058-12-27 2059-01-02 2060-01-01 2060-12-30",
        ),
        (json!("FREQ=HOURLY;INTERVAL=36"), "2026-12-30", "2026-12-30 2026-12-31 2027-01-02 2027-01-03"),
        (json!("FREQ=HOURLY"), "2026-12-30", "2026-12-30 2026-12-31 2027-01-01 2027-01-02"),
    ];
    for (rule, begins, expected) in cases {
        assert_eq!(days(&rule, begins, 4), expected, "{rule}");
    }
}

#[test]
fn a_month_without_the_day_it_began_on_has_its_last_day_instead() {
    let monthly = json!({"frequency": "monthly"});
    assert_eq!(days(&monthly, "2027-01-31", 5), "2027-01-31 2027-02-28 2027-03-31 2027-04-30 2027-05-31");
    assert_eq!(days(&monthly, "2028-01-30", 3), "2028-01-30 2028-02-29 2028-03-30");
    let yearly = json!({"frequency": "yearly"});
    assert_eq!(
        days(&yearly, "2024-02-29", 6),
        "2024-02-29 2025-02-28 2026-02-28 2027-02-28 2028-02-29 2029-02-28"
    );
    assert_eq!(days(&yearly, "2096-02-29", 9).split(' ').next_back(), Some("2104-02-29"));
}

#[test]
fn an_rfc_5545_rule_skips_months_and_years_without_the_day() {
    assert_eq!(days(&json!("FREQ=MONTHLY"), "2027-01-31", 4), "2027-01-31 2027-03-31 2027-05-31 2027-07-31");
    assert_eq!(days(&json!("FREQ=YEARLY"), "2024-02-29", 3), "2024-02-29 2028-02-29 2032-02-29");
    assert_eq!(days(&json!("FREQ=YEARLY"), "2096-02-29", 2), "2096-02-29 2104-02-29");
    assert_eq!(
        days(&json!("FREQ=MONTHLY;BYMONTHDAY=-1"), "2027-01-31", 3),
        "2027-01-31 2027-02-28 2027-03-31"
    );
}

#[test]
fn wall_time_is_kept_over_changes_of_clocks() {
    let daily = json!({"frequency": "daily"});
    let cases = [
        ("winter to summer", "Europe/Berlin", "2026-03-28T09:00:00", "2026-03-28T08:00 2026-03-29T07:00"),
        ("summer to winter", "Europe/Berlin", "2026-10-24T09:00:00", "2026-10-24T07:00 2026-10-25T08:00"),
        (
            "a gap",
            "Europe/Berlin",
            "2026-03-28T02:30:00",
            "2026-03-28T01:30 2026-03-29T01:30 2026-03-30T00:30",
        ),
        (
            "an overlap",
            "Europe/Berlin",
            "2026-10-24T02:30:00",
            "2026-10-24T00:30 2026-10-25T00:30 2026-10-26T01:30",
        ),
        (
            "a gap in the west",
            "America/New_York",
            "2026-03-07T02:30:00",
            "2026-03-07T07:30 2026-03-08T07:30 2026-03-09T06:30",
        ),
        (
            "half an hour",
            "Australia/Lord_Howe",
            "2026-10-03T02:15:00",
            "2026-10-02T15:45 2026-10-03T15:45 2026-10-04T15:15",
        ),
        (
            "a day that is skipped",
            "Pacific/Apia",
            "2011-12-29T09:00:00",
            "2011-12-29T19:00 2011-12-30T19:00 2011-12-31T19:00",
        ),
        ("an instant", "America/New_York", "2026-03-07T14:00:00Z", "2026-03-07T14:00 2026-03-08T13:00"),
        ("UTC", "UTC", "2026-03-28T09:00:00", "2026-03-28T09:00 2026-03-29T09:00"),
    ];
    for (name, in_zone, begins, expected) in cases {
        let n = expected.split(' ').count();
        assert_eq!(instants(&daily, begins, in_zone, n), expected, "{name}");
    }
}

#[test]
fn within_a_gap_and_an_overlap_occurrences_come_in_the_order_of_their_instants() {
    let half_hourly = json!("FREQ=MINUTELY;INTERVAL=30");
    // 02:00 and 02:30 are skipped: they move to 03:00 and 03:30, where others are already.
    let gap = "2026-03-29T00:30 2026-03-29T01:00 2026-03-29T01:30 2026-03-29T02:00";
    assert_eq!(instants(&half_hourly, "2026-03-29T01:30:00", "Europe/Berlin", 4), gap);
    // 02:00 and 02:30 occur twice, and count once.
    let overlap = "2026-10-24T23:30 2026-10-25T00:00 2026-10-25T00:30 2026-10-25T02:00";
    assert_eq!(instants(&half_hourly, "2026-10-25T01:30:00", "Europe/Berlin", 4), overlap);
    // 02:45 moves to 03:45; 03:15 comes sooner.
    let order = "2026-03-29T00:45 2026-03-29T01:15 2026-03-29T01:45 2026-03-29T02:15";
    assert_eq!(instants(&half_hourly, "2026-03-29T01:45:00", "Europe/Berlin", 4), order);
    // A due date in the second 02:30 is not followed by what was before it.
    let later = "2026-10-25T01:30 2026-10-25T02:00 2026-10-25T02:30";
    assert_eq!(instants(&half_hourly, "2026-10-25T01:30:00Z", "Europe/Berlin", 3), later);
}

#[test]
fn an_occurrence_is_stated_as_the_due_date_is() {
    let daily = json!({"frequency": "daily"});
    let cases = [
        ("2026-11-24", "Europe/Berlin", "2026-11-25[Europe/Berlin]"),
        ("2026-11-24", "UTC", "2026-11-25[UTC]"),
        ("2026-11-24T09:00:00.250", "Europe/Berlin", "2026-11-25T09:00:00.250[Europe/Berlin]"),
        ("2026-11-24T08:00:00.250Z", "Europe/Berlin", "2026-11-25T09:00:00.250[Europe/Berlin]"),
        ("2026-11-24T09:00:00", "UTC", "2026-11-25T09:00:00.000Z"),
        ("2026-11-24T09:00:00Z", "Etc/UTC", "2026-11-25T09:00:00.000Z"),
    ];
    for (begins, in_zone, second) in cases {
        let named = named(&daily, begins, in_zone, 2);
        assert_eq!(named[0], Moment::new(due(begins), zone(in_zone)).to_string());
        assert_eq!(named[1], second);
    }
}

#[test]
fn days_of_the_week_are_read_in_any_wording_and_weeks_begin_on_monday() {
    // 2026-11-25 is a Wednesday.
    let two = "2026-11-25 2026-11-29 2026-12-02 2026-12-06 2026-12-09";
    for days_of_week in [
        json!(["WE", "SU"]),
        json!(["wed", "sun"]),
        json!(["Wednesday", "Sunday"]),
        json!([3, 0]),
        json!([7, 3]),
        json!("we,su"),
        json!(["3", "7"]),
    ] {
        let rule = json!({"frequency": "weekly", "days_of_week": days_of_week});
        assert_eq!(days(&rule, "2026-11-25", 5), two, "{rule}");
    }
    let every_other = json!({"frequency": "weekly", "interval": 2, "days_of_week": ["MO", "WE", "SU"]});
    assert_eq!(days(&every_other, "2026-11-25", 5), "2026-11-25 2026-11-29 2026-12-07 2026-12-09 2026-12-13");
    let from_sunday = json!("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE,SU;WKST=SU");
    assert_eq!(days(&from_sunday, "2026-11-25", 4), "2026-11-25 2026-12-06 2026-12-07 2026-12-09");
    let working_days = json!({"frequency": "daily", "days_of_week": [1, 2, 3, 4, 5]});
    assert_eq!(days(&working_days, "2026-11-27", 3), "2026-11-27 2026-11-30 2026-12-01");
}

#[test]
fn the_due_date_is_the_first_occurrence_and_counts_even_where_the_rule_does_not_name_it() {
    // 2026-11-25 is a Wednesday.
    let cases = [
        (json!("FREQ=WEEKLY;BYDAY=MO;COUNT=3"), "2026-11-25 2026-11-30 2026-12-07 ."),
        (
            json!({"frequency": "weekly", "days_of_week": ["MO"], "count": 3}),
            "2026-11-25 2026-11-30 2026-12-07 .",
        ),
        (
            json!({"frequency": "weekly", "days_of_week": ["WE", "FR"], "count": 4}),
            "2026-11-25 2026-11-27 2026-12-02 2026-12-04 .",
        ),
        (json!("FREQ=MONTHLY;BYMONTHDAY=1,15;COUNT=3"), "2026-11-25 2026-12-01 2026-12-15 ."),
        (json!({"frequency": "cron", "cron_expression": "0 9 1 * *", "count": 2}), "2026-11-25 2026-12-01 ."),
        (json!({"frequency": "monthly", "count": 2}), "2026-11-25 2026-12-25 ."),
        (json!({"frequency": "daily", "count": 1}), "2026-11-25 ."),
        (json!("FREQ=DAILY;COUNT=3\nEXDATE:20261125,20261126"), "2026-11-25 2026-11-27 ."),
        (json!("FREQ=DAILY;UNTIL=20200101"), "2026-11-25 ."),
    ];
    for (rule, expected) in cases {
        assert_eq!(days(&rule, "2026-11-25", 9), expected, "{rule}");
    }
}

#[test]
fn an_end_is_inclusive_and_a_date_alone_ends_with_its_day_in_the_zone() {
    let ends = |end: &str| {
        let rule = json!({"frequency": "daily", "end_date": end});
        instants(&rule, "2026-11-24T23:30:00", "America/New_York", 9).split(' ').count()
    };
    // The third occurrence is 2026-11-26T23:30 there, 04:30 on the 27th in UTC.
    for (end, n) in [
        ("2026-11-26", 3),
        ("2026-11-25", 2),
        ("2026-11-26T23:30:00", 3),
        ("2026-11-26 23:29:59", 2),
        ("2026-11-27T04:30:00Z", 3),
        ("2026-11-27T05:30:00+01:00", 3),
        ("2026-11-27T04:29:59Z", 2),
        ("20261127T043000Z", 3),
    ] {
        assert_eq!(ends(end), n, "{end}");
    }
    let by_day = json!("FREQ=DAILY;UNTIL=20261126T120000");
    assert_eq!(days(&by_day, "2026-11-25", 9), "2026-11-25 2026-11-26 .");
}

#[test]
fn exceptions_do_not_take_place_but_count() {
    let text = "DTSTART;TZID=Europe/Berlin:20261124T090000\r\nRRULE:FREQ=DAILY;COUNT=9\r\n\
                EXDATE;TZID=Europe/Berlin:20261125T090000,20261126T\r\n 090000\r\n\
                EXDATE:20261127T080000Z\r\nEXDATE;VALUE=DATE:20261128\r\nEXDATE:20261129T090000\r\n\
                EXDATE:20261130T100000\r\nEXDATE;TZID=Asia/Tokyo:20261201T170000\n";
    let expected = "2026-11-24T08:00 2026-11-30T08:00 2026-12-02T08:00";
    assert_eq!(instants(&json!(text), "2026-11-24T09:00:00", "Europe/Berlin", 9), expected);
    let rule = json!({"frequency": "daily", "count": 4, "exdates": ["2026-11-25", "2026-11-26T09:00:00"]});
    assert_eq!(
        instants(&rule, "2026-11-24T09:00:00", "Europe/Berlin", 9),
        "2026-11-24T08:00 2026-11-27T08:00"
    );
}

#[test]
fn cron_runs_on_the_wall_with_five_fields_or_six() {
    let cases = [
        ("30 8 * * 1-5", "2026-11-27T07:00 2026-11-27T07:30 2026-11-30T07:30"),
        ("15 30 8 * * MON-FRI", "2026-11-27T07:00 2026-11-27T07:30 2026-11-30T07:30"),
        ("0 9 L * *", "2026-11-27T07:00 2026-11-30T08:00 2026-12-31T08:00"),
        ("0 9 * * 7L", "2026-11-27T07:00 2026-11-29T08:00 2026-12-27T08:00"),
        ("0 9 * * 1#2", "2026-11-27T07:00 2026-12-14T08:00 2027-01-11T08:00"),
        ("0 9 29 2 +MON", "2026-11-27T07:00 2044-02-29T08:00 2072-02-29T08:00"),
        ("0 9 13 * FRI", "2026-11-27T07:00 2026-11-27T08:00 2026-12-04T08:00"),
        ("0 2 29 2 *", "2026-11-27T07:00 2028-02-29T01:00 2032-02-29T01:00"),
        ("30 2 29 3 *", "2026-11-27T07:00 2027-03-29T00:30 2028-03-29T00:30"),
    ];
    for (expression, expected) in cases {
        let rule = json!({"frequency": "cron", "cron_expression": expression});
        assert_eq!(instants(&rule, "2026-11-27T08:00:00", "Europe/Berlin", 3), expected, "{expression}");
    }
    let six = json!({"frequency": "cron", "cron_expression": "15 30 8 * * *"});
    assert_eq!(named(&six, "2026-11-27T09:00:00Z", "UTC", 2)[1], "2026-11-28T08:30:15.000Z");
    assert_eq!(days(&six, "2026-11-27", 2), "2026-11-27 2026-11-28");
}

#[test]
fn a_series_begun_years_ago_is_asked_in_any_order() {
    let first = Moment::new(wall("1990-01-31T09:00:00"), zone("Europe/Berlin"));
    let next = |rule: Value, after: &str| match series(&rule).next_after(first, Zone::UTC, nine(), at(after))
    {
        Next::At(moment) => moment.instant(nine()).to_rfc3339()[..16].to_owned(),
        other => format!("{other:?}"),
    };
    let now = "2026-11-25T12:00:00Z";
    assert_eq!(next(json!({"frequency": "daily"}), now), "2026-11-26T08:00");
    assert_eq!(next(json!({"frequency": "daily", "count": 20_000}), now), "2026-11-26T08:00");
    assert_eq!(next(json!({"frequency": "monthly"}), now), "2026-11-30T08:00");
    assert_eq!(
        next(json!({"frequency": "weekly", "days_of_week": [1, 5], "count": 9999}), now),
        "2026-11-27T08:00"
    );
    assert_eq!(next(json!("FREQ=MONTHLY;BYDAY=1MO"), now), "2026-12-07T08:00");
    assert_eq!(next(json!("FREQ=MINUTELY;INTERVAL=7"), now), "2026-11-25T12:05");
    assert_eq!(next(json!({"frequency": "daily"}), "1980-01-01T00:00:00Z"), "1990-01-31T08:00");
    assert!(next(json!({"frequency": "daily", "count": 9999}), now).starts_with("Ended"));
}
