//! Which store it is: a number of its own, given once and kept as long as the store goes on.
//!
//! It stands in the store, in the marker beside it, in its backups and in their names, so that of two stores whose backups
//! lie in one directory none takes, counts or removes the other's. A store that is restored or imported goes on as the one
//! that it was. The number is drawn by who opens the store for a worker; a store from before there were any, and one in
//! memory, has none until then.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::disk::{Disk, Writes};
use super::{SledStore, keys};
use crate::store::StoreError;

/// The number of a store, drawn at random.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity([u8; 16]);

impl Identity {
    /// That of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// Its beginning, which is enough to tell a few stores apart: 8 digits.
    pub(super) fn short(self) -> String {
        let mut digits = self.to_string();
        digits.truncate(SHORT);
        digits
    }

    /// That of 32 digits.
    pub(super) fn of_digits(digits: &str) -> Option<Self> {
        let is_plain = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = u128::from_str_radix(digits, 16).ok()?;
        is_plain.then_some(Self(number.to_be_bytes()))
    }
}

/// Digits of [`Identity::short`].
pub(super) const SHORT: usize = 8;

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(deserializer)?;
        Self::of_digits(&digits).ok_or_else(|| de::Error::custom("it is no number of a store"))
    }
}

/// The number of the store on `disk`, if it has been given one.
pub(super) fn of(disk: &dyn Disk) -> Result<Option<Identity>, StoreError> {
    let Some(stored) = disk.get(&keys::single(keys::IDENTITY))? else { return Ok(None) };
    let bytes: Result<[u8; 16], _> = stored.as_ref().try_into();
    bytes.map(|bytes| Some(Identity(bytes))).map_err(|_| {
        StoreError::Corrupt("which store it is cannot be read: it is not of the length of a number".into())
    })
}

impl SledStore {
    /// Which store it is; `None` where no worker has opened it yet that gives stores a number.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// Gives it a number; it has none, and nobody has committed yet.
    pub(super) fn give(&mut self, identity: Identity) -> Result<(), StoreError> {
        let key = keys::single(keys::IDENTITY);
        self.disk.write(&Writes::from([(key, Some(identity.bytes().to_vec()))]))?;
        self.identity = Some(identity);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sled::in_memory;

    #[test]
    fn its_digits_tell_it_and_nothing_else_does() {
        let identity = Identity::from_bytes([0, 0x1a, 0xff, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        let digits = identity.to_string();
        assert_eq!(
            (digits.as_str(), identity.short().as_str()),
            ("001aff030405060708090a0b0c0d0e0f", "001aff03")
        );
        assert_eq!(Identity::of_digits(&digits), Some(identity));
        for other in [
            "",
            &digits[1..],
            &format!("{digits}0"),
            &digits.replace('f', "g"),
            &format!("+{}", &digits[1..]),
        ] {
            assert_eq!(Identity::of_digits(other), None, "{other}");
        }
    }

    #[test]
    fn a_number_that_cannot_be_read_is_told() {
        let mut store = in_memory().unwrap();
        assert_eq!(store.identity(), None);
        store.give(Identity::from_bytes([7; 16])).unwrap();
        let key = keys::single(keys::IDENTITY);
        assert_eq!(of(&store.disk).unwrap(), store.identity());
        store.disk.write(&Writes::from([(key, Some(vec![7; 15]))])).unwrap();
        assert!(matches!(of(&store.disk), Err(StoreError::Corrupt(_))));
    }
}
