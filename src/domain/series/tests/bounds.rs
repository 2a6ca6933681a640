//! What a search costs, in steps, and that a count is followed however often its rule comes.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{nine, series};
use crate::domain::series::walk::{BLOCK_STEPS_MAX, Blocks, Filled, Halt, STEPS_MAX, Walk, count_filled};
use crate::domain::series::{Frame, Series, Steps};
use crate::domain::tests::{at, wall};
use crate::domain::{Due, Moment, Next, Timestamp, Zone};

/// The steps that a search for what comes after `after` makes.
pub(super) fn steps(series: &Series, first: Moment, zone: Zone, after: Timestamp) -> u32 {
    let Some(frame) = Frame::new(first, zone, nine(), !matches!(series.steps, Steps::Cron(_))) else {
        return 0;
    };
    let blocks = series.blocks(frame.start);
    let mut walk = series.walk(blocks.as_ref(), &frame, after);
    series.search(&frame, &mut walk, first.instant(nine()), after, &mut None);
    walk.steps
}

fn utc(text: &str) -> Moment {
    Moment::new(wall(text), Zone::UTC)
}

fn next(rule: &str, first: &str, after: Timestamp) -> Next {
    series(&json!(rule)).next_after(utc(first), Zone::UTC, nine(), after)
}

fn list(values: impl Iterator<Item = i32>) -> String {
    values.map(|value| value.to_string()).collect::<Vec<_>>().join(",")
}

/// Every minute of every day, as a rule of any frequency.
fn every_minute() -> String {
    format!("BYHOUR={};BYMINUTE={}", list(0..24), list(0..60))
}

#[test]
fn a_search_ends_where_another_block_could_exceed_the_most_steps() {
    const LAST: i64 = (STEPS_MAX - BLOCK_STEPS_MAX) as i64;
    struct Empty;
    impl Blocks for Empty {
        fn block_of(&self, _: i64) -> i64 {
            0
        }
        fn fill(&self, block: i64, into: &mut Vec<i64>) -> Option<Filled> {
            if block == LAST {
                into.push(7);
            }
            Some(Filled { next: block + 1, looked: 1 })
        }
        fn count(&self, block: i64) -> Option<(usize, Filled)> {
            count_filled(self, block)
        }
    }
    let mut walk = Walk::new(&Empty, 0);
    assert_eq!((walk.next(), walk.next()), (Ok(7), Err(Halt::Steps)));
}

#[test]
fn a_count_is_followed_for_as_many_days_as_steps_and_then_gives_up_with_a_reason() {
    let counted = |n: u32| {
        let rule = format!("FREQ=DAILY;BYHOUR=8,9;COUNT={n}");
        next(&rule, "2026-01-01T08:00:00", Timestamp::MAX)
    };
    // The first day is laid out, which takes two steps more.
    let days = STEPS_MAX - BLOCK_STEPS_MAX - 1;
    assert_eq!(counted(2 * days), Next::Ended(format!("all {} occurrences are past", 2 * days)));
    let Next::GaveUp(reason) = counted(2 * days + 1) else { panic!("it was followed") };
    assert!(reason.starts_with(&format!("its count of {} could not be followed", 2 * days + 1)), "{reason}");
}

#[test]
fn a_count_is_followed_to_its_last_occurrence_however_often_the_rule_comes() {
    const COUNT: i64 = 5_000_000;
    let (months, minutes) = (list(1..13), every_minute());
    let rrule = |rule: String| json!(format!("{rule};COUNT={COUNT}"));
    for (rule, every) in [
        (rrule(format!("FREQ=MINUTELY;BYMONTH={months}")), 1),
        (rrule(format!("FREQ=MINUTELY;INTERVAL=7;BYMONTH={months}")), 7),
        (rrule(format!("FREQ=SECONDLY;INTERVAL=60;BYMONTH={months}")), 1),
        (rrule(format!("FREQ=HOURLY;BYMINUTE={}", list(0..60))), 1),
        (rrule(format!("FREQ=DAILY;{minutes}")), 1),
        (rrule(format!("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;{minutes}")), 1),
        (rrule(format!("FREQ=YEARLY;BYMONTH={months};BYMONTHDAY={};{minutes}", list(1..32))), 1),
        (json!({"frequency": "cron", "cron_expression": "* * * * *", "count": COUNT}), 1),
    ] {
        let (series, first) = (series(&rule), utc("2026-01-01T00:00:00"));
        let after_first =
            |n: i64| Timestamp::from_millis(first.instant(nine()).millis() + n * every * 60_000);
        let next = |after| series.next_after(first, Zone::UTC, nine(), after);
        let last = Moment::new(Due::Wall(after_first(COUNT - 1).millis()), Zone::UTC);
        assert_eq!(next(after_first(COUNT - 2)), Next::At(last), "{rule}");
        assert_eq!(next(after_first(COUNT - 1)), Next::Ended(format!("all {COUNT} occurrences are past")));
    }
}

#[test]
fn a_long_period_is_searched_from_where_it_is_asked_and_its_last_occurrence_is_computed() {
    let all = format!("FREQ=YEARLY;BYMONTH={};BYMONTHDAY={};{}", list(1..13), list(1..32), every_minute());
    let from = "2026-01-01T00:00:00";
    let late = at("2026-12-31T23:00:00Z");
    assert_eq!(next(&all, from, late), Next::At(utc("2026-12-31T23:01:00")));
    for (positions, after, expected) in [
        ("-1", late, "2026-12-31T23:59:00"),
        ("-2,2,366", at("2026-01-01T00:00:00Z"), "2026-01-01T00:01:00"),
        ("-2,2,366", at("2026-01-01T00:01:00Z"), "2026-01-01T06:05:00"),
        ("-2,2,366", at("2026-01-01T06:05:00Z"), "2026-12-31T23:58:00"),
    ] {
        assert_eq!(next(&format!("{all};BYSETPOS={positions}"), from, after), Next::At(utc(expected)));
    }
}

/// The rules that cost most: long lists of what never comes, of what is laid out for nothing, of what must be counted.
fn worst_rules() -> Vec<Value> {
    let (minutes, year_days) = (every_minute(), list(-60..0));
    let rules = [
        format!("FREQ=MINUTELY;BYMONTH={}", list(1..13)),
        "FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=30".to_owned(),
        format!("FREQ=SECONDLY;INTERVAL=61;BYHOUR={};BYMINUTE={};BYSECOND=59", list(0..24), list(0..59)),
        format!("FREQ=SECONDLY;INTERVAL=86399;BYMINUTE={};COUNT=4294967295", list(0..60)),
        format!("FREQ=SECONDLY;INTERVAL=61;BYMINUTE={};COUNT=4294967295", list(0..60)),
        format!("FREQ=MINUTELY;INTERVAL=7;BYHOUR={};COUNT=4294967295", list(0..24)),
        format!("FREQ=YEARLY;BYYEARDAY={year_days};BYMONTHDAY={};BYMONTH=2", list(-31..-29)),
        format!("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;{minutes}"),
        format!("FREQ=YEARLY;BYYEARDAY={};{minutes};BYSETPOS={}", list(1..60), list(300..340)),
        format!("FREQ=YEARLY;BYYEARDAY=1;BYSETPOS={}", list(2..250)),
        format!("FREQ=WEEKLY;BYDAY=MO,TU;{minutes};BYSETPOS={};COUNT=4294967295", list(1..160)),
        format!("FREQ=DAILY;{minutes};BYSETPOS={}", list(-366..-220)),
        format!("FREQ=DAILY;{minutes};UNTIL=99991231"),
        format!(
            "FREQ=YEARLY;BYDAY={}",
            (1..100).map(|n| format!("{}MO", n % 53 + 1)).collect::<Vec<_>>().join(",")
        ),
    ];
    let except: String = (1..100).map(|n| format!("2026{:02}{:02},", n / 28 + 1, n % 28 + 1)).collect();
    let excepted = format!("FREQ=MINUTELY\nEXDATE:{except}");
    rules.into_iter().chain([excepted]).map(Value::from).collect()
}

#[test]
fn no_search_makes_more_than_the_most_steps_and_the_worst_comes_near() {
    let first = utc("2026-01-01T00:00:00");
    let mut most = (0, String::new());
    for rule in worst_rules() {
        let series = series(&rule);
        for after in [first.instant(nine()), at("2040-02-29T12:00:00Z"), Timestamp::MAX] {
            let steps = steps(&series, first, Zone::UTC, after);
            assert!(steps <= STEPS_MAX, "{steps} steps: {rule}");
            most = most.max((steps, rule.to_string()));
        }
    }
    println!("the most steps of one search: {most:?}");
    assert!(most.0 > STEPS_MAX - BLOCK_STEPS_MAX, "{most:?}");
}

#[test]
fn a_block_takes_as_many_steps_as_the_bound_and_none_takes_more() {
    let start = utc("2026-01-01T00:00:00");
    let mut most = 0;
    for rule in worst_rules() {
        let series = series(&rule);
        let frame = Frame::new(start, Zone::UTC, nine(), true).unwrap();
        let blocks = series.blocks(frame.start);
        let first = blocks.block_of(frame.start.wall);
        for block in first..first + 2 * 366 {
            let mut found = Vec::new();
            let Some(filled) = blocks.fill(block, &mut found) else { break };
            most = most.max(filled.looked + found.len());
            assert!(most <= BLOCK_STEPS_MAX as usize, "{most} steps: {rule}");
            let (many, counted) = blocks.count(block).unwrap();
            assert_eq!((many, counted.next), (found.len(), filled.next), "{rule}, block {block}");
        }
    }
    assert_eq!(most, BLOCK_STEPS_MAX as usize);
}

fn any_rule() -> impl Strategy<Value = String> {
    let freq = prop::sample::select(vec![
        "YEARLY",
        "MONTHLY",
        "WEEKLY",
        "DAILY",
        "HOURLY",
        "MINUTELY",
        "SECONDLY;INTERVAL=5400",
    ]);
    let interval = prop::sample::select(vec!["", ";INTERVAL=2", ";INTERVAL=7", ";INTERVAL=100"]);
    let part = |parts: &[&'static str]| prop::sample::select([&[""], parts].concat());
    let days = part(&[";BYMONTH=1,3,12", ";BYMONTHDAY=1,-1,-1", ";BYDAY=MO,FR", ";BYYEARDAY=-1,1,100"]);
    let times = part(&[";BYHOUR=8,20", ";BYMINUTE=0,15,45", ";BYHOUR=9;BYMINUTE=0,30"]);
    (freq, interval, days, times, part(&[";BYSETPOS=1,-1", ";BYSETPOS=2"])).prop_map(
        |(freq, interval, days, times, positions)| {
            let interval = if freq.contains("INTERVAL") { "" } else { interval };
            let positions = if days.is_empty() && times.is_empty() { "" } else { positions };
            format!("FREQ={freq}{interval}{days}{times}{positions}")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn counting_by_blocks_is_counting_one_by_one(
        rule in any_rule(),
        count in 2_usize..90,
        start in (0_i64..2_000_000).prop_map(|minutes| Due::Wall(1_767_225_600_000 + minutes * 60_000)),
    ) {
        let first = Moment::new(start, Zone::UTC);
        let all = series(&json!(rule));
        let counted = series(&json!(format!("{rule};COUNT={count}")));
        let next = |series: &Series, after| series.next_after(first, Zone::UTC, nine(), after);
        let mut told = vec![first.instant(nine())];
        while told.len() < count && let Next::At(moment) = next(&all, told[told.len() - 1]) {
            prop_assert_eq!(next(&counted, told[told.len() - 1]), Next::At(moment), "{} of {}", told.len(), rule);
            told.push(moment.instant(nine()));
        }
        if told.len() == count {
            prop_assert!(matches!(next(&counted, told[count - 1]), Next::Ended(_)), "{}", rule);
            prop_assert!(matches!(next(&counted, Timestamp::MAX), Next::Ended(_)), "{}", rule);
        }
    }
}
