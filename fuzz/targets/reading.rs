//! One delivery, in any wrapping: it is read, refused with a reason or ignored, and read alike the second time.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reminder_worker::reading::{
    Reading, Transport, mentions, names_user, read, read_receipts, task_of, validate,
};

fuzz_target!(|body: &[u8]| {
    for float_numbers in [false, true] {
        let transport = Transport { float_numbers, ..Transport::default() };
        let reading = read(body, &transport);
        assert_eq!(reading, read(body, &transport));
        match reading {
            Reading::Event(event) => {
                event.refused.iter().for_each(|refusal| assert!(!refusal.reason.is_empty()))
            }
            Reading::Refused(reason) => assert!(!reason.to_string().is_empty() && !reason.code().is_empty()),
            Reading::Ignored(why) => assert!(!why.code().is_empty()),
            Reading::Preferences(_) => {}
        }
    }
    read_receipts(body);
    task_of(body);
    // Whoever is named in a body is also mentioned.
    assert!(!names_user(body, "u-1") || mentions(body, "u-1"));
    let _ = validate("t-1", body);
});
