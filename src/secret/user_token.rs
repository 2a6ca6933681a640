//! Tokens of one user each, which whoever holds the key can make: nothing of them is kept anywhere.
//!
//! `rw1.EXPIRES.USER.MAC`: the end in seconds of the Unix epoch, the user's id and the HMAC-SHA-256 of all before it, the
//! last two in base64url without padding. A token can't be taken back before its end but by another key, which takes back
//! all; so each has an end.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::Secret;

/// The format, and what tells a user's token from any other.
const FORMAT: &str = "rw1";
/// Shortest key, in bytes: who holds a token can try keys on it at leisure, so one must be beyond trying.
pub const KEY_MIN_BYTES: usize = 32;

/// Why a token gives no user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It is not of this form, or was not made with this key.
    Foreign,
    /// Its end has come.
    Expired,
}

/// A token of `user` that holds until `expires`, in seconds of the Unix epoch.
#[must_use]
pub fn sign(key: &Secret, user: &str, expires: i64) -> String {
    let signed = format!("{FORMAT}.{expires}.{}", URL_SAFE_NO_PAD.encode(user));
    let mac = mac(key, &signed).map(|mac| URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
    format!("{signed}.{}", mac.unwrap_or_default())
}

/// The user whose token this is, at `now` in seconds of the Unix epoch.
///
/// # Errors
/// [`Refusal`]
pub fn user_of(key: &Secret, token: &str, now: i64) -> Result<String, Refusal> {
    let read = || {
        let (signed, shown) = token.rsplit_once('.')?;
        // In constant time; what it says is looked at only when it is ours.
        mac(key, signed)?.verify_slice(&URL_SAFE_NO_PAD.decode(shown).ok()?).ok()?;
        let (expires, user) = signed.strip_prefix(FORMAT)?.strip_prefix('.')?.split_once('.')?;
        Some((expires.parse::<i64>().ok()?, String::from_utf8(URL_SAFE_NO_PAD.decode(user).ok()?).ok()?))
    };
    let (expires, user) = read().ok_or(Refusal::Foreign)?;
    if now < expires { Ok(user) } else { Err(Refusal::Expired) }
}

/// The authenticator of `signed`; HMAC takes a key of any length.
fn mac(key: &Secret, signed: &str) -> Option<Hmac<Sha256>> {
    let mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).ok()?;
    Some(mac.chain_update(signed))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_token_is_what_any_hmac_makes() {
        // printf %s rw1.1800000000.YW5u | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef -binary | basenc --base64url | tr -d =
        let token = "rw1.1800000000.YW5u.8KFXalT4soa1ByPEHZPsh0PDnoeVPOyViJDx3OHKG0w";
        assert_eq!(sign(&KEY.into(), "ann", 1_800_000_000), token);
    }

    #[test]
    fn a_token_is_its_users_until_its_end_and_nobody_elses() {
        let key = Secret::new(KEY);
        for user in ["ann", "", "ann.bob", "änn\u{0}"] {
            let token = sign(&key, user, 100);
            assert_eq!(user_of(&key, &token, 99).as_deref(), Ok(user));
            assert_eq!(user_of(&key, &token, 100), Err(Refusal::Expired));
            assert_eq!(user_of(&Secret::new(KEY.to_uppercase()), &token, 99), Err(Refusal::Foreign));
        }
    }

    #[test]
    fn a_token_that_was_changed_anywhere_is_foreign() {
        let key = Secret::new(KEY);
        let token = sign(&key, "ann", 100);
        for at in 0..token.len() {
            let cut = &token[..at];
            assert_eq!(user_of(&key, cut, 0), Err(Refusal::Foreign), "{cut}");
            for bit in 0..7 {
                let mut bytes = token.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let changed = String::from_utf8(bytes).unwrap();
                assert_eq!(user_of(&key, &changed, 0), Err(Refusal::Foreign), "{changed}");
            }
        }
        for other in ["", ".", "...", "rw1...", "rw1.9.YW5u.", "hunter2"] {
            assert_eq!(user_of(&key, other, 0), Err(Refusal::Foreign), "{other}");
        }
    }
}
