//! A store that can't say what is due.

use super::errors::Errors;
use super::*;

#[tokio::test(start_paused = true)]
async fn what_is_due_and_cant_be_read_holds_up_all_is_logged_once_and_goes_out_when_it_can_be_read() {
    let mut worker = Worker::still().await;
    let scheduler = worker.scheduler(PACE);
    let held_up = scheduler.held_up();
    worker.scheduler.spawn(scheduler.run(worker.stop.clone(), || ()));
    let errors = Errors::counted();
    for (round, task) in ["a", "b"].into_iter().enumerate() {
        worker.tell(due_in(task, 1_000 + 20_000 * i64::try_from(round).unwrap())).await;
        worker.store.damage_lists(i64::MAX);
        worker.sleep(10 * SECOND).await;
        let told = held_up.borrow().clone().unwrap();
        assert!(told.contains("as told") && told.contains("store verify"), "{told}");
        worker.store.damage_lists(0);
        worker.sleep(10 * SECOND).await;
        assert_eq!(*held_up.borrow(), None);
        assert_eq!(worker.broker.instants_of(task).len(), 1);
        assert_eq!(errors.count(), round + 1, "once each time that it begins");
    }
}
