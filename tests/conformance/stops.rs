//! The worker stopped while a delivery is open: it is delivered again to the next life, and accounted once.

use crate::rig::{Place, Plan, Rig, TASK_EVENTS, created};
use crate::tap::Hold;
use crate::wait::until;

/// How the worker goes.
#[derive(Clone, Copy)]
enum Signal {
    Term,
    Kill,
}

async fn stopped(place: Place, hold: Hold, signal: Signal) {
    let settings = vec!["dapr.bulk_subscribe=off", "shutdown.grace=500ms"];
    let mut rig = Rig::ready(&place, &Plan { settings, ..Plan::default() }).await;
    rig.tap.hold(hold);
    rig.publish(&created("open", 1_000)).await;
    until("the open delivery", async || rig.tap.passed(TASK_EVENTS).pop()).await;
    match signal {
        Signal::Term => {
            rig.worker.process.signal("TERM");
            assert_eq!(rig.worker.process.ended().await.code(), Some(0));
        }
        Signal::Kill => {
            rig.worker.process.signal("KILL");
            rig.worker.process.ended().await;
        }
    }
    rig.tap.hold(Hold::Nothing);
    rig.restart_worker().await;
    rig.worker.reminder_is("open", "published").await;
    let answered = until("the delivery again", async || {
        rig.tap.passed(TASK_EVENTS).into_iter().skip(1).find(|passed| passed.status == 200)
    })
    .await;
    assert_eq!(answered.reply["status"], "SUCCESS");
    // Taken whole before: the next life knows it. Half of it: the next life is the first to hear of it.
    let duplicates = u64::from(hold == Hold::Answer);
    assert_eq!(rig.worker.counted("applied").await, 1);
    assert_eq!(rig.worker.counted("duplicate").await, duplicates);
}

pub(crate) async fn terminated_with_half_a_body(place: Place) {
    stopped(place, Hold::Body, Signal::Term).await;
}

pub(crate) async fn terminated_before_the_answer_arrived(place: Place) {
    stopped(place, Hold::Answer, Signal::Term).await;
}

pub(crate) async fn killed_with_half_a_body(place: Place) {
    stopped(place, Hold::Body, Signal::Kill).await;
}

pub(crate) async fn killed_before_the_answer_arrived(place: Place) {
    stopped(place, Hold::Answer, Signal::Kill).await;
}
