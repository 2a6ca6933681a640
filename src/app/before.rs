//! What comes before anything is sent or shown: a restore is told, and who was erased since its backup is erased again.

use super::AppError;
use crate::backups::Backups;
use crate::erasing::{EraseError, erase_user};
use crate::gauges;
use crate::health::Health;
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
        for Erased { user, unfinished } in due {
            let tasks = erase_user(writer, &user).await.map_err(failed)?.tasks;
            if unfinished {
                backups.note_erasing(&user, Erasing::Ended).await.map_err(unnoted)?;
                tracing::warn!(tasks, "the erasing of a user was cut off and is finished");
            } else {
                tracing::warn!(tasks, "a user who was erased after the backup was made is erased again");
            }
        }
    }
    if from.is_some() {
        writer.confirm_restore(Confirm::ErasedAgain).await.map_err(|error| failed(error.into()))?;
    }
    Ok(())
}
