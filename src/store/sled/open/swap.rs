//! Another directory in the place of a store's: by renames, none of which a crash can leave half done.
//!
//! What is to come is made and forced first, as `DIR.coming`; `DIR` is not touched meanwhile. Then a note beside it,
//! `DIR.swap`, says under which name `DIR` is set aside, and from here on the swap is only ever carried on:
//!
//! 1. `DIR` → `DIR.damaged-…`, unless that has happened;
//! 2. `DIR.coming` → `DIR`, unless that has happened;
//! 3. the marker is written anew; the note goes.
//!
//! Each step is forced before the next. Whoever opens the store next goes on from wherever it was. The note is written
//! once before that, too, when damage has been proven and before anything is made: the engine writes while it opens, and
//! might take for whole the next time what it has refused once.
//!
//! The note holds a hash of what lay in `DIR` when it was written. Where something else lies there, somebody has put it there
//! by hand and left the note: that is refused, and nothing is renamed.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::advice::unreachable;
use super::compact::COMPACTING;
use super::{Place, force};
use crate::store::OpenError;
use crate::store::sled::Identity;
use crate::store::sled::files::replace;

/// What the note says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    /// How far it is.
    pub(super) stage: Stage,
    /// The name under which what stands there now is set aside.
    pub(super) aside: String,
    /// Why.
    pub(super) reason: String,
    /// Which store is to come, as far as that is known.
    #[serde(default)]
    pub(super) store: Option<Identity>,
    /// What lies there now ([`Place::print`]).
    #[serde(default)]
    pub(super) print: Option<String>,
}

/// Why a store is replaced that nobody has found damaged.
pub(super) const IMPORTED: &str = "an import into it was cut off";
/// The same.
pub(super) const COMPACTED: &str = "it was being compacted";

impl Note {
    /// Whether what is to be set aside was proven to be damaged.
    fn is_of_damage(&self) -> bool {
        ![IMPORTED, COMPACTED].contains(&self.reason.as_str())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stage {
    /// The store is damaged; what is to come is not made yet.
    Damaged,
    /// What is to come is whole.
    Ready,
}

impl Place {
    /// Ends a swap that was cut off, and clears what was being made where none had begun; why the store is damaged, where a restore had only begun.
    pub(super) fn end_swap(&self) -> Result<Option<String>, OpenError> {
        let Some(note) = self.note()? else {
            self.clear_unswapped();
            return Ok(None);
        };
        match note.stage {
            Stage::Damaged => {
                self.is_noted(&note)?;
                Ok(Some(note.reason))
            }
            Stage::Ready => self.carry_out(&note),
        }
    }

    /// Removes what somebody was killed over while it was made: under the lock and without a note it is nobody's. What can't
    /// be removed is told and stays: the next one who makes any removes it, or says why not.
    fn clear_unswapped(&self) {
        let file = self.beside(COMPACTING);
        let removed = self.clear().map_err(|error| (&self.coming, error)).and_then(|()| {
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err((&file, error)),
                _ => Ok(()),
            }
        });
        if let Err((path, error)) = removed {
            tracing::warn!(path = %path.display(), %error, "what was left of a restore or a compaction can't be removed");
        }
    }

    /// The note of a swap, if there is one.
    pub(super) fn note(&self) -> Result<Option<Note>, OpenError> {
        let text = match std::fs::read_to_string(&self.swap) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreachable(&self.swap, &error.to_string())),
        };
        let note: Option<Note> = serde_json::from_str(&text).ok();
        // A name that leads elsewhere must not be renamed to, whoever wrote it.
        let is_beside = |note: &Note| {
            let rest = note.aside.strip_prefix(&self.name()).and_then(|rest| rest.strip_prefix('.'));
            rest.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-'))
        };
        note.filter(is_beside).map(Some).ok_or_else(|| OpenError::Unreachable {
            path: self.dir.display().to_string(),
            reason: format!(
                "{} cannot be read, which says what is being done about a damaged store",
                self.swap.display()
            ),
            advice: "look at what lies beside the directory (docs/recovery.md) and whether `reminder-worker store verify` \
                     finds the store whole, then remove that file",
        })
    }

    /// Writes the note, whole or not at all.
    pub(super) fn write_note(&self, note: &Note) -> io::Result<()> {
        replace(&self.swap, serde_json::to_string(note)?.as_bytes())?;
        self.give(&self.swap);
        Ok(())
    }

    /// Carries out a swap that is ready; why the store is damaged, where what was to come is gone and
    /// nothing has come of it.
    pub(super) fn carry_out(&self, note: &Note) -> Result<Option<String>, OpenError> {
        let io = |error: io::Error| unreachable(&self.dir, &error.to_string());
        let aside = self.parent.join(&note.aside);
        let there = |path: &Path| path.try_exists().map_err(io);
        if there(&self.coming)? {
            if there(&self.dir)? {
                if there(&aside)? {
                    return Err(OpenError::Unreachable {
                        path: self.dir.display().to_string(),
                        reason: format!(
                            "it is to be set aside as {}, which is there already",
                            aside.display()
                        ),
                        advice: "move that elsewhere, then start again",
                    });
                }
                self.is_noted(note)?;
                if let Err(error) = std::fs::rename(&self.dir, &aside) {
                    // It is a mount point: what is whole is to start again.
                    if error.kind() == io::ErrorKind::ResourceBusy && !note.is_of_damage() {
                        self.drop_note().map_err(io)?;
                    }
                    return Err(io(error));
                }
                force(&self.parent).map_err(io)?;
            }
            std::fs::rename(&self.coming, &self.dir).and_then(|()| force(&self.parent)).map_err(io)?;
        } else if !there(&self.dir)? {
            return Ok(Some(note.reason.clone()));
        } else if note.print.is_some() && Some(self.print().map_err(io)?) == note.print {
            return self.give_up(note);
        }
        // Anew: it says what the store held that stood there before.
        self.mark(note.store).map_err(io)?;
        self.drop_note().map_err(io)?;
        Ok(None)
    }

    /// Gives up a swap of which nothing has happened, and of which what was to come is gone: why the store is damaged that
    /// lies there still, where it was to be replaced for that.
    fn give_up(&self, note: &Note) -> Result<Option<String>, OpenError> {
        tracing::error!(
            store = %self.dir.display(), removed = %self.coming.display(), reason = note.reason,
            "what was to take the store's place was removed before it could"
        );
        if note.is_of_damage() {
            return Ok(Some(note.reason.clone()));
        }
        // It is what it was, and so is its marker.
        self.drop_note().map_err(|error| unreachable(&self.swap, &error.to_string()))?;
        Ok(None)
    }

    pub(super) fn drop_note(&self) -> io::Result<()> {
        std::fs::remove_file(&self.swap)?;
        force(&self.parent)
    }
}
