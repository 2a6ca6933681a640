//! What is scraped is what was counted.

use std::collections::BTreeSet;
use std::time::Duration;

use super::metric::producer_label;
use super::*;
use crate::config::LogFormat;
use crate::domain::{Kind, Outcome, State, Timestamp};

/// Everything a scrape shows after `count` ran against a recorder of its own.
fn scraped(count: impl FnOnce()) -> String {
    let recorder = recorder().unwrap();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        introduce();
        count();
    });
    Metrics { handle }.render()
}

fn count_everything() {
    event(Some(Kind::Created), EventOutcome::Merged(Outcome::Applied));
    event(None, EventOutcome::Quarantined);
    extras_refused(2);
    reminders_moved(3);
    stamp_ahead(None);
    reminders(State::Pending, 7);
    reminder_fired(Duration::from_millis(3));
    oldest_overdue(Duration::from_millis(1_500));
    firing(true, 5);
    commit(64, Duration::from_millis(4));
    syncs(9);
    silent_series(0);
    mismatch("planned", 1);
    store_space(9, 3);
    clock_jump("back");
    canary(CanaryResult::Lost);
    canary_took(Duration::from_millis(30));
    canary_age(Duration::from_secs(4));
    outbox_bytes(5);
    outbox_oldest(Duration::from_secs(2));
    waiting(6);
    bodies(7);
    receipts_lost(8);
    unread();
    publish_attempts(PublishResult::Ambiguous, 3);
    publish_took(Duration::from_millis(8));
    receipt();
    outbox(OutboxState::DeadLetter, 1);
    quarantine(2, 4_096);
    stream_clients(1);
    stream_dropped();
    subscriptions_asked();
    subscribed(true);
    backup_every(Duration::from_secs(3_600));
    backup_made(Timestamp::from_millis(1_500), 4_096, Duration::from_millis(20));
    backup_failed();
    restored(true);
    heartbeat_age("scheduler", Duration::from_millis(250));
}

#[test]
fn every_metric_of_the_table_has_a_function_and_every_function_a_metric() {
    let text = scraped(count_everything);
    let told: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let known: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(told, known);
    let explained = text.lines().filter(|line| line.starts_with("# HELP ")).count();
    assert_eq!(explained, METRICS.len());
}

#[test]
fn labels_and_values_are_those_that_were_given() {
    let text = scraped(count_everything);
    for line in [
        "reminder_worker_events_total{kind=\"task_created\",outcome=\"applied\"} 1",
        "reminder_worker_events_total{kind=\"unknown\",outcome=\"quarantined\"} 1",
        "reminder_worker_events_refused_extras_total 2",
        "reminder_worker_stamps_ahead_total{producer=\"unknown\"} 1",
        "reminder_worker_reminders{state=\"pending\"} 7",
        "reminder_worker_reminder_lateness_seconds_bucket{le=\"0.002\"} 0",
        "reminder_worker_reminder_lateness_seconds_bucket{le=\"0.005\"} 1",
        "reminder_worker_reminder_lateness_seconds_bucket{le=\"3600\"} 1",
        "reminder_worker_oldest_overdue_seconds 1.5",
        "reminder_worker_commit_commands_bucket{le=\"64\"} 1",
        "reminder_worker_store_syncs_total 9",
        "reminder_worker_publish_attempts_total{result=\"ambiguous\"} 3",
        "reminder_worker_outbox_entries{state=\"dead_letter\"} 1",
        "reminder_worker_quarantine_bytes 4096",
        "reminder_worker_heartbeat_age_seconds{loop=\"scheduler\"} 0.25",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is missing from\n{text}");
    }
}

#[test]
fn counters_without_labels_show_zero_before_the_first_event() {
    let text = scraped(|| ());
    assert!(text.lines().any(|line| line == "reminder_worker_reminders_fired_total 0"), "{text}");
}

#[test]
fn producers_beyond_the_bound_share_a_label() {
    let mut seen = BTreeSet::new();
    for n in 0..PRODUCERS_MAX {
        assert_eq!(producer_label(Some(&format!("app-{n}")), &mut seen), format!("app-{n}"));
    }
    assert_eq!(producer_label(Some("one-more"), &mut seen), "other");
    assert_eq!(producer_label(Some("app-0"), &mut seen), "app-0");
    assert_eq!(producer_label(None, &mut seen), "unknown");
    assert_eq!(seen.len(), PRODUCERS_MAX);
}

#[test]
fn a_producer_name_on_the_bound_is_kept_and_a_longer_one_is_not() {
    let mut seen = BTreeSet::new();
    let longest = "p".repeat(PRODUCER_MAX_BYTES);
    assert_eq!(producer_label(Some(&longest), &mut seen), longest);
    assert_eq!(producer_label(Some(&format!("{longest}p")), &mut seen), "other");
}

#[test]
fn auto_means_text_for_people_and_json_for_machines() {
    for (format, terminal, json) in [
        (LogFormat::Auto, true, false),
        (LogFormat::Auto, false, true),
        (LogFormat::Text, false, false),
        (LogFormat::Json, true, true),
    ] {
        assert_eq!(wants_json(format, terminal), json, "{format:?} {terminal}");
    }
}
