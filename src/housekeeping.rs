//! Housekeeping: periodic work that is late by a minute without anybody noticing.
//!
//! tokio-cron-scheduler triggers it, in UTC. It has open defects with daylight saving and stalls, so it never
//! owns a due time: a turn missed is made good by the next. It spawns tasks that outlive it, so its jobs hold
//! nothing but a bell to ring; the work is done here. Nothing here decides anything about tasks.

use tokio::sync::mpsc;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;

use crate::writer::{NotCommitted, Writer};

/// Forgetting tasks whose retention is over: hourly, off the full hour, when due dates crowd.
const PURGE: &str = "0 17 * * * *";
/// Comparing the counters with what is there, after a start and then half an hour from the other pass over all tasks.
const RECONCILE: &str = "0 47 * * * *";

/// Runs the jobs until `stop`.
///
/// # Errors
/// [`JobSchedulerError`] if the jobs can't be set up; then none runs.
pub async fn run(writer: Writer, stop: CancellationToken) -> Result<(), JobSchedulerError> {
    run_at(PURGE, RECONCILE, writer, stop).await
}

async fn run_at(
    purge_at: &str,
    reconcile_at: &str,
    writer: Writer,
    stop: CancellationToken,
) -> Result<(), JobSchedulerError> {
    let mut jobs = JobScheduler::new().await?;
    let mut purges = bell(&jobs, purge_at).await?;
    let mut reconciliations = bell(&jobs, reconcile_at).await?;
    jobs.start().await?;
    // What can't be read since the last life is told now, and not when it falls due.
    reconcile(&writer, &stop).await;
    loop {
        tokio::select! {
            () = stop.cancelled() => return jobs.shutdown().await,
            Some(()) = purges.recv() => purge(&writer, &stop).await,
            Some(()) = reconciliations.recv() => reconcile(&writer, &stop).await,
        }
    }
}

/// What rings at the times of `cron`.
async fn bell(jobs: &JobScheduler, cron: &str) -> Result<mpsc::Receiver<()>, JobSchedulerError> {
    // One place: a turn that comes while one is under way adds nothing.
    let (bell, rung) = mpsc::channel::<()>(1);
    jobs.add(Job::new(cron, move |_, _| {
        // Full means that a turn waits already.
        let _ = bell.try_send(());
    })?)
    .await?;
    Ok(rung)
}

/// Compares the counters with what is there.
async fn reconcile(writer: &Writer, stop: &CancellationToken) {
    in_steps("comparing the counters with the store", stop, || writer.reconcile()).await;
}

/// Forgets every task whose retention is over.
async fn purge(writer: &Writer, stop: &CancellationToken) {
    in_steps("forgetting old tasks", stop, || writer.purge()).await;
}

/// Takes a step between other commands, and another as long as more is left.
async fn in_steps<F: Future<Output = Result<bool, NotCommitted>>>(
    what: &str,
    stop: &CancellationToken,
    step: impl Fn() -> F,
) {
    while !stop.is_cancelled() {
        match step().await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%error, "{what} broke off; it goes on within the hour");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
