//! Recurrence as RFC 5545 text: a rule with or without `RRULE:`, and EXDATE lines.
//!
//! DTSTART is left aside, for the due date is the start. What would change which occurrences there are and is not
//! understood (RDATE, EXRULE, a second rule, an unknown part) is refused.

use super::plain::Plain;
use super::rule::{Freq, Rule};
use super::stated::{shown, time, weekday};
use super::walk::DAY;
use super::{FINEST_SECONDS, OnComplete, Series, Steps};
use crate::domain::due::{Due, Zone};

/// A rule as read, and what limits it.
struct Read {
    rule: Rule,
    count: Option<u32>,
    until: Option<Due>,
}

/// The series that `text` describes.
pub(super) fn read(text: &str) -> Result<Series, String> {
    let mut rule = None;
    let mut without = Vec::new();
    for line in unfolded(text) {
        let (head, value) = match line.split_once(':') {
            Some((head, value)) => (head.trim().to_ascii_uppercase(), value),
            None => ("RRULE".to_owned(), line.as_str()),
        };
        let (name, parameters) = head.split_once(';').unwrap_or((&head, ""));
        match name {
            "RRULE" if rule.is_some() => return Err("it has more than one rule; write one".to_owned()),
            "RRULE" => rule = Some(parts(value)?),
            "EXDATE" => {
                let zone = tzid(parameters, &line)?;
                for date in value.split(',').filter(|date| !date.trim().is_empty()) {
                    without.push(time(date, zone).map_err(|reason| format!("EXDATE: {reason}"))?);
                }
            }
            "DTSTART" | "DTEND" | "DURATION" => {}
            other => {
                return Err(format!("`{}` is not understood; write an RRULE and EXDATE lines", shown(other)));
            }
        }
    }
    let Read { rule, count, until } = rule.ok_or("it has no rule; write one such as FREQ=DAILY")?;
    let steps = plain(&rule).map_or_else(|| Steps::Rule(rule), Steps::Plain);
    Ok(Series { steps, count, end: until, without, follow: None, on_complete: OnComplete::default() })
}

/// Lines, with those that were folded put together again: a folded one goes on after a space and names nothing.
fn unfolded(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        match lines.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) && !line.contains(':') => last.push_str(line.trim()),
            _ => lines.push(line.trim().to_owned()),
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// The zone of a line's times; names of zones keep their case, which the head of the line lost.
fn tzid(parameters: &str, line: &str) -> Result<Option<Zone>, String> {
    let Some(place) = parameters.split(';').position(|parameter| parameter.starts_with("TZID=")) else {
        return Ok(None);
    };
    let head = line.split_once(':').map_or(line, |(head, _)| head);
    let named = head.split(';').nth(place + 1).and_then(|parameter| parameter.split_once('='));
    named.map(|(_, name)| name.trim().trim_matches('"').parse()).transpose()
}

fn parts(text: &str) -> Result<Read, String> {
    let text = text.to_ascii_uppercase();
    let mut named: Vec<(&str, &str)> = Vec::new();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, value) = part
            .split_once('=')
            .ok_or_else(|| format!("`{}` is no part of a rule; write FREQ=DAILY", shown(part)))?;
        if named.iter().any(|(other, _)| *other == name) {
            return Err(format!("{} is there twice", shown(name)));
        }
        named.push((name, value.trim()));
    }
    let value = |name: &str| named.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
    let whole = |name: &str| {
        let number = |text: &str| text.parse().ok().filter(|number: &u32| *number > 0);
        let refused =
            |text: &str| format!("{name}={} is no whole number from 1 on, such as {name}=2", shown(text));
        value(name).map(|text| number(text).ok_or_else(|| refused(text))).transpose()
    };
    let freq = freq(value("FREQ").ok_or("FREQ is missing; write FREQ=DAILY")?)?;
    let mut read =
        Read { rule: Rule::new(freq, whole("INTERVAL")?.unwrap_or(1)), count: whole("COUNT")?, until: None };
    for (name, value) in named {
        part(&mut read, name, value)?;
    }
    check(&read.rule)?;
    read.rule = read.rule.sorted();
    Ok(read)
}

fn freq(text: &str) -> Result<Freq, String> {
    Ok(match text {
        "YEARLY" => Freq::Yearly,
        "MONTHLY" => Freq::Monthly,
        "WEEKLY" => Freq::Weekly,
        "DAILY" => Freq::Daily,
        "HOURLY" => Freq::Hourly,
        "MINUTELY" => Freq::Minutely,
        "SECONDLY" => Freq::Secondly,
        other => {
            return Err(format!(
                "FREQ={} is unknown; write YEARLY, MONTHLY, WEEKLY, DAILY, HOURLY, MINUTELY, or SECONDLY with an INTERVAL \
                 of {FINEST_SECONDS} or more, such as FREQ=WEEKLY",
                shown(other)
            ));
        }
    })
}

fn part(read: &mut Read, name: &str, value: &str) -> Result<(), String> {
    let rule = &mut read.rule;
    match name {
        "FREQ" | "INTERVAL" | "COUNT" => {}
        "UNTIL" => read.until = Some(time(value, None).map_err(|reason| format!("UNTIL: {reason}"))?),
        "WKST" => {
            rule.week_start =
                weekday(value).ok_or_else(|| format!("WKST={} is no day; write MO to SU", shown(value)))?;
        }
        "BYMONTH" => rule.months = numbers(name, value, 1, 12)?,
        "BYWEEKNO" => rule.weeks = numbers(name, value, -53, 53)?,
        "BYYEARDAY" => rule.year_days = numbers(name, value, -366, 366)?,
        "BYMONTHDAY" => rule.month_days = numbers(name, value, -31, 31)?,
        "BYDAY" => rule.days = value.split(',').map(day).collect::<Result<_, _>>()?,
        "BYHOUR" => rule.hours = numbers(name, value, 0, 23)?,
        "BYMINUTE" => rule.minutes = numbers(name, value, 0, 59)?,
        "BYSECOND" => rule.seconds = numbers(name, value, 0, 59)?,
        "BYSETPOS" => rule.positions = numbers(name, value, -366, 366)?,
        other => {
            return Err(format!(
                "`{}` is no part of a rule; write FREQ, INTERVAL, COUNT, UNTIL, WKST, BYMONTH, BYWEEKNO, BYYEARDAY, \
                 BYMONTHDAY, BYDAY, BYHOUR, BYMINUTE, BYSECOND or BYSETPOS, such as FREQ=WEEKLY;BYDAY=MO",
                shown(other)
            ));
        }
    }
    Ok(())
}

/// Numbers within bounds; where they may count from the end, 0 is none of them.
fn numbers(name: &str, text: &str, least: i32, most: i32) -> Result<Vec<i32>, String> {
    let number = |item: &str| {
        let number: Option<i32> = item.trim().parse().ok();
        let number = number.filter(|n| (least..=most).contains(n) && (least >= 0 || *n != 0));
        number.ok_or_else(|| format!("{name} has {}, which is not from {least} to {most}", shown(item)))
    };
    text.split(',').map(number).collect()
}

/// A day of the week such as `MO`, `1MO` or `-1SU`.
fn day(text: &str) -> Result<(i32, u8), String> {
    let text = text.trim();
    let refused = || format!("BYDAY has {}; write MO to SU, or 1MO, or -1SU", shown(text));
    let letters = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(refused)?;
    let (n, name) = text.split_at(letters);
    let weekday = weekday(name).ok_or_else(refused)?;
    if n.is_empty() {
        return Ok((0, weekday));
    }
    let n = n.parse().ok().filter(|n: &i32| *n != 0 && (-53..=53).contains(n)).ok_or_else(refused)?;
    Ok((n, weekday))
}

fn check(rule: &Rule) -> Result<(), String> {
    let placed = rule.days.iter().any(|(n, _)| *n != 0);
    if placed && (rule.freq > Freq::Monthly || !rule.weeks.is_empty()) {
        return Err("BYDAY with a number needs FREQ=MONTHLY or YEARLY, without BYWEEKNO".to_owned());
    }
    let secondly = rule.freq == Freq::Secondly;
    if rule.seconds.len() > 1 && !secondly || secondly && rule.interval < FINEST_SECONDS {
        return Err(format!(
            "it comes more often than every {FINEST_SECONDS} seconds; write FREQ=MINUTELY or rarer, with one second"
        ));
    }
    if !rule.positions.is_empty() && !has_list(rule) {
        return Err("BYSETPOS needs another BY… part to count in".to_owned());
    }
    Ok(())
}

fn has_list(rule: &Rule) -> bool {
    let Rule { months, weeks, year_days, month_days, days, hours, minutes, seconds, .. } = rule;
    let lists = [months, weeks, year_days, month_days, hours, minutes, seconds];
    !days.is_empty() || lists.iter().any(|list| !list.is_empty())
}

/// The same rule as one that is computed, where it is that simple.
fn plain(rule: &Rule) -> Option<Plain> {
    let interval = i64::from(rule.interval);
    let every = |seconds: i64| Plain::Every(seconds * interval);
    if !has_list(rule) {
        return match rule.freq {
            Freq::Weekly => Some(every(7 * DAY)),
            Freq::Daily => Some(every(DAY)),
            Freq::Hourly => Some(every(3600)),
            Freq::Minutely => Some(every(60)),
            Freq::Secondly => Some(every(1)),
            // Months and years that lack the day are skipped here.
            Freq::Monthly | Freq::Yearly => None,
        };
    }
    let days = rule.days.iter().fold(0, |days, (_, day)| days | 1 << day);
    let only_days =
        Rule { days: rule.days.clone(), week_start: rule.week_start, ..Rule::new(rule.freq, rule.interval) };
    let monday_weeks = rule.freq == Freq::Weekly && (rule.week_start == 0 || rule.interval == 1);
    (*rule == only_days && monday_weeks).then_some(Plain::Weekly { weeks: rule.interval, days })
}
