//! The numbers that stand for the domain's words on the disk. They are fixed for ever: a number is never given
//! to another word, and 0 always means "none".

use super::wire::Malformed;
use crate::domain::{Cause, Field, Kind, Priority, QuietMode, State, Status, WishField};

/// A word with a number.
pub(super) trait Coded: Sized {
    /// Its number, from 1 to 31: it shares a byte with flags.
    fn code(self) -> u8;
    /// The word of a number.
    fn from_code(code: u8) -> Result<Self, Malformed>;
}

macro_rules! coded {
    ($word:ident { $($code:literal => $variant:ident,)+ }) => {
        impl Coded for $word {
            fn code(self) -> u8 {
                match self { $(Self::$variant => $code,)+ }
            }

            fn from_code(code: u8) -> Result<Self, Malformed> {
                match code {
                    $($code => Ok(Self::$variant),)+
                    _ => Err(Malformed(concat!("a number stands for no ", stringify!($word)))),
                }
            }
        }
    };
}

coded!(Kind {
    1 => Created, 2 => Updated, 3 => Completed, 4 => Deleted, 5 => Snoozed, 6 => Acknowledged,
});
coded!(Priority { 1 => Low, 2 => Medium, 3 => High, });
coded!(Status { 1 => Todo, 2 => InProgress, 3 => Done, });
coded!(State { 1 => Pending, 2 => Published, 3 => Cancelled, 4 => Superseded, 5 => Expired, });
coded!(WishField { 1 => Zone, 2 => Offsets, 3 => Quiet, 4 => Mute, 5 => Digest, });
coded!(QuietMode { 1 => Defer, 2 => Drop, 3 => Earlier, });
coded!(Cause { 1 => Muted, 2 => Quiet, 3 => PastAtImport, 4 => Answered, });
coded!(Field {
    1 => User, 2 => Title, 3 => Priority, 4 => Status, 5 => Due, 6 => Zone, 7 => Offsets, 8 => RemindAt,
    9 => Tags, 10 => Recurrence, 11 => Nags, 12 => Snooze, 13 => Acknowledged, 14 => Cancelled,
});
