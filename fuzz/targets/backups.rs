//! A backup or an export, whole or not: it is refused, or what it holds is looked through.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reminder_worker::store::sled::fuzzing;

fuzz_target!(|bytes: &[u8]| fuzzing::backups(bytes));
