//! Arbitrary bytes as a JSON body: they are refused, or they print and read back as the same value.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tombolo_document::json;

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = json::parse(bytes) else {
        return;
    };
    let text = json::print(&value);
    let again = json::parse(text.as_bytes()).expect("what we print is JSON");
    assert_eq!(again, value, "a value survives printing");
});
