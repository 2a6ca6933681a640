//! What is dropped is kept for a while, within bounds.

use super::super::events::QUARANTINED_BODY_MAX;
use super::*;
use crate::store::Usage;

fn numbers(worker: &Worker) -> Vec<u64> {
    worker.store.quarantined(None, 100).unwrap().into_iter().map(|(number, _)| number).collect()
}

async fn assert_usage_is_what_is_kept(worker: &Worker) {
    let kept = worker.store.quarantined(None, 100).unwrap();
    let bytes = kept.iter().map(|(_, entry)| entry.length).sum();
    let entries = u64::try_from(kept.len()).unwrap();
    assert_eq!(worker.meta().await.quarantine, Usage { entries, bytes });
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_dropped_and_kept_with_its_reason() {
    let worker = Worker::start().await;
    assert_eq!(worker.writer.deliver(vec![refused(minute(0), "body")]).await, [Verdict::Drop]);
    let (number, entry) = worker.store.quarantined(None, 10).unwrap().remove(0);
    assert_eq!((number, entry.at, entry.topic.as_str()), (0, minute(0), "task-events"));
    assert_eq!((entry.code.as_str(), entry.reason.as_str(), entry.length), ("not_json", "why", 4));
    assert_eq!(worker.store.quarantined_body(0).unwrap(), b"body");
    assert_eq!(worker.meta().await.events.quarantined, 1);
    assert_usage_is_what_is_kept(&worker).await;
}

#[tokio::test(start_paused = true)]
async fn as_many_entries_as_the_bound_are_kept_and_the_oldest_goes() {
    let worker = Worker::start_with(Settings { quarantine_max_entries: 3, ..settings() }).await;
    for _ in 0..3 {
        worker.writer.deliver(vec![refused(T0, "body")]).await;
    }
    assert_eq!(numbers(&worker), [0, 1, 2]);
    worker.writer.deliver(vec![refused(T0, "body")]).await;
    assert_eq!(numbers(&worker), [1, 2, 3]);
    assert_usage_is_what_is_kept(&worker).await;
    assert!(worker.store.quarantined_body(0).unwrap().is_empty());
    assert_eq!(worker.meta().await.events.quarantined, 4, "counted for good");
}

#[tokio::test(start_paused = true)]
async fn as_many_bytes_as_the_bound_are_kept_and_the_oldest_go() {
    let worker = Worker::start_with(Settings { quarantine_max_bytes: 10, ..settings() }).await;
    for body in ["aaaa", "bbb", "ccc"] {
        worker.writer.deliver(vec![refused(T0, body)]).await;
    }
    assert_eq!(numbers(&worker), [0, 1, 2]);
    worker.writer.deliver(vec![refused(T0, "dddddd")]).await;
    assert_eq!(numbers(&worker), [2, 3]);
    worker.writer.deliver(vec![refused(T0, "eeeeeeeeeee")]).await;
    assert_eq!(numbers(&worker), [0_u64; 0], "one that is larger than the bound is not kept");
    assert_usage_is_what_is_kept(&worker).await;
    worker.writer.deliver(vec![refused(T0, "f")]).await;
    assert_eq!(numbers(&worker), [5]);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_drops_more_than_the_bound_keeps_its_newest() {
    let worker = Worker::start_with(Settings { quarantine_max_entries: 3, ..settings() }).await;
    worker.writer.deliver(vec![refused(T0, "old")]).await;
    let dropped = (0..5).map(|_| refused(T0, "body")).collect();
    assert_eq!(worker.writer.deliver(dropped).await, [Verdict::Drop; 5]);
    assert_eq!(numbers(&worker), [3, 4, 5]);
    assert_usage_is_what_is_kept(&worker).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_on_the_bound_is_kept_whole_and_a_longer_one_is_cut() {
    let worker = Worker::start_with(Settings { quarantine_max_bytes: u64::MAX, ..settings() }).await;
    for (number, length) in [(0, QUARANTINED_BODY_MAX), (1, QUARANTINED_BODY_MAX + 1)] {
        let body = Bytes::from(vec![b'x'; length]);
        let length = u64::try_from(length).unwrap();
        let content = Content::Refused { code: "not_json", reason: "why".into(), body, length };
        worker.writer.deliver(vec![Delivery { at: T0, topic: "task-events".into(), content }]).await;
        assert_eq!(worker.store.quarantined_body(number).unwrap().len(), QUARANTINED_BODY_MAX);
        let (_, entry) = worker.store.quarantined(number.checked_sub(1), 1).unwrap().remove(0);
        assert_eq!(entry.length, length);
    }
    let bytes = worker.meta().await.quarantine.bytes;
    assert_eq!(bytes, 2 * u64::try_from(QUARANTINED_BODY_MAX).unwrap(), "what is kept counts");
}

#[tokio::test(start_paused = true)]
async fn only_what_is_kept_of_a_longer_body_counts_and_is_freed() {
    let worker = Worker::start_with(Settings { quarantine_max_entries: 1, ..settings() }).await;
    for part in ["begin", "b"] {
        let body = Bytes::from(part);
        let content = Content::Refused { code: "too_large", reason: "why".into(), body, length: 1_000 };
        worker.writer.deliver(vec![Delivery { at: T0, topic: "task-events".into(), content }]).await;
        let (_, entry) = worker.store.quarantined(None, 10).unwrap().remove(0);
        assert_eq!(entry.length, 1_000);
        let bytes = u64::try_from(part.len()).unwrap();
        assert_eq!(worker.meta().await.quarantine, Usage { entries: 1, bytes });
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_none_of_its_business_is_counted_and_not_kept() {
    let worker = Worker::start().await;
    let delivery = Delivery { at: T0, topic: "task-events".into(), content: Content::Ignored };
    assert_eq!(worker.writer.deliver(vec![delivery]).await, [Verdict::Success]);
    assert_eq!(worker.meta().await.events.ignored, 1);
    assert_eq!(numbers(&worker), [0_u64; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_record_cant_be_read_is_dropped_and_the_others_are_kept() {
    let worker = Worker::start().await;
    worker.store.damage(&task("damaged"));
    let verdicts = worker.tell_all(vec![due_at("a", 60), due_at("damaged", 60), due_at("b", 60)]).await;
    assert_eq!(verdicts, [Verdict::Success, Verdict::Drop, Verdict::Success]);
    assert_eq!(worker.store.quarantined(None, 10).unwrap()[0].1.code, "record_unreadable");
}

#[tokio::test(start_paused = true)]
async fn after_a_bound_was_lowered_each_new_entry_makes_room_for_some_and_not_for_all() {
    let worker = Worker::start().await;
    for _ in 0..4 {
        worker.writer.deliver((0..100).map(|_| refused(T0, "b")).collect()).await;
    }
    let worker = worker.restart_with(Settings { quarantine_max_entries: 10, ..settings() }).await;
    worker.writer.deliver(vec![refused(T0, "b")]).await;
    assert_eq!(worker.meta().await.quarantine.entries, 401 - 256);
    worker.writer.deliver(vec![refused(T0, "b")]).await;
    assert_eq!(worker.meta().await.quarantine.entries, 10);
    assert_usage_is_what_is_kept(&worker).await;
}
