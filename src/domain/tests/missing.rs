//! What ends after a restore of which nobody knows whether it went out before.

use super::*;
use crate::domain::catch_up::{CatchUp, catch_up, drop_overdue};
use crate::domain::decide::{REASON_MISSING, begin_attempt, release};
use crate::domain::expiry::{Expiry, Missing};
use crate::domain::import::keep_past;
use crate::domain::{Cause, erase, fate};

/// The backup is of minute 50, the store was restored at minute 100.
fn restored() -> PolicyInForce {
    let missing = Missing { from: minute(50), at: minute(100), until: minute(100), held_to: None };
    PolicyInForce { missing: Some(missing), ..policy() }
}

fn record(policy: &PolicyInForce) -> Record {
    let events = [created(T0, &[due(minute(100)), offsets(&[0, 20])])];
    let mut record = Record { task: merged(&events), ..Record::default() };
    replanned(&mut record, policy, T0);
    record
}

fn never(_: &ReminderId) -> bool {
    false
}

#[test]
fn what_was_due_by_the_restore_and_nothing_else_is_in_doubt() {
    let expiry = restored().expiry();
    let is_in_doubt = |at| expiry.is_in_doubt(at, at);
    let oldest = minute(50).minus(restored().policy.expire_after);
    assert!(is_in_doubt(minute(100)) && is_in_doubt(oldest));
    assert!(!is_in_doubt(oldest.minus(Timestamp::FINEST)), "it was given up before");
    assert!(!is_in_doubt(minute(100).plus(Timestamp::FINEST)));
    assert!(!policy().expiry().is_in_doubt(minute(10), minute(10)));
    assert!(expiry.is_in_doubt(oldest.minus(Timestamp::FINEST), minute(50)), "it waited for a later moment");
}

#[test]
fn whatever_ends_a_reminder_that_may_have_gone_out_its_fate_does_not_say_that_it_did_not() {
    type End = fn(&mut Record, &PolicyInForce);
    let ends: [(&str, End); 8] = [
        ("its task ended", |record, policy| {
            record.task.apply(&event(Kind::Completed, minute(120)), minute(120));
            replanned(record, policy, minute(120));
        }),
        ("it was called off", |record, policy| {
            let off = Statement::Cancelled(Some(Target::Present));
            record.task.apply(&updated(minute(120), &[off]), minute(120));
            replanned(record, policy, minute(120));
        }),
        ("its task moved", |record, policy| {
            record.task.apply(&updated(minute(120), &[due(minute(900))]), minute(120));
            replanned(record, policy, minute(120));
        }),
        ("a later one fires", |record, policy| {
            assert!(catch_up(&task("t"), record, CatchUp::Skip, policy.expiry(), minute(120), &never));
        }),
        ("it came too late", |record, policy| {
            for reminder in &mut record.reminders {
                assert!(!begin_attempt(reminder, policy.expiry(), minute(100_000)));
            }
        }),
        ("its user was muted", |record, policy| {
            for reminder in &mut record.reminders {
                release(reminder, Cause::Muted, policy.expiry(), minute(120));
            }
        }),
        ("it was past when it was imported", |record, policy| {
            assert_eq!(keep_past(&[], record, policy.expiry(), minute(120)), 2);
        }),
        ("its user was erased", |record, policy| {
            let ended =
                erase::end_all(&task("t"), &mut record.reminders, policy.expiry(), minute(120), &never);
            assert_eq!(ended.cancelled, if policy.missing.is_some() { 0 } else { 2 });
        }),
    ];
    for (what, end) in ends {
        for (policy, told) in [(restored(), Fate::InFlight), (policy(), Fate::WillNotFire)] {
            let mut record = record(&policy);
            end(&mut record, &policy);
            let (left, ended): (Vec<&Reminder>, Vec<&Reminder>) = record
                .reminders
                .iter()
                .filter(|r| r.fire_at <= minute(100))
                .partition(|r| r.state == State::Pending && what == "a later one fires");
            assert_eq!(
                left.len(),
                usize::from(what == "a later one fires" && policy.missing.is_some()),
                "{what}"
            );
            for reminder in ended {
                assert_eq!(fate(reminder, false), told, "{what}: {reminder:?}");
            }
        }
    }
    let mut dropped = record(&restored());
    assert!(drop_overdue(&task("t"), &mut dropped, minute(100), minute(120), &never));
    assert!(dropped.reminders.iter().all(|reminder| fate(reminder, false) == Fate::InFlight));
}

#[test]
fn while_it_is_planned_it_fires_as_one_that_never_did() {
    let policy = restored();
    let mut record = record(&policy);
    replanned(&mut record, &policy, minute(120));
    assert!(record.reminders.iter().all(|r| r.state == State::Pending && !r.maybe_out));
    let mut gone = record.reminders[0].clone();
    gone.doubt(Expiry::from(std::time::Duration::ZERO));
    assert!(!gone.maybe_out);
    record.task.apply(&event(Kind::Completed, minute(120)), minute(120));
    replanned(&mut record, &policy, minute(120));
    assert_eq!(record.reminders[0].reason.as_deref(), Some(REASON_MISSING));
}
