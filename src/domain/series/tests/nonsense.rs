use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::bounds::steps;
use super::{days, due, instants, nine, series};
use crate::domain::series::{OnComplete, RECURRENCE_MAX_BYTES, STEPS_MAX};
use crate::domain::tests::{at, wall, zone};
use crate::domain::{Due, Moment, Next, Series, Timestamp, Zone};

fn refusal(rule: &Value) -> String {
    Series::parse(&rule.to_string()).expect_err(&rule.to_string())
}

#[test]
fn a_refusal_says_what_is_allowed_with_an_example() {
    for (rule, allowed) in [
        (json!({"frequency": "hourly"}), "written as an RRULE, such as \"FREQ=HOURLY"),
        (json!({"frequency": "cron", "cron_expression": "0 9 * *"}), "such as `0 9 * * MON-FRI`"),
        (json!({"frequency": "cron", "cron_expression": "61 9 * * *"}), "such as `0 9 * * MON-FRI`"),
        (json!("FREQ=FORTNIGHTLY"), "DAILY, HOURLY, MINUTELY, or SECONDLY with an INTERVAL of 60 or more"),
    ] {
        let refused = refusal(&rule);
        assert!(refused.contains(allowed), "{rule}: {refused}");
    }
}

#[test]
fn what_is_no_rule_is_refused_with_a_reason() {
    let cases = [
        (json!([]), "neither an object"),
        (json!({}), "write a frequency"),
        (json!({"frequency": "hourly"}), "`hourly` is unknown"),
        (json!({"frequency": 7}), "`frequency` is no text"),
        (json!({"frequency": "daily", "interval": 0}), "`interval` is 0"),
        (json!({"frequency": "daily", "interval": -1}), "`interval` is -1"),
        (json!({"frequency": "daily", "interval": 1.5}), "`interval` is 1.5"),
        (json!({"frequency": "daily", "count": 0}), "`count` is 0"),
        (json!({"frequency": "daily", "count": 4_294_967_296_u64}), "`count` is"),
        (json!({"frequency": "daily", "end_date": "soon"}), "`end_date`: `soon` is no date"),
        (json!({"frequency": "daily", "exdates": ["2026-02-30"]}), "`exdates`"),
        (json!({"frequency": "weekly", "days_of_week": [8]}), "`days_of_week` has 8"),
        (json!({"frequency": "weekly", "days_of_week": ["X"]}), "`days_of_week` has"),
        (json!({"frequency": "monthly", "days_of_week": ["MO"]}), "write an RRULE with BYDAY"),
        (json!({"frequency": "daily", "follow": "yes"}), "`follow`"),
        (json!({"frequency": "daily", "on_complete": "stop"}), "write end or next"),
        (json!({"frequency": "cron"}), "`cron_expression` is missing"),
        (
            json!({"frequency": "cron", "cron_expression": "0 9 * * *", "interval": 2}),
            "`interval` says nothing",
        ),
        (json!({"frequency": "cron", "cron_expression": "0 9 * *"}), "has 4 fields"),
        (json!({"frequency": "cron", "cron_expression": "0 0 9 * * * 2030"}), "has 7 fields"),
        (json!({"frequency": "cron", "cron_expression": "61 9 * * *"}), "is no cron expression"),
        (json!({"frequency": "cron", "cron_expression": "* * * * * *"}), "more often than every 60 seconds"),
        (
            json!({"frequency": "cron", "cron_expression": "0,30 * * * * *"}),
            "more often than every 60 seconds",
        ),
        (json!({"frequency": "cron", "cron_expression": "0 9 30 2 *"}), "never fires"),
        (json!({"frequency": "cron", "cron_expression": "0 9 31 4,6 ?"}), "never fires"),
        (json!("daily"), "no part of a rule"),
        (json!("COUNT=3"), "FREQ is missing"),
        (json!("FREQ=FORTNIGHTLY"), "FREQ=FORTNIGHTLY is unknown"),
        (json!("FREQ=DAILY;INTERVAL=0"), "INTERVAL=0"),
        (json!("FREQ=DAILY;COUNT=-1"), "COUNT=-1"),
        (json!("FREQ=DAILY;FREQ=DAILY"), "there twice"),
        (json!("FREQ=DAILY;BYDAYS=MO"), "`BYDAYS` is no part"),
        (json!("FREQ=DAILY;BYEASTER=1"), "`BYEASTER` is no part"),
        (json!("FREQ=DAILY;BYDAY=1MO"), "BYDAY with a number"),
        (json!("FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO"), "BYDAY with a number"),
        (json!("FREQ=MONTHLY;BYDAY=0MO"), "BYDAY has 0MO"),
        (json!("FREQ=MONTHLY;BYMONTHDAY=32"), "BYMONTHDAY has 32"),
        (json!("FREQ=MONTHLY;BYMONTHDAY=0"), "BYMONTHDAY has 0"),
        (json!("FREQ=DAILY;BYMONTH=-1"), "BYMONTH has -1"),
        (json!("FREQ=DAILY;BYSETPOS=1"), "BYSETPOS needs"),
        (json!("FREQ=DAILY;UNTIL=never"), "UNTIL: `NEVER` is no date"),
        (json!("FREQ=SECONDLY"), "more often than every 60 seconds"),
        (json!("FREQ=SECONDLY;INTERVAL=59"), "more often than every 60 seconds"),
        (json!("FREQ=HOURLY;BYSECOND=0,30"), "more often than every 60 seconds"),
        (json!("FREQ=DAILY\nFREQ=WEEKLY"), "more than one rule"),
        (json!("FREQ=DAILY\nRDATE:20261124"), "`RDATE` is not understood"),
        (json!("FREQ=DAILY\nEXDATE;TZID=Mars/Base:20261124T090000"), "is no IANA zone"),
        (json!("FREQ=DAILY\nEXDATE:2026"), "EXDATE: `2026` is no date"),
        (json!("EXDATE:20261124"), "it has no rule"),
    ];
    for (rule, reason) in cases {
        let refused = refusal(&rule);
        assert!(refused.contains(reason), "{rule}: {refused}");
    }
    assert!(Series::parse("FREQ=DAILY").is_err(), "not JSON");
    let rule = |bytes: usize| format!("\"FREQ=DAILY{}\"", ";".repeat(bytes - "\"FREQ=DAILY\"".len()));
    assert!(Series::parse(&rule(RECURRENCE_MAX_BYTES)).is_ok());
    assert!(Series::parse(&rule(RECURRENCE_MAX_BYTES + 1)).is_err());
}

#[test]
fn a_rule_that_names_nothing_gives_up_with_a_reason() {
    for rule in [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTH=4;BYMONTHDAY=31",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=WEEKLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MINUTELY;INTERVAL=2;BYMINUTE=1",
        "FREQ=DAILY;INTERVAL=7;BYDAY=MO",
        "FREQ=SECONDLY;INTERVAL=4294967295;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=1;BYSETPOS=2",
        "FREQ=YEARLY;INTERVAL=4294967295",
        "FREQ=WEEKLY;INTERVAL=4294967295;BYDAY=MO",
    ] {
        let series = series(&json!(rule));
        let first = Moment::new(wall("2026-11-25T08:00:00"), Zone::UTC);
        let mut after = first.instant(nine());
        if rule.ends_with("BYDAY=MO") && rule.starts_with("FREQ=WEEKLY") {
            after = at("2026-11-30T08:00:00Z");
        }
        let next = series.next_after(first, Zone::UTC, nine(), after);
        assert!(matches!(next, Next::GaveUp(_)), "{rule}: {next:?}");
    }
    let rare = json!("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO");
    assert_eq!(days(&rare, "2072-02-29", 2), "2072-02-29 2112-02-29");
}

#[test]
fn a_rule_once_a_minute_is_as_often_as_it_gets() {
    for rule in [
        json!("FREQ=MINUTELY"),
        json!("FREQ=SECONDLY;INTERVAL=60"),
        json!({"frequency": "cron", "cron_expression": "* * * * *"}),
    ] {
        assert_eq!(
            instants(&rule, "2026-11-25T08:00:00Z", "UTC", 2),
            "2026-11-25T08:00 2026-11-25T08:01",
            "{rule}"
        );
    }
}

#[test]
fn what_a_rule_says_of_following_and_completion_can_be_read() {
    let read = |rule: Value| (series(&rule).follow(), series(&rule).on_complete());
    assert_eq!(read(json!({"frequency": "daily"})), (None, OnComplete::End));
    assert_eq!(read(json!("FREQ=DAILY")), (None, OnComplete::End));
    assert_eq!(
        read(json!({"frequency": "daily", "follow": false, "on_complete": "NEXT"})),
        (Some(false), OnComplete::Next)
    );
    let nothing = json!({"frequency": "daily", "follow": null, "on_complete": null, "interval": null, "count": "",
                         "days_of_week": [], "end_date": null, "cron_expression": null, "unknown": {}});
    assert_eq!(series(&nothing), series(&json!({"frequency": "daily"})));
}

#[test]
fn only_occurrences_are_occurrences() {
    let (series, berlin) = (series(&json!({"frequency": "weekly"})), zone("Europe/Berlin"));
    let first = Moment::new(wall("2026-11-25T09:00:00"), berlin);
    let is = |due: Due| series.is_occurrence(first, berlin, nine(), Moment::new(due, berlin));
    assert!(is(first.due()));
    assert!(is(wall("2026-12-02T09:00:00")));
    for other in ["2026-12-01T09:00:00", "2026-12-02T09:00:01", "2026-11-18T09:00:00", "2026-12-02"] {
        assert!(!is(due(other)), "{other}");
    }
}

#[test]
fn due_dates_and_instants_beyond_the_calendar_are_no_trouble() {
    let edge = Moment::new(wall("9999-12-31T09:00:00"), Zone::UTC);
    let far = |series: &Series, first, after| series.next_after(first, Zone::UTC, nine(), after);
    for rule in [
        json!({"frequency": "daily"}),
        json!("FREQ=MONTHLY;BYDAY=MO"),
        json!("FREQ=HOURLY;INTERVAL=50"),
        json!({"frequency": "cron", "cron_expression": "0 9 * * *"}),
        json!({"frequency": "yearly", "count": 9}),
        json!({"frequency": "weekly", "days_of_week": [1, 7], "count": 4_294_967_295_u32}),
    ] {
        let series = series(&rule);
        assert!(matches!(far(&series, edge, edge.instant(nine())), Next::GaveUp(_)), "{rule}");
        for first in [
            Due::Wall(i64::MIN),
            Due::Wall(i64::MAX),
            Due::Date(i32::MIN),
            Due::Date(i32::MAX),
            Due::Instant(Timestamp::MIN),
            Due::Instant(Timestamp::MAX),
        ] {
            for zone in ["UTC", "America/New_York"] {
                let first = Moment::new(first, crate::domain::tests::zone(zone));
                assert!(matches!(far(&series, first, Timestamp::MAX), Next::GaveUp(_)), "{rule} {first:?}");
                far(&series, first, Timestamp::MIN);
            }
        }
        let first = Moment::new(wall("2026-11-25T09:00:00"), zone("Europe/Berlin"));
        assert!(!matches!(far(&series, first, Timestamp::MAX), Next::At(_)), "{rule}");
        assert_eq!(far(&series, first, Timestamp::MIN), Next::At(first));
    }
}

const WORDS: &str = "FREQ=|YEARLY|MONTHLY|WEEKLY|DAILY|HOURLY|MINUTELY|SECONDLY|;INTERVAL=|1|2|60|-1|31|366|;COUNT=|\
                     ;UNTIL=|20261231|T090000|Z|;BYMONTH=|;BYDAY=|MO|SU|,|;BYMONTHDAY=|;BYYEARDAY=|;BYWEEKNO=|\
                     ;BYHOUR=|;BYMINUTE=|;BYSECOND=|;BYSETPOS=|;WKST=|\nEXDATE:|\nEXDATE;TZID=|Europe/Berlin:| |é|🦀";

/// Rules as texts that are nearly right, so that reading goes deep.
fn nearly() -> impl Strategy<Value = String> {
    let words = prop::sample::select(WORDS.split('|').collect::<Vec<_>>());
    let text = prop::collection::vec(words, 0..14).prop_map(|words| Value::from(words.concat()).to_string());
    let parts = (
        prop::sample::select(vec!["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY"]),
        prop::sample::select(vec![
            "",
            ";INTERVAL=7",
            ";INTERVAL=4294967295",
            ";COUNT=40",
            ";COUNT=4294967295",
        ]),
        prop::sample::select(vec!["", ";BYMONTH=2", ";BYMONTHDAY=30,-1", ";BYYEARDAY=366", ";BYDAY=FR"]),
        prop::sample::select(vec![
            "",
            ";BYHOUR=3,7",
            ";BYMINUTE=1",
            ";BYWEEKNO=53",
            ";BYSECOND=9",
            ";BYSETPOS=-2,1",
        ]),
    )
        .prop_map(|(freq, a, b, c)| Value::from(format!("FREQ={freq}{a}{b}{c}")).to_string());
    let field = "[0-9*?/,LW#+A-Za-zé-]{1,7}|\\*|[0-9]{1,2}";
    let cron = prop::collection::vec(field, 4..8)
        .prop_map(|fields| json!({"frequency": "cron", "cron_expression": fields.join(" ")}).to_string());
    let object = (
        prop::sample::select(vec!["daily", "weekly", "monthly", "yearly"]),
        any::<u32>(),
        prop::option::of(any::<u32>()),
        prop::collection::vec(0..8, 0..3),
        "\\PC{0,12}|[0-9]{4}-[0-9]{2}-[0-9]{2}",
    )
        .prop_map(|(frequency, interval, count, days_of_week, end_date)| {
            json!({"frequency": frequency, "interval": interval, "count": count, "days_of_week": days_of_week,
                   "end_date": end_date})
            .to_string()
        });
    prop_oneof!["\\PC{0,40}", text, parts, cron, object]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_a_series_or_a_reason_and_any_search_ends(
        text in nearly(),
        first in prop_oneof![
            (-70_000_000_000_000_i64..260_000_000_000_000).prop_map(Due::Wall),
            any::<i64>().prop_map(|ms| Due::Instant(Timestamp::from_millis(ms))),
            (-20_000..60_000).prop_map(Due::Date),
        ],
        ahead in 0_u64..4_000_000_000_000,
    ) {
        match Series::parse(&text) {
            Err(reason) => prop_assert!(!reason.is_empty() && reason.len() < 400, "{}", reason),
            Ok(series) => {
                let zone = zone("America/New_York");
                let first = Moment::new(first, zone);
                let after = first.instant(nine()).plus(Duration::from_millis(ahead));
                for after in [Timestamp::MIN, after, Timestamp::MAX] {
                    prop_assert!(steps(&series, first, zone, after) <= STEPS_MAX);
                    if let Next::At(moment) = series.next_after(first, zone, nine(), after) {
                        prop_assert!(moment.instant(nine()) > after);
                        prop_assert!(moment == first || moment.instant(nine()) > first.instant(nine()));
                    }
                }
            }
        }
    }
}
