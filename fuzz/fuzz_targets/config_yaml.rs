//! Arbitrary text as a configuration file: it is understood, or every problem is told with its place.
//! The module of the program is compiled in as it stands, because the program has no library.

#![no_main]
// The target calls one function of modules that the program uses in full.
#![allow(dead_code, unused_imports)]

use libfuzzer_sys::fuzz_target;

#[path = "../../programs/tombolo-cli/src/api_key/mod.rs"]
mod api_key;
#[path = "../../programs/tombolo-cli/src/config/mod.rs"]
mod config;

fuzz_target!(|text: &str| {
    for insecure_listen in [
        config::InsecureListen::Refused,
        config::InsecureListen::Allowed,
    ] {
        let context = config::Context {
            file: "fuzz.yaml",
            insecure_listen,
        };
        if let Err(error) = config::parse(text, context) {
            // Printing cuts the line at the place, which is the part that can slip.
            assert!(!error.to_string().is_empty());
        }
    }
});
