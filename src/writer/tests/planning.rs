//! Planning anew under another policy.

use super::*;

fn other_offsets(minutes: u32) -> Settings {
    let mut settings = settings();
    settings.policy.default_offsets = vec![minutes];
    settings
}

/// A task that is reminded of by the default offset.
fn by_default(id: &str) -> Event {
    of(id, created(T0, &[due(minute(600))]))
}

fn waiting(worker: &Worker, id: &str) -> Vec<Timestamp> {
    let reminders = worker.record(id).reminders;
    reminders.iter().filter(|r| r.state == State::Pending).map(|r| r.fire_at).collect()
}

#[tokio::test(start_paused = true)]
async fn another_policy_plans_every_task_anew_between_other_commands() {
    let worker = Worker::start().await;
    let many = 2 * STEP_MAX + 10;
    worker.tell_all((0..many).map(|n| by_default(&n.to_string())).collect()).await;
    let worker = worker.restart_with(other_offsets(5)).await;
    while worker.meta().await.replanning_after.is_some() {
        worker.clock.sleep(Duration::from_millis(1)).await;
    }
    assert!((0..many).all(|n| waiting(&worker, &n.to_string()) == [minute(595)]));
    let many = i64::try_from(many).unwrap();
    assert_eq!(worker.meta().await.reminders.counts(), [many, 0, 0, many, 0]);
}

#[tokio::test(start_paused = true)]
async fn planning_anew_survives_a_restart_and_finishes() {
    let worker = Worker::start().await;
    let many = STEP_MAX + 10;
    worker.tell_all((0..many).map(|n| by_default(&n.to_string())).collect()).await;
    let (store, clock) = worker.crash().await;
    let opened = open(&store, &clock, other_offsets(5));
    let writer = opened.worker.writer.clone();
    let mut asked = Box::pin(writer.read(|view| view.meta.replanning_after.clone()));
    assert!(futures_util::poll!(&mut asked).is_pending());
    let worker = opened.run();
    let after = asked.await.unwrap();
    assert!(matches!(after, Some(Some(_))), "one step is done: {after:?}");
    worker.crash().await;
    let generation = store.meta().unwrap().policy.unwrap().generation;
    let worker = open(&store, &clock, other_offsets(5)).run();
    while worker.meta().await.replanning_after.is_some() {
        worker.clock.sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(worker.meta().await.policy.unwrap().generation, generation, "the same policy is no new one");
    assert!((0..many).all(|n| waiting(&worker, &n.to_string()) == [minute(595)]));
}

#[tokio::test(start_paused = true)]
async fn a_reminder_of_an_older_policy_is_planned_anew_before_it_is_claimed() {
    let worker = Worker::start().await;
    let many = STEP_MAX + 10;
    worker.tell_all((0..many).map(|n| by_default(&n.to_string())).collect()).await;
    worker.tell(of("zz", created(T0, &[due(minute(16))]))).await;
    let (store, clock) = worker.crash().await;
    let opened = open(&store, &clock, other_offsets(5));
    // By the former policy it falls due under the new one.
    tokio::time::advance(minute(2).since(clock.now())).await;
    // In the group of the first step, which does not get to it.
    let writer = opened.worker.writer.clone();
    let mut claimed = Box::pin(writer.claim(10));
    assert!(futures_util::poll!(&mut claimed).is_pending());
    let worker = opened.run();
    assert!(claimed.await.unwrap().is_none(), "under this policy it fires at minute 11");
    assert_eq!(waiting(&worker, "zz"), [minute(11)]);
}

#[tokio::test(start_paused = true)]
async fn a_first_start_plans_nothing_anew_and_its_policy_has_always_been() {
    let clock = Arc::new(TokioClock::starting_at(minute(7)));
    let worker = open(&TestStore::new(), &clock, settings()).run();
    let meta = worker.meta().await;
    assert_eq!(meta.replanning_after, None);
    let mark = meta.policy.unwrap();
    assert_eq!((mark.generation, mark.offsets.medium.since), (1, Timestamp::MIN));
}

#[tokio::test(start_paused = true)]
async fn what_fell_due_while_its_event_waited_for_a_first_start_fires_late_and_is_not_past() {
    let clock = Arc::new(TokioClock::starting_at(minute(30)));
    let worker = open(&TestStore::new(), &clock, settings()).run();
    worker.tell(of("waited", created(T0, &[due(minute(16))]))).await;
    let batch = worker.claim(10).await;
    assert_eq!(
        batch.reminders.iter().map(|claimed| claimed.reminder.fire_at).collect::<Vec<_>>(),
        [minute(1)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_setting_that_stays_as_it_is_keeps_its_date() {
    let worker = Worker::start().await;
    let first = worker.meta().await.policy.unwrap();
    let worker = worker.restart_with(other_offsets(5)).await;
    let mark = worker.meta().await.policy.unwrap();
    assert_eq!((mark.generation, mark.offsets.medium.since), (2, minute(0)));
    assert_eq!((mark.zone, mark.date_only), (first.zone, first.date_only));
    assert_eq!(mark.zone.since, Timestamp::MIN);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cant_be_read_does_not_stop_everything_else() {
    let worker = Worker::start().await;
    worker.tell_all(vec![by_default("damaged"), by_default("t")]).await;
    worker.store.damage(&task("damaged"));
    let worker = worker.restart_with(other_offsets(5)).await;
    assert_eq!(worker.tell(by_default("u")).await, Verdict::Success);
    assert_eq!(worker.tell(updated(minute(1), &[title("a")])).await, Verdict::Success);
    assert_eq!(waiting(&worker, "t"), [minute(595)], "its next event plans it anew");
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_came_while_the_clock_was_ahead_is_none_of_the_future() {
    let worker = Worker::start().await;
    worker.tell(by_default("t")).await;
    let (store, clock) = worker.crash().await;
    let ahead = Arc::new(TokioClock::starting_at(clock.now().plus(Duration::from_secs(366 * 86_400))));
    open(&store, &ahead, other_offsets(5)).run().crash().await;
    let generation = store.meta().unwrap().policy.unwrap().generation;
    let worker = open(&store, &clock, other_offsets(5)).run();
    let since = worker.writer.read(|view| view.policy.since).await.unwrap();
    assert!(since.offsets.medium <= clock.now() && since.zone == Timestamp::MIN);
    // That is no other policy: nothing that has ended is planned anew by a clock that may be behind.
    assert_eq!(worker.meta().await.policy.unwrap().generation, generation);
}
