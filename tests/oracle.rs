//! Due dates and recurrence against what others say of them: zoneinfo and dateutil, asked beforehand.
//!
//! The tables in `tests/oracle/` are written by the scripts beside them (see CONTRIBUTING.md).

use chrono::NaiveTime;
use reminder_worker::domain::{Due, Moment, Next, Series, Timestamp, Zone};
use sha2::{Digest, Sha256};

/// Occurrences of a rule that are compared, counted from its due date.
const FIRST: usize = 12;
/// 2090-01-01: the scripts look no further.
const HORIZON: Timestamp = Timestamp::from_millis(3_786_912_000_000);

fn digest(text: &str, length: usize) -> String {
    let bytes = Sha256::digest(text.as_bytes());
    let mut hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.truncate(length);
    hex
}

fn table(name: &str) -> Vec<Vec<String>> {
    let path = format!("{}/tests/oracle/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("a table");
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

fn differences(told: &[String]) -> String {
    format!("{} differences, the first of them:\n{}", told.len(), told[..told.len().min(20)].join("\n"))
}

#[test]
fn wall_times_around_every_change_of_clocks_are_the_instants_that_zoneinfo_says() {
    assert_eq!(chrono_tz::IANA_TZDB_VERSION, "2025b", "the table is of another release: write it anew");
    let mut different = Vec::new();
    let (mut compared, mut names) = (0, Vec::new());
    for row in table("zones.tsv") {
        let [zones, offset, changes, asked, expected] = &row[..] else { panic!("a row of five: {row:?}") };
        let asked: usize = asked.parse().unwrap();
        let walls = walls(offset.parse().unwrap(), changes);
        assert_eq!(walls.len(), asked);
        for name in zones.split(' ') {
            names.push(name.to_owned());
            // What zoneinfo calls Factory is for machines whose zone was never set.
            let Ok(zone) = name.parse::<Zone>() else {
                assert_eq!(name, "Factory");
                continue;
            };
            let seconds = |wall: &i64| {
                let at = Moment::new(Due::Wall(wall * 1000), zone).instant(NaiveTime::MIN);
                (at.millis() / 1000).to_string()
            };
            let told: Vec<String> = walls.iter().map(seconds).collect();
            compared += asked;
            if digest(&told.join(","), 16) != *expected {
                different.push(format!("{name}: not the instants of {expected}"));
            }
        }
    }
    let missing: Vec<&str> = chrono_tz::TZ_VARIANTS
        .iter()
        .map(|zone| zone.name())
        .filter(|name| !names.iter().any(|n| n == name))
        .collect();
    assert!(missing.is_empty(), "zones that nobody was asked about: {missing:?}");
    println!("{compared} wall times in {} zones compared", names.len());
    assert!(compared > 100_000);
    assert!(different.is_empty(), "{}", differences(&different));
}

/// The wall times that the script asks about, in seconds.
fn walls(offset: i64, changes: &str) -> Vec<i64> {
    const BEGIN: i64 = 946_684_800;
    let (mut at, mut before) = (BEGIN, offset);
    let mut walls = Vec::new();
    for change in changes.split(' ').filter(|change| !change.is_empty()) {
        let (since, after) = change.split_once(':').expect("seconds and an offset");
        let after: i64 = after.parse().expect("a number");
        at += since.parse::<i64>().expect("a number");
        let (low, high) = (at + before.min(after), at + before.max(after));
        walls.extend([low - 3600, low - 1, low, (low + high).div_euclid(2), high - 1, high, high + 3600]);
        before = after;
    }
    walls
}

#[test]
fn recurrence_rules_give_the_occurrences_that_dateutil_and_plain_counting_give() {
    let date_only = NaiveTime::from_hms_opt(9, 0, 0).unwrap();
    let mut different = Vec::new();
    let (mut rules, mut occurrences, mut given_up) = (0, 0, 0);
    for row in table("recurrence.tsv") {
        let [text, zone, due, far, expected] = &row[..5] else { panic!("a row of five: {row:?}") };
        let zone: Zone = zone.parse().unwrap();
        let first = Moment::new(stated(due), zone);
        let first_at = first.instant(date_only);
        rules += 1;
        let series = match Series::parse(text) {
            Ok(series) => series,
            Err(reason) => {
                different.push(format!("{text}: refused: {reason}"));
                continue;
            }
        };
        let mut next = |after: Timestamp, none: &str| {
            occurrences += 1;
            match series.next_after(first, zone, date_only, after) {
                Next::At(moment) if moment.instant(date_only) < HORIZON => Ok(moment.instant(date_only)),
                Next::Ended(_) => Err(".".to_owned()),
                Next::At(_) => Err(none.to_owned()),
                Next::GaveUp(_) => {
                    given_up += 1;
                    Err(none.to_owned())
                }
            }
        };
        let mut told: Vec<Timestamp> = Vec::new();
        let mut end = "+".to_owned();
        while told.len() < FIRST {
            match next(told.last().copied().unwrap_or(Timestamp::MIN), "+") {
                Ok(at) => told.push(at),
                Err(sign) => {
                    end = sign;
                    break;
                }
            }
        }
        let far = Timestamp::from_millis(first_at.millis() + far.parse::<i64>().unwrap() * 1000);
        let far = next(far, "?").map_or_else(|sign| sign, |at| at.millis().to_string());
        let told: Vec<String> = told.iter().map(|at| at.millis().to_string()).collect();
        let told = format!("{}{end}{far}", told.join(","));
        if digest(&told, 12) != *expected {
            let other = row.get(5).map_or("", |other| other);
            different.push(format!("{text} from {due} in {zone}:\n  {told}\n  {other}"));
        }
    }
    println!("{rules} rules compared, {occurrences} occurrences asked for, {given_up} searches given up");
    assert!(different.is_empty(), "{}", differences(&different));
    assert_eq!(rules, 10_000);
}

/// A due date as the table writes it.
fn stated(due: &str) -> Due {
    if let Ok(day) = due.parse() {
        return Due::date(day);
    }
    match due.strip_suffix('Z') {
        Some(utc) => match Due::wall(utc.parse().expect("a time")) {
            Due::Wall(ms) => Due::Instant(Timestamp::from_millis(ms)),
            other => other,
        },
        None => Due::wall(due.parse().expect("a time")),
    }
}
