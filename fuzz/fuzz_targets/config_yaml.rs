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
#[path = "../../programs/tombolo-cli/src/edge/endpoint.rs"]
mod endpoint;

/// As the configuration finds it.
mod edge {
    pub(crate) use crate::endpoint::Endpoint;
}

/// No variable is set, and there is no file.
#[derive(Debug)]
struct EmptyMachine;

impl config::secret::Outside for EmptyMachine {
    fn variable(&self, _: &str) -> Option<std::ffi::OsString> {
        None
    }

    fn secret_file(
        &self,
        path: &std::path::Path,
    ) -> Result<config::secret::SecretFile, config::secret::UnreadableFile> {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        Err(config::secret::UnreadableFile::new(path, source))
    }
}

fuzz_target!(|text: &str| {
    for insecure_listen in [
        config::InsecureListen::Refused,
        config::InsecureListen::Allowed,
    ] {
        let context = config::Context {
            file: "fuzz.yaml",
            insecure_listen,
            outside: &EmptyMachine,
        };
        if let Err(error) = config::parse(text, context) {
            // Printing cuts the line at the place, which is the part that can slip.
            assert!(!error.to_string().is_empty());
        }
    }
});
