//! The store's other values, the first byte says which: what is understood comes back as it was, written anew.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reminder_worker::store::sled::fuzzing;

fuzz_target!(|bytes: &[u8]| fuzzing::values(bytes));
