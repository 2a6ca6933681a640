//! Housekeeping: periodic work that is late by a minute without anybody noticing.
//!
//! tokio-cron-scheduler triggers it, in UTC. It has open defects with daylight saving and stalls, so it never
//! owns a due time: a job missed is done at its next turn. Each job is a command to the commit loop or a pure
//! read; none of them decides anything about tasks.

use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;

use crate::writer::Writer;

/// Forgetting tasks whose retention is over: hourly, off the full hour, when due dates crowd.
const PURGE: &str = "0 17 * * * *";

/// Runs the jobs until `stop`.
///
/// # Errors
/// [`JobSchedulerError`] if the jobs can't be set up; then none runs.
pub async fn run(writer: Writer, stop: CancellationToken) -> Result<(), JobSchedulerError> {
    let mut jobs = JobScheduler::new().await?;
    jobs.add(Job::new_async(PURGE, move |_, _| {
        let writer = writer.clone();
        Box::pin(async move { purge(&writer).await })
    })?)
    .await?;
    jobs.start().await?;
    stop.cancelled().await;
    jobs.shutdown().await
}

/// Forgets every task whose retention is over, in steps between other commands.
async fn purge(writer: &Writer) {
    loop {
        match writer.purge().await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%error, "forgetting old tasks broke off; it goes on within the hour");
                return;
            }
        }
    }
}
