//! What is told of a series at a moment to which wishes move more than one of its occurrences.

use super::preferences::wishes;
use super::*;

const HOURLY: &str = r#""FREQ=HOURLY""#;
const LONG_AGO: &str = "2026-01-01T00:00:00Z";

fn quiet(mode: QuietMode) -> Wish {
    Wish::Quiet(Some(Quiet::new("22:00".parse().unwrap(), "07:00".parse().unwrap(), mode).unwrap()))
}

fn digest() -> Wish {
    Wish::Digest(Some(Digest { at: "08:00".parse().unwrap(), below: Priority::High }))
}

/// A task that comes again from `due_at` on, whose user has one wish, planned when it was told on Monday.
struct Series {
    record: Record,
    user: Preferences,
}

impl Series {
    fn of(due_at: &str, rule: &str, reminds: &[u32], wish: Wish) -> Self {
        let rule = Statement::Recurrence(Some(rule.into()));
        let says = [Statement::User(Some("u".into())), due(at(due_at)), offsets(reminds), rule];
        let told = at("2026-11-23T10:00:00Z");
        let record = Record { task: merged(&[created(told, &says)]), ..Record::default() };
        let mut series = Self { record, user: wishes(&[(at(LONG_AGO), wish)]) };
        series.plan(told);
        series
    }

    fn plan(&mut self, now: Timestamp) {
        let rules = Rules { in_force: &policy(), user: Some(&self.user) };
        decide::replan(&task("t"), &mut self.record, &rules, now, &|_| false);
    }

    fn plan_without_wishes(&mut self, now: Timestamp) {
        decide::replan(
            &task("t"),
            &mut self.record,
            &Rules { in_force: &policy(), user: None },
            now,
            &|_| false,
        );
    }

    fn apply(&mut self, event: &Event) {
        let now = event.stamps.event.unwrap().at;
        self.record.apply(event, now);
        self.plan(now);
    }

    /// What goes out until then, one after another: when, to the second, and the instant that its rule names.
    fn fires_until(&mut self, until: &str) -> Vec<(String, String)> {
        let mut fired = Vec::new();
        let pending = |r: &&mut Reminder| r.state == State::Pending && r.fire_at <= at(until);
        while let Some(next) = self.record.reminders.iter_mut().filter(pending).min_by_key(|r| r.fire_at) {
            let now = next.fire_at;
            fired.push((to_the_minute(now), to_the_minute(next.instant())));
            next.settle(State::Published, now, None);
            self.plan(now);
        }
        fired
    }

    fn next(&self) -> Vec<(String, String)> {
        let pending = self.record.reminders.iter().filter(|r| r.state == State::Pending);
        pending.map(|r| (to_the_minute(r.fire_at), to_the_minute(r.instant()))).collect()
    }
}

/// `24 09:00`
fn to_the_minute(at: Timestamp) -> String {
    at.to_rfc3339()[8..16].replace('T', " ")
}

fn owned(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(fire, instant)| ((*fire).to_owned(), (*instant).to_owned())).collect()
}

#[test]
fn at_one_moment_the_occurrence_next_to_it_is_told_of() {
    let (defer, earlier) = (quiet(QuietMode::Defer), quiet(QuietMode::Earlier));
    for (says, due_at, rule, wish, until, expected) in [
        (
            "the last that waited for the end of quiet hours",
            "2026-11-24T21:00:00Z",
            HOURLY,
            &defer,
            "2026-11-25T08:30:00Z",
            &[
                ("24 21:00", "24 21:00"),
                ("25 07:00", "25 06:00"),
                ("25 07:00", "25 07:00"),
                ("25 08:00", "25 08:00"),
            ][..],
        ),
        (
            "the first that falls into quiet hours, before they begin",
            "2026-11-24T20:00:00Z",
            HOURLY,
            &earlier,
            "2026-11-25T08:30:00Z",
            &[
                ("24 20:00", "24 20:00"),
                ("24 21:00", "24 21:00"),
                ("24 21:58", "24 22:00"),
                ("25 07:00", "25 07:00"),
                ("25 08:00", "25 08:00"),
            ],
        ),
        (
            "the first that a digest is ahead of, until the next digest",
            "2026-11-24T10:00:00Z",
            HOURLY,
            &digest(),
            "2026-11-27T07:59:00Z",
            &[("24 08:00", "24 10:00"), ("25 08:00", "25 08:00"), ("26 08:00", "26 08:00")],
        ),
        (
            "however often it comes",
            "2026-11-24T10:00:00Z",
            r#""FREQ=MINUTELY;INTERVAL=7""#,
            &digest(),
            "2026-11-26T07:59:00Z",
            &[("24 08:00", "24 10:00"), ("25 08:00", "25 08:03")],
        ),
        (
            "a daily one has but one",
            "2026-11-24T10:00:00Z",
            r#"{"frequency":"daily"}"#,
            &digest(),
            "2026-11-26T07:59:00Z",
            &[("24 08:00", "24 10:00"), ("25 08:00", "25 10:00")],
        ),
        (
            "a series that ends before the next moment ends there",
            "2026-11-24T10:00:00Z",
            r#""FREQ=HOURLY;COUNT=5""#,
            &digest(),
            "2026-11-30T00:00:00Z",
            &[("24 08:00", "24 10:00")],
        ),
    ] {
        let mut series = Series::of(due_at, rule, &[0], wish.clone());
        assert_eq!(series.fires_until(until), owned(expected), "{says}");
    }
}

#[test]
fn what_falls_into_quiet_hours_behind_one_of_the_last_minute_before_them_waits_for_their_end() {
    let mut series = Series::of("2026-11-24T20:59:00Z", HOURLY, &[0], quiet(QuietMode::Earlier));
    let expected = [
        ("24 20:59", "24 20:59"),
        ("24 21:59", "24 21:59"),
        ("25 07:00", "25 06:59"),
        ("25 07:59", "25 07:59"),
    ];
    assert_eq!(series.fires_until("2026-11-25T08:30:00Z"), owned(&expected));
}

#[test]
fn each_rule_of_the_series_is_told_of_once() {
    let mut series = Series::of("2026-11-24T10:00:00Z", HOURLY, &[0, 30], digest());
    let fired = series.fires_until("2026-11-25T09:00:00Z");
    let expected = [
        ("24 08:00", "24 10:00"),
        ("24 08:00", "24 09:30"),
        ("25 08:00", "25 08:00"),
        ("25 08:00", "25 08:30"),
    ];
    assert_eq!(fired, owned(&expected));
}

#[test]
fn what_was_called_off_alone_is_not_told_of_and_the_one_next_to_it_is() {
    let cancel = |of: &str| {
        let occurrence = Moment::new(Due::Instant(at(of)), Zone::UTC);
        updated(at("2026-11-23T11:00:00Z"), &[Statement::Cancelled(Some(Target::Occurrence(occurrence)))])
    };
    for (wish, off, until, expected) in [
        (digest(), "2026-11-24T10:00:00Z", "2026-11-25T07:00:00Z", ("24 08:00", "24 11:00")),
        (quiet(QuietMode::Earlier), "2026-11-25T07:00:00Z", "2026-11-25T08:30:00Z", ("25 08:00", "25 08:00")),
        (quiet(QuietMode::Defer), "2026-11-25T06:00:00Z", "2026-11-25T07:00:30Z", ("25 07:00", "25 05:00")),
    ] {
        let mut series = Series::of("2026-11-24T10:00:00Z", HOURLY, &[0], wish.clone());
        series.apply(&cancel(off));
        let fired = series.fires_until(until);
        assert!(fired.contains(&owned(&[expected])[0]), "{wish:?}: {fired:?}");
        assert!(fired.iter().all(|(_, instant)| *instant != to_the_minute(at(off))), "{wish:?}: {fired:?}");
    }
}

#[test]
fn of_nags_that_wait_for_one_moment_the_last_that_there_is_comes() {
    let night = "2026-11-24T21:00:00Z";
    let of_six = Target::Occurrence(Moment::new(wall("2026-11-25T06:00:00"), Zone::UTC));
    let until = Until::At(at("2026-11-25T08:00:00Z"));
    let snoozed = Statement::Snooze(Some(Snooze { until, of: of_six }));
    let seen = Statement::Acknowledged(Some(of_six));
    let daily = r#""FREQ=DAILY;BYHOUR=5,6;BYMINUTE=25,45""#;
    for (says, due_at, rule, did, expected) in [
        ("of every hour", night, HOURLY, None, &[("25 07:00", "25 06:30")][..]),
        (
            "of the last two there is time for one",
            "2026-11-25T05:25:00Z",
            daily,
            None,
            &[("25 07:00", "25 06:15")],
        ),
        ("the last was snoozed", night, HOURLY, Some((Kind::Snoozed, snoozed)), &[("25 07:00", "25 05:30")]),
        ("the last was seen", night, HOURLY, Some((Kind::Acknowledged, seen)), &[]),
    ] {
        let mut series = Series::of(due_at, rule, &[], quiet(QuietMode::Defer));
        let nags = Statement::Nags(Some(Nags { every_minutes: 30, max: 1 }));
        series.apply(&updated(at("2026-11-23T11:00:00Z"), &[nags]));
        series.fires_until("2026-11-25T06:59:00Z");
        if let Some((kind, statement)) = did {
            let at_six = at("2026-11-25T06:05:00Z");
            series.apply(&Event { statements: vec![statement], ..event(kind, at_six) });
        }
        assert_eq!(series.fires_until("2026-11-25T07:00:59Z"), owned(expected), "{says}");
    }
}

#[test]
fn one_that_was_planned_and_is_passed_over_is_superseded() {
    let mut series = Series::of("2026-11-24T21:00:00Z", HOURLY, &[0], quiet(QuietMode::Defer));
    assert_eq!(series.fires_until("2026-11-24T21:00:00Z").len(), 1);
    series.plan_without_wishes(at("2026-11-24T21:01:00Z"));
    assert_eq!(series.next(), owned(&[("24 22:00", "24 22:00")]));
    series.plan(at("2026-11-24T21:02:00Z"));
    assert_eq!(series.next(), owned(&[("25 07:00", "25 06:00")]));
    let passed = series.record.reminders.iter().find(|r| r.fire_at == at("2026-11-24T22:00:00Z")).unwrap();
    assert_eq!(passed.state, State::Superseded);
}

#[test]
fn without_its_wish_a_series_goes_on_behind_what_was_told() {
    let mut series = Series::of("2026-11-24T10:00:00Z", HOURLY, &[0], digest());
    assert_eq!(series.fires_until("2026-11-24T09:00:00Z").len(), 1);
    assert_eq!(series.next(), owned(&[("25 08:00", "25 08:00")]));
    series.plan_without_wishes(at("2026-11-24T10:30:00Z"));
    assert_eq!(series.next(), owned(&[("24 11:00", "24 11:00")]));
}

#[test]
fn a_moment_that_was_missed_tells_of_the_last_occurrence_missed_and_passes_over_the_rest() {
    let mut series = Series::of("2026-11-24T09:00:00Z", HOURLY, &[0], digest());
    let now = at("2026-11-24T13:30:00Z");
    series.plan(now);
    assert_eq!(series.next(), owned(&[("24 08:00", "24 09:00")]));
    let rules = Rules { in_force: &policy(), user: Some(&series.user) };
    assert!(decide::to_last_missed(&task("t"), &mut series.record, &rules, now, &|_| false));
    series.plan(now);
    assert_eq!(series.next(), owned(&[("24 08:00", "24 13:00")]));
    series.record.reminders.iter_mut().find(|r| r.state == State::Pending).unwrap().settle(
        State::Published,
        now,
        None,
    );
    series.plan(now);
    assert_eq!(series.next(), owned(&[("25 08:00", "25 08:00")]));
}

#[test]
fn of_a_series_whose_last_occurrences_wait_the_last_one_missed_before_them_is_told_of() {
    for (now, expected) in [
        ("2026-11-24T21:30:00Z", ("24 21:00", "24 21:00")),
        ("2026-11-24T22:30:00Z", ("24 21:00", "24 21:00")),
        ("2026-11-25T06:59:00Z", ("24 21:00", "24 21:00")),
        ("2026-11-25T07:00:30Z", ("25 07:00", "25 06:00")),
        ("2026-11-25T08:30:00Z", ("25 08:00", "25 08:00")),
    ] {
        let mut series = Series::of("2026-11-24T16:00:00Z", HOURLY, &[0], quiet(QuietMode::Defer));
        series.plan(at(now));
        assert_eq!(series.next(), owned(&[("24 16:00", "24 16:00")]), "{now}");
        let rules = Rules { in_force: &policy(), user: Some(&series.user) };
        assert!(decide::to_last_missed(&task("t"), &mut series.record, &rules, at(now), &|_| false), "{now}");
        series.plan(at(now));
        assert_eq!(series.next(), owned(&[expected]), "{now}");
    }
}

#[test]
fn moments_that_nobody_looked_at_for_days_are_passed_over_whole() {
    let mut series = Series::of("2026-11-24T09:00:00Z", HOURLY, &[0], digest());
    series.plan(at("2026-12-04T13:30:00Z"));
    assert_eq!(series.next(), owned(&[("04 08:00", "04 08:00")]));
    assert_eq!(series.record.reminders.len(), 2, "those in between were never planned");
}
