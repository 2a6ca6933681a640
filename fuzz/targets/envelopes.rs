//! A batch: each entry is read by itself, and the batch is refused whole or answered whole.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reminder_worker::reading::{ENTRIES_MAX, read_bulk};

fuzz_target!(|body: &[u8]| {
    match read_bulk(body) {
        Ok(entries) => {
            assert!(entries.len() <= ENTRIES_MAX);
            for entry in &entries {
                entry.transport();
                entry.read();
            }
        }
        Err(reason) => assert!(!reason.to_string().is_empty()),
    }
});
