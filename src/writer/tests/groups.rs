//! Commands of one group see each other.

use super::*;

/// Puts commands into one group: they wait before the loop runs.
async fn grouped<A: Send + 'static, B>(
    opened: Opened,
    first: impl Future<Output = A> + Send + 'static,
    second: impl Future<Output = B>,
) -> (Worker, A, B) {
    let (mut first, mut second) = (Box::pin(first), Box::pin(second));
    assert!(futures_util::poll!(&mut first).is_pending());
    assert!(futures_util::poll!(&mut second).is_pending());
    opened.worker.store.forget_batches();
    let worker = opened.run();
    let (first, second) = tokio::join!(first, second);
    (worker, first, second)
}

/// A worker with `events` told, stopped at `now` and opened again, not running yet.
async fn stopped(events: Vec<Event>, now: i64, settings: Settings) -> Opened {
    let worker = Worker::start().await;
    worker.tell_all(events).await;
    let (store, clock) = worker.crash().await;
    tokio::time::advance(minute(now).since(clock.now())).await;
    open(&store, &clock, settings)
}

fn tells(opened: &Opened, events: Vec<Event>) -> impl Future<Output = Vec<Verdict>> + Send + use<> {
    let writer = opened.worker.writer.clone();
    let deliveries = events.into_iter().map(|event| opened.worker.delivery(event)).collect();
    async move { writer.deliver(deliveries).await }
}

#[tokio::test(start_paused = true)]
async fn events_of_one_task_fold_in_order() {
    let opened = stopped(vec![], 0, settings()).await;
    let events =
        vec![due_at("t", 60), updated(minute(1), &[due(minute(90))]), event(Kind::Completed, minute(2))];
    let other = tells(&opened, vec![due_at("u", 60)]);
    let told = tells(&opened, events);
    let (worker, verdicts, _) = grouped(opened, told, other).await;
    assert_eq!(verdicts, [Verdict::Success; 3]);
    let mut states: Vec<_> = worker.record("t").reminders.iter().map(|r| r.state).collect();
    states.sort_by_key(|state| state.name());
    assert_eq!(states, [State::Cancelled, State::Superseded]);
    assert_eq!(worker.store.batches().len(), 1);
    assert_eq!(worker.meta().await.reminders.counts(), [1, 0, 1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_before_a_claim_of_its_group_means_that_it_will_not_fire() {
    let opened = stopped(vec![due_at("t", 1)], 1, settings()).await;
    let writer = opened.worker.writer.clone();
    let told = tells(&opened, vec![event(Kind::Completed, minute(1))]);
    let (worker, _, claimed) = grouped(opened, told, async move { writer.claim(10).await }).await;
    assert!(claimed.unwrap().is_none());
    assert_eq!(worker.reminder().state, State::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_after_a_claim_of_its_group_finds_it_in_flight() {
    let opened = stopped(vec![due_at("t", 1)], 1, settings()).await;
    let writer = opened.worker.writer.clone();
    let claim = async move { writer.claim(10).await.unwrap() };
    let told = tells(&opened, vec![event(Kind::Completed, minute(1))]);
    let (worker, claimed, _) = grouped(opened, claim, told).await;
    assert!(claimed.is_some());
    assert_eq!(
        (worker.reminder().state, worker.reminder().leaving),
        (State::Pending, Some(State::Cancelled))
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_in_the_group_that_plans_its_task_anew_is_not_lost() {
    let mut other = settings();
    other.policy.default_offsets = vec![5];
    let opened = stopped(vec![created(T0, &[due(minute(60))])], 1, other).await;
    let told = tells(&opened, vec![updated(minute(1), &[title("kept"), due(minute(90))])]);
    let none = tells(&opened, vec![due_at("u", 60)]);
    let (worker, ..) = grouped(opened, told, none).await;
    let record = worker.record("t");
    assert_eq!((record.task.title(), record.generation), (Some("kept"), 2));
    let waiting: Vec<_> = record.reminders.iter().filter(|r| r.state == State::Pending).collect();
    assert_eq!(waiting.iter().map(|r| r.fire_at).collect::<Vec<_>>(), [minute(85)]);
}

#[tokio::test(start_paused = true)]
async fn an_event_in_the_group_that_would_purge_its_task_is_not_lost() {
    let nine_days = 9 * 24 * 60;
    let ended = vec![due_at("t", 1), event(Kind::Completed, minute(0))];
    let opened = stopped(ended, nine_days, settings()).await;
    let writer = opened.worker.writer.clone();
    let again = created(minute(nine_days), &[due(minute(nine_days + 60)), Statement::Status(None)]);
    let told = tells(&opened, vec![again]);
    let (worker, verdicts, more) = grouped(opened, told, async move { writer.purge().await }).await;
    assert_eq!((verdicts, more), (vec![Verdict::Success], Ok(false)));
    assert!(worker.record("t").task.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_reminder_that_is_settled_and_forgotten_in_one_group_is_counted_as_settled() {
    let opened = stopped(vec![due_at("t", 10_000)], 1, settings()).await;
    // Each moves the due date closer, so that the first to be forgotten is the one just taken back.
    let moves = (1..=60).map(|n| {
        updated(minute(0).plus(Duration::from_secs(n)), &[due(minute(10_000 - i64::try_from(n).unwrap()))])
    });
    let told = tells(&opened, moves.collect());
    let other = tells(&opened, vec![due_at("u", 60)]);
    let (worker, ..) = grouped(opened, told, other).await;
    assert_eq!(worker.meta().await.reminders.counts(), [2, 0, 0, 60, 0]);
    assert_eq!(worker.record("t").reminders.len(), crate::domain::SETTLED_MAX + 1);
}

#[tokio::test(start_paused = true)]
async fn a_reminder_that_a_claim_passed_over_and_its_group_took_back_is_found() {
    let opened = stopped(vec![due_at("t", 1)], 2, settings()).await;
    let writer = opened.worker.writer.clone();
    let ended = tells(&opened, vec![event(Kind::Completed, minute(2))]);
    let reopened = updated(minute(3), &[Statement::Status(Some(crate::domain::Status::Todo))]);
    let back = tells(&opened, vec![reopened]);
    let both = futures_util::future::join(async move { writer.claim(10).await }, back);
    let (worker, _, (claimed, _)) = grouped(opened, ended, both).await;
    assert!(claimed.unwrap().is_none(), "it was cancelled just then");
    assert_eq!(worker.next_wake().await, minute(1));
    assert_eq!(worker.claim(10).await.reminders.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_group_is_bounded_in_bytes_as_well_as_in_events() {
    let of = |bytes: usize| Delivery {
        at: T0,
        topic: String::new(),
        content: Content::Refused {
            code: "not_json",
            reason: String::new(),
            body: Bytes::from(vec![0; bytes]),
            length: 0,
        },
    };
    assert_eq!([0, BYTES_AN_EVENT - 1, BYTES_AN_EVENT].map(|bytes| of(bytes).weight()), [1, 1, 2]);
    assert!(of(4 * 1024 * 1024).weight() * 2 >= GROUP_EVENTS_MAX);
}
