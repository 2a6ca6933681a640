//! A key of the store: what is understood is written as it was read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reminder_worker::store::sled::fuzzing;

fuzz_target!(|bytes: &[u8]| fuzzing::keys(bytes));
