//! What comes before anything is sent or shown: a restore is told, and who was erased since its backup is erased again.

use super::AppError;
use crate::backups::Backups;
use crate::erasing::{EraseError, erase_user};
use crate::gauges;
use crate::health::Health;
use crate::store::StoreError;
use crate::store::sled::{BackupError, Erased, Erasing};
use crate::writer::{Confirm, Writer};

/// Tells that the store was restored, until somebody confirms that, and erases again who was erased after the backup was
/// made, and those whose erasing was cut off: before anything is sent or shown.
pub(super) async fn before_all(
    writer: &Writer,
    backups: Option<&Backups>,
    health: &Health,
) -> Result<(), AppError> {
    let failed = |error: EraseError| AppError::Erasing(error.to_string());
    let unnoted = |error: BackupError| AppError::Erasing(error.to_string());
    let restored = writer.read(|view| view.restored.cloned()).await.map_err(|error| failed(error.into()))?;
    if let Some(restored) = restored.as_ref().filter(|restored| restored.confirmed.is_none()) {
        tracing::error!("{}", gauges::what_is_missing(restored));
    }
    let from = restored.filter(|restored| restored.erases).map(|restored| restored.erased_from());
    if let Some(backups) = backups {
        let shelf = backups.shelf().clone();
        let due = tokio::task::spawn_blocking(move || shelf.to_erase(from)).await;
        let due = match due.map_err(|error| AppError::Erasing(error.to_string()))? {
            Ok(due) => due,
            Err(error) if from.is_some() => return Err(unnoted(error)),
            // A store that was not restored holds nobody who was erased, but where an erasing was cut off.
            Err(error) => {
                tracing::error!(%error, "whether an erasing was cut off can't be read; a later start looks again");
                health.warning(
                    "erasing",
                    Some(format!("whether an erasing was cut off can't be read: {error}")),
                );
                Vec::new()
            }
        };
        for erased in due {
            erase_again(writer, backups, health, erased, from.is_some()).await?;
        }
    }
    if from.is_some() {
        writer.confirm_restore(Confirm::ErasedAgain).await.map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

/// Erases one user. Where the store was restored their data is certainly back, and no worker may show it. Else a part of it
/// may be there, as it was before the start: where only a value that can't be read keeps it from going, which no start
/// mends, the worker goes on with a warning, and every later start tries again.
async fn erase_again(
    writer: &Writer,
    backups: &Backups,
    health: &Health,
    Erased { user, unfinished }: Erased,
    is_restored: bool,
) -> Result<(), AppError> {
    let tasks = match erase_user(writer, &user).await {
        Ok(report) => report.tasks,
        Err(error) if !is_restored && is_damage(&error) => {
            tracing::error!(%error, "the erasing of a user was cut off and can't be finished; a later start tries again");
            health.warning("erasing", Some(format!("{UNFINISHED}: {error}")));
            return Ok(());
        }
        Err(error) => return Err(AppError::Erasing(error.to_string())),
    };
    if unfinished {
        let noted = backups.note_erasing(&user, Erasing::Ended).await;
        noted.map_err(|error| AppError::Erasing(error.to_string()))?;
        tracing::warn!(tasks, "the erasing of a user was cut off and is finished");
    } else {
        tracing::warn!(tasks, "a user who was erased after the backup was made is erased again");
    }
    Ok(())
}

/// What readiness says of it.
const UNFINISHED: &str = "the erasing of a user was cut off and can't be finished, so a part of what is theirs may be kept; \
    `reminder-worker store verify` tells what can't be read, and a later start tries again";

/// Whether the store holds what can't be read or refused the command for that: a store that can't commit at all ends the
/// worker by itself.
fn is_damage(error: &EraseError) -> bool {
    match error {
        EraseError::NotCommitted(_) => true,
        EraseError::Unread(error) => matches!(error, StoreError::Corrupt(_)),
    }
}
