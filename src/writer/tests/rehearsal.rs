//! The loop turned by hand does what the loop does.

use super::*;
use crate::writer::run::TRIES_MAX;

const RETENTION: i64 = 8 * 24 * 60;

fn rehearse(store: &Arc<TestStore>, settings: Settings, at: i64) -> Rehearsal {
    Rehearsal::open(Arc::<TestStore>::clone(store), settings, minute(at)).unwrap()
}

fn rehearsal() -> (Arc<TestStore>, Rehearsal) {
    let store = TestStore::new();
    let rehearsal = rehearse(&store, settings(), -60);
    (store, rehearsal)
}

impl Rehearsal {
    fn tell_all(&mut self, events: Vec<Event>, at: i64) -> Vec<Verdict> {
        let deliveries = events.into_iter().map(|event| delivery(event, minute(at))).collect();
        self.deliver(deliveries, minute(at)).unwrap()
    }

    /// Fires what is due: whose reminders.
    fn fire(&mut self, at: i64) -> Vec<String> {
        let Some(batch) = self.claim(10, minute(at)).unwrap().batch else { return Vec::new() };
        self.settle(batch.number, settlements(&batch, &Attempt::Confirmed), minute(at)).unwrap();
        batch.reminders.iter().map(|claimed| claimed.task_id.to_string()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_rehearsal_ends_in_the_very_store_that_the_loop_ends_in() {
    let told = || {
        [
            (0, vec![due_at("a", 1), due_at("b", 2), due_at("c", 2), due_at("gone", 2)]),
            (
                1,
                vec![
                    of("b", updated(minute(1), &[due(minute(3))])),
                    of("gone", event(Kind::Deleted, minute(1))),
                ],
            ),
            (2, vec![due_at("a", 1), of("c", event(Kind::Completed, minute(2)))]),
            (3, vec![]),
        ]
    };
    let worker = Worker::start().await;
    for (at, events) in told() {
        worker.advance_to(at).await;
        worker.tell_all(events).await;
        if let Some(batch) = worker.writer.claim(10).await.unwrap() {
            worker.settle(&batch, Attempt::Confirmed).await;
        }
    }
    let (store, mut rehearsal) = rehearsal();
    for (at, events) in told() {
        rehearsal.tell_all(events, at);
        rehearsal.fire(at);
    }
    assert_eq!(*rehearsal.view().meta, worker.meta().await);
    assert_eq!(store.meta().unwrap(), worker.store.meta().unwrap());
    for id in ["a", "b", "c", "gone"] {
        assert_eq!(store.record(&task(id)).unwrap(), Some(worker.record(id)), "{id}");
    }
}

#[test]
fn reminders_wake_at_their_instants_and_fire_then_and_not_before() {
    let (_, mut rehearsal) = rehearsal();
    assert_eq!(rehearsal.next_wake(), Timestamp::MAX);
    let events = vec![due_at("b", 7), due_at("a", 5)];
    assert_eq!(rehearsal.tell_all(events, 0), [Verdict::Success; 2]);
    assert_eq!(rehearsal.next_wake(), minute(5));
    assert_eq!(rehearsal.fire(4), Vec::<String>::new());
    assert_eq!(rehearsal.fire(5), ["a"]);
    assert_eq!(rehearsal.next_wake(), minute(7));
    assert_eq!(rehearsal.fire(7), ["b"]);
    assert_eq!(rehearsal.next_wake(), Timestamp::MAX);
}

#[test]
fn deliveries_beyond_one_group_are_all_taken() {
    let (store, mut rehearsal) = rehearsal();
    let many = 2 * GROUP_EVENTS_MAX + 1;
    let events = (0..many).map(|n| due_at(&n.to_string(), 1)).collect();
    assert_eq!(rehearsal.tell_all(events, 0).len(), many);
    assert_eq!(store.tasks(None, many + 1).unwrap().len(), many);
}

#[test]
fn a_claim_that_finds_nothing_says_whether_the_next_one_looks_at_others() {
    let (store, mut rehearsal) = rehearsal();
    rehearsal.tell_all(vec![due_at("t", 1)], 0);
    let early = rehearsal.claim(10, minute(0)).unwrap();
    assert!(early.batch.is_none() && !early.progressed);
    let too_late = rehearsal.claim(10, minute(2 + 24 * 60)).unwrap();
    assert!(too_late.batch.is_none() && too_late.progressed, "it has expired");
    rehearsal.tell_all(vec![due_at("u", 3_000)], 0);
    store.damage(&task("u"));
    let passed_over = rehearsal.claim(10, minute(3_000)).unwrap();
    assert!(passed_over.batch.is_none() && passed_over.progressed, "its record can't be read");
    assert_eq!(rehearsal.next_wake(), Timestamp::MAX);
    assert!(!rehearsal.claim(10, minute(3_000)).unwrap().progressed);
}

#[test]
fn another_policy_has_planned_every_task_anew_when_it_is_open() {
    let (store, mut rehearsal) = rehearsal();
    let many = 2 * STEP_MAX + 10;
    let by_default = |n: usize| of(&n.to_string(), created(T0, &[due(minute(600))]));
    rehearsal.tell_all((0..many).map(by_default).collect(), 0);
    let mut other = settings();
    other.policy.default_offsets = vec![5];
    let rehearsal = rehearse(&store, other, 1);
    assert_eq!(rehearsal.view().meta.replanning_after, None);
    assert_eq!(rehearsal.next_wake(), minute(595));
}

#[test]
fn an_attempt_that_a_crash_cut_off_is_taken_back() {
    let (store, mut rehearsal) = rehearsal();
    rehearsal.tell_all(vec![due_at("t", 1)], 0);
    assert!(rehearsal.claim(10, minute(1)).unwrap().batch.is_some());
    assert_eq!(rehearse(&store, settings(), 2).fire(2), ["t"]);
}

#[test]
fn tasks_are_forgotten_step_by_step() {
    let (store, mut rehearsal) = rehearsal();
    let many = STEP_MAX + 1;
    let ids: Vec<String> = (0..many).map(|n| n.to_string()).collect();
    rehearsal.tell_all(ids.iter().map(|id| due_at(id, 1)).collect(), 0);
    rehearsal.tell_all(ids.iter().map(|id| of(id, event(Kind::Deleted, minute(0)))).collect(), 0);
    let at = minute(RETENTION + 2);
    assert!(rehearsal.purge(at).unwrap());
    assert!(!rehearsal.purge(at).unwrap());
    assert_eq!(store.tasks(None, 1).unwrap(), []);
}

#[test]
fn a_commit_that_fails_is_tried_again_as_often_as_the_loop_does_and_then_is_an_error() {
    let (store, mut rehearsal) = rehearsal();
    let mut deliver = |task: &str| rehearsal.deliver(vec![delivery(due_at(task, 1), minute(0))], minute(0));
    let tries = i64::try_from(TRIES_MAX).unwrap();
    store.fail_commits(tries);
    assert_eq!(deliver("t").unwrap(), [Verdict::Success]);
    store.fail_commits(tries + 1);
    assert!(deliver("u").is_err());
}
