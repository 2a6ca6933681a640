//! Tests of the store below its interface: what values look like, and what failing disks leave.

mod causes;
mod codec;
pub(super) mod disks;
mod faults;
mod formats;
mod golden;
mod ledger;
mod limits;
mod pieces;
mod preferences;
mod strategies;
mod verify;
