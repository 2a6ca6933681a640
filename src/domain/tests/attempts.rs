//! Attempts: how they begin, end and are known to have succeeded.

use std::time::Duration;

use super::super::decide::{
    Attempt, REASON_TOO_LATE, REASON_UNCONFIRMED, REASON_UNKNOWN, begin_attempt, end_attempt,
};
use super::super::decide::{lose_attempt, receive};
use super::*;

const BACKOFF: Backoff = Backoff { initial: Duration::from_secs(1), max: Duration::from_secs(60) };
const EXPIRE_AFTER: Duration = Duration::from_secs(3600);

fn reminder() -> Reminder {
    Reminder::pending(Some(Moment::new(Due::Instant(minute(60)), Zone::UTC)), Rule::Offset(15), minute(45))
}

fn failed() -> Attempt {
    Attempt::Failed("refused: 400".into())
}

fn ambiguous() -> Attempt {
    Attempt::Ambiguous("timed out".into())
}

fn end(reminder: &mut Reminder, attempt: &Attempt) {
    end_attempt(reminder, attempt, &BACKOFF, 7, minute(46));
}

#[test]
fn a_result_decides_what_a_reminder_that_left_in_flight_becomes() {
    let unknown = Some(REASON_UNKNOWN);
    let cases = [
        ("confirmed", Attempt::Confirmed, false, State::Published, None, false),
        ("failed for certain", failed(), false, State::Cancelled, None, false),
        ("no answer", ambiguous(), false, State::Published, unknown, true),
        ("confirmed, earlier no answer", Attempt::Confirmed, true, State::Published, None, false),
        ("failed, earlier no answer", failed(), true, State::Published, unknown, true),
        ("no answer, earlier none either", ambiguous(), true, State::Published, unknown, true),
    ];
    for (name, attempt, earlier, state, reason, maybe_out) in cases {
        let mut reminder = Reminder { leaving: Some(State::Cancelled), maybe_out: earlier, ..reminder() };
        end(&mut reminder, &attempt);
        assert_eq!((reminder.state, reminder.maybe_out), (state, maybe_out), "{name}");
        assert_eq!((reminder.reason.as_deref(), reminder.leaving), (reason, None), "{name}");
        assert_eq!(reminder.settled_at, Some(minute(46)), "{name}");
    }
}

#[test]
fn a_confirmed_attempt_publishes_and_says_how_late() {
    let mut reminder = reminder();
    assert_eq!(reminder.lateness(), None);
    end(&mut reminder, &Attempt::Confirmed);
    assert_eq!((reminder.state, reminder.settled_at), (State::Published, Some(minute(46))));
    assert_eq!(reminder.lateness(), Some(Duration::from_secs(60)));
}

#[test]
fn a_failed_attempt_waits_and_keeps_its_reason() {
    for (attempt, maybe_out, reason) in [(failed(), false, "refused: 400"), (ambiguous(), true, "timed out")]
    {
        let mut reminder = reminder();
        end(&mut reminder, &attempt);
        assert_eq!((reminder.state, reminder.attempts, reminder.maybe_out), (State::Pending, 1, maybe_out));
        assert_eq!(reminder.wakes_at(), minute(46).plus(BACKOFF.delay(1, 7)));
        assert_eq!(reminder.reason.as_deref(), Some(reason));
        end(&mut reminder, &failed());
        assert_eq!((reminder.attempts, reminder.maybe_out), (2, maybe_out), "in doubt for good");
        assert_eq!(reminder.wakes_at(), minute(46).plus(BACKOFF.delay(2, 7)));
    }
}

#[test]
fn a_reason_is_kept_up_to_its_bound() {
    let mut reminder = reminder();
    end(&mut reminder, &Attempt::Failed("x".repeat(REASON_MAX_BYTES + 1)));
    assert_eq!(reminder.reason.unwrap().len(), REASON_MAX_BYTES);
}

#[test]
fn an_attempt_begins_up_to_expire_after_and_beyond_it_the_last_failure_is_kept() {
    let bound = minute(45).plus(EXPIRE_AFTER);
    let mut on_it = reminder();
    assert!(begin_attempt(&mut on_it, EXPIRE_AFTER, bound));
    assert_eq!(on_it, reminder());
    let beyond = bound.plus(Duration::from_millis(1));
    let mut untried = reminder();
    assert!(!begin_attempt(&mut untried, EXPIRE_AFTER, beyond));
    assert_eq!((untried.state, untried.reason.as_deref()), (State::Expired, Some(REASON_TOO_LATE)));
    let mut tried = reminder();
    end(&mut tried, &failed());
    assert!(!begin_attempt(&mut tried, EXPIRE_AFTER, beyond));
    assert_eq!(tried.state, State::Expired);
    assert_eq!(tried.reason.as_deref(), Some("not sent within expire_after; last failure: refused: 400"));
}

#[test]
fn an_attempt_that_a_crash_cut_off_may_have_gone_out_and_is_due_at_once() {
    let mut lost = reminder();
    lose_attempt(&mut lost, minute(50));
    assert_eq!((lost.state, lost.maybe_out, lost.attempts), (State::Pending, true, 1));
    assert_eq!(lost.wakes_at(), minute(45));
    let mut left = Reminder { leaving: Some(State::Superseded), ..reminder() };
    lose_attempt(&mut left, minute(50));
    assert_eq!((left.state, left.reason.as_deref()), (State::Published, Some(REASON_UNKNOWN)));
}

#[test]
fn a_receipt_confirms_what_ended_without_an_answer() {
    for state in [State::Pending, State::Published, State::Expired] {
        let mut reminder = Reminder { maybe_out: true, state, ..reminder() };
        assert!(receive(&mut reminder, minute(50), false), "{state:?}");
        assert_eq!((reminder.state, reminder.maybe_out), (State::Published, false), "{state:?}");
        assert_eq!((reminder.received_at, reminder.settled_at), (Some(minute(50)), Some(minute(50))));
        assert!(!receive(&mut reminder, minute(51), false), "the second is no news");
        assert_eq!(reminder.received_at, Some(minute(50)));
    }
}

#[test]
fn a_receipt_of_what_was_confirmed_is_noted_and_changes_nothing_else() {
    let mut confirmed = reminder();
    end(&mut confirmed, &Attempt::Confirmed);
    let before = confirmed.clone();
    assert!(receive(&mut confirmed, minute(50), false));
    assert_eq!(confirmed, Reminder { received_at: Some(minute(50)), ..before });
}

#[test]
fn a_receipt_that_overtakes_the_answer_decides_when_there_is_none() {
    let received = || {
        let mut reminder = reminder();
        assert!(receive(&mut reminder, minute(45), true));
        assert_eq!(reminder.state, State::Pending, "its own result may come yet");
        reminder
    };
    for attempt in [ambiguous(), Attempt::Confirmed] {
        let mut reminder = received();
        end(&mut reminder, &attempt);
        assert_eq!((reminder.state, reminder.maybe_out), (State::Published, false), "{attempt:?}");
    }
    let mut certain = received();
    end(&mut certain, &failed());
    assert_eq!(certain.state, State::Pending, "this attempt did not send it");
    let mut crashed = received();
    lose_attempt(&mut crashed, minute(50));
    assert_eq!((crashed.state, crashed.maybe_out), (State::Published, false));
}

#[test]
fn a_clock_that_stepped_back_during_an_attempt_puts_the_next_one_no_earlier_than_the_instant() {
    let mut reminder = Reminder::pending(None, Rule::Offset(0), minute(10));
    assert_eq!(reminder.wakes_at(), minute(10));
    reminder.next_attempt = Some(minute(4));
    assert_eq!(reminder.wakes_at(), minute(10));
    reminder.next_attempt = Some(minute(11));
    assert_eq!(reminder.wakes_at(), minute(11));
}

#[test]
fn what_expires_after_an_attempt_without_an_answer_is_not_said_to_be_unsent() {
    for (maybe_out, says) in [(false, REASON_TOO_LATE), (true, REASON_UNCONFIRMED)] {
        let mut reminder = Reminder { maybe_out, ..Reminder::pending(None, Rule::Offset(0), minute(0)) };
        assert!(!begin_attempt(&mut reminder, Duration::from_secs(60), minute(5)));
        assert_eq!((reminder.state, reminder.reason.as_deref()), (State::Expired, Some(says)));
    }
}
