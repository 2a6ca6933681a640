//! (being written)
/// The loop.
pub struct CommitLoop;
