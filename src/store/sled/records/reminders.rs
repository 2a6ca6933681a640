//! The part of a record that says what became of its plan.

use super::super::codes::Coded;
use super::super::wire::{Malformed, Reader, flags, put_count, put_int, put_text, put_uint};
use super::{CODE, instant, moment, put_instant, put_moment, text};
use crate::domain::{Due, Moment, Record, Reminder, Rule, State, Timestamp};

const MAYBE_OUT: u8 = 0x20;
const HAS_SETTLED: u8 = 0x40;
const HAS_REASON: u8 = 0x80;

const HAS_OCCURRENCE: u8 = 0x01;
const SAME_OCCURRENCE: u8 = 0x02;
const HAS_LEAVING: u8 = 0x04;
const HAS_ATTEMPTS: u8 = 0x08;
const HAS_NEXT_ATTEMPT: u8 = 0x10;
const HAS_RECEIVED: u8 = 0x20;

const RULE_OFFSET: u8 = 1;
const RULE_AT: u8 = 2;
const RULE_NAG: u8 = 3;
const RULE_SNOOZE: u8 = 4;

type Plan = (Vec<Reminder>, Vec<(Rule, Timestamp)>);

/// Adds the reminders and low-water marks of `record`.
pub(super) fn put(out: &mut Vec<u8>, base: i64, record: &Record) {
    put_count(out, record.reminders.len());
    let mut before = None;
    for reminder in &record.reminders {
        put_reminder(out, base, reminder, before);
        before = reminder.occurrence;
    }
    put_count(out, record.low_water.len());
    for (rule, mark) in &record.low_water {
        put_rule(out, base, *rule);
        put_instant(out, base, *mark);
    }
}

/// Reads what [`put`] added.
pub(super) fn read(reader: &mut Reader<'_>, base: i64) -> Result<Plan, Malformed> {
    let mut before = None;
    let reminders = reader.list(|reader| {
        let reminder = reminder(reader, base, before)?;
        before = reminder.occurrence;
        Ok(reminder)
    })?;
    let low_water = reader.list(|reader| Ok((rule(reader, base)?, instant(reader, base)?)))?;
    Ok((reminders, low_water))
}

fn put_reminder(out: &mut Vec<u8>, base: i64, reminder: &Reminder, before: Option<Moment>) {
    let same = reminder.occurrence.is_some() && reminder.occurrence == before;
    out.push(
        reminder.state.code()
            | flags(&[
                (MAYBE_OUT, reminder.maybe_out),
                (HAS_SETTLED, reminder.settled_at.is_some()),
                (HAS_REASON, reminder.reason.is_some()),
            ]),
    );
    out.push(flags(&[
        (HAS_OCCURRENCE, reminder.occurrence.is_some() && !same),
        (SAME_OCCURRENCE, same),
        (HAS_LEAVING, reminder.leaving.is_some()),
        (HAS_ATTEMPTS, reminder.attempts != 0),
        (HAS_NEXT_ATTEMPT, reminder.next_attempt.is_some()),
        (HAS_RECEIVED, reminder.received_at.is_some()),
    ]));
    if let Some(occurrence) = reminder.occurrence.filter(|_| !same) {
        put_moment(out, base, occurrence);
    }
    put_rule(out, base, reminder.rule);
    put_instant(out, nominal(base, reminder.occurrence, reminder.rule), reminder.fire_at);
    let fire_at = reminder.fire_at.millis();
    for at in [reminder.settled_at, reminder.next_attempt, reminder.received_at].into_iter().flatten() {
        put_int(out, at.millis().wrapping_sub(fire_at));
    }
    if let Some(reason) = &reminder.reason {
        put_text(out, reason);
    }
    if let Some(leaving) = reminder.leaving {
        out.push(leaving.code());
    }
    if reminder.attempts != 0 {
        put_uint(out, reminder.attempts.into());
    }
}

fn reminder(reader: &mut Reader<'_>, base: i64, before: Option<Moment>) -> Result<Reminder, Malformed> {
    let first = reader.byte()?;
    let second = reader.byte()?;
    let (one, two) = (|flag| first & flag != 0, |flag| second & flag != 0);
    let stated = reader.when(two(HAS_OCCURRENCE), |r| moment(r, base))?;
    let occurrence = stated.or(before.filter(|_| two(SAME_OCCURRENCE)));
    let rule = rule(reader, base)?;
    let fire_at = instant(reader, nominal(base, occurrence, rule))?;
    let relative = |reader: &mut Reader<'_>| instant(reader, fire_at.millis());
    Ok(Reminder {
        occurrence,
        rule,
        fire_at,
        state: State::from_code(first & CODE)?,
        maybe_out: one(MAYBE_OUT),
        settled_at: reader.when(one(HAS_SETTLED), relative)?,
        next_attempt: reader.when(two(HAS_NEXT_ATTEMPT), relative)?,
        received_at: reader.when(two(HAS_RECEIVED), relative)?,
        moved_from: None,
        within: None,
        planned_by: None,
        ended_by: None,
        cause: None,
        reason: reader.when(one(HAS_REASON), text)?,
        leaving: reader.when(two(HAS_LEAVING), |r| State::from_code(r.byte()?))?,
        attempts: reader.when(two(HAS_ATTEMPTS), Reader::uint32)?.unwrap_or(0),
    })
}

fn put_rule(out: &mut Vec<u8>, base: i64, rule: Rule) {
    match rule {
        Rule::Offset(minutes) => {
            out.push(RULE_OFFSET);
            put_uint(out, minutes.into());
        }
        Rule::At(at) => {
            out.push(RULE_AT);
            put_moment(out, base, at);
        }
        Rule::Nag(number) => {
            out.push(RULE_NAG);
            put_uint(out, number.into());
        }
        Rule::Snooze(until) => {
            out.push(RULE_SNOOZE);
            put_instant(out, base, until);
        }
    }
}

fn rule(reader: &mut Reader<'_>, base: i64) -> Result<Rule, Malformed> {
    match reader.byte()? {
        RULE_OFFSET => Ok(Rule::Offset(reader.uint32()?)),
        RULE_AT => Ok(Rule::At(moment(reader, base)?)),
        RULE_NAG => Ok(Rule::Nag(reader.uint32()?)),
        RULE_SNOOZE => Ok(Rule::Snooze(instant(reader, base)?)),
        _ => Err(Malformed("a number stands for no rule")),
    }
}

/// Near when the rule fires, without a tz database: what the instant is kept as a difference to.
fn nominal(base: i64, occurrence: Option<Moment>, rule: Rule) -> i64 {
    const MINUTE_MS: i64 = 60_000;
    const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
    let raw = |moment: Moment| match moment.due() {
        Due::Instant(at) => at.millis(),
        Due::Wall(ms) => ms,
        Due::Date(days) => i64::from(days) * DAY_MS,
    };
    match rule {
        Rule::At(at) => raw(at),
        Rule::Snooze(until) => until.millis(),
        Rule::Nag(_) => occurrence.map_or(base, raw),
        Rule::Offset(minutes) => occurrence.map_or(base, raw).wrapping_sub(i64::from(minutes) * MINUTE_MS),
    }
}
