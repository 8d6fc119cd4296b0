//! The public hash of an API key: base64 of a PHC string, scrypt or argon2.
//! What a check costs is chosen by this text, so `kdf` bounds it before it is believed.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{
    GeneralPurpose, GeneralPurposeConfig, STANDARD, STANDARD_NO_PAD,
};
use subtle::ConstantTimeEq;

use super::kdf::Kdf;
use super::own::{self, KeyId};

/// Bytes of randomness in a generated key.
const KEY_BYTES: usize = 32;
const OUTPUT_BYTES: usize = 32;
const SALT_BYTES_ALLOWED: std::ops::RangeInclusive<usize> = 8..=64;
const OUTPUT_BYTES_ALLOWED: std::ops::RangeInclusive<usize> = 16..=64;
/// A longer hash text is refused unread.
const TEXT_BYTES_MAX: usize = 1024;

/// Padding or none, as older tools print both.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a key must hash to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KeyHash {
    kdf: Kdf,
    salt: Vec<u8>,
    output: Vec<u8>,
}

/// Why a text is not a usable hash. The operator's to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HashError {
    #[error("is not base64 of a hash")]
    NotBase64,
    #[error("is not a PHC string of scrypt or argon2")]
    NotPhc,
    #[error("asks for too much memory or time: at most 256 MiB, 10 passes and 4 lanes are allowed")]
    TooCostly,
    #[error("has a salt or an output of a wrong length: 8 to 64 and 16 to 64 bytes are allowed")]
    WrongLength,
}

/// A new key with its hash, shown once.
pub(crate) struct GeneratedKey {
    /// For the client.
    pub(crate) private_key: String,
    /// For the configuration.
    pub(crate) public_hash: String,
}

impl GeneratedKey {
    /// Makes a key of the given randomness.
    ///
    /// # Errors
    /// Only if the hash function refuses the fixed parameters.
    pub(crate) fn from_randomness(key: [u8; KEY_BYTES], id: KeyId) -> Result<Self, HashError> {
        let private_key = own::write(id, key);
        let salt = own::salt(id);
        let output = Kdf::GENERATED.derive(&private_key, &salt, OUTPUT_BYTES)?;
        let hash = KeyHash {
            kdf: Kdf::GENERATED,
            salt: salt.to_vec(),
            output,
        };
        Ok(Self {
            private_key,
            public_hash: STANDARD.encode(hash.phc()),
        })
    }
}

impl KeyHash {
    /// Reads the text of the configuration.
    ///
    /// # Errors
    /// [`HashError`].
    pub(crate) fn parse(text: &str) -> Result<Self, HashError> {
        // The documented tool prints a stray dollar sign after the base64.
        let text = text.trim().trim_end_matches('$');
        if text.len() > TEXT_BYTES_MAX {
            return Err(HashError::NotBase64);
        }
        let phc = LENIENT.decode(text).map_err(|_| HashError::NotBase64)?;
        let phc = String::from_utf8(phc).map_err(|_| HashError::NotPhc)?;
        let hash = Self::parse_phc(phc.trim().trim_start_matches('$'))?;
        let has_lengths = SALT_BYTES_ALLOWED.contains(&hash.salt.len())
            && OUTPUT_BYTES_ALLOWED.contains(&hash.output.len());
        if has_lengths {
            Ok(hash)
        } else {
            Err(HashError::WrongLength)
        }
    }

    fn parse_phc(phc: &str) -> Result<Self, HashError> {
        let fields: Vec<&str> = phc.split('$').collect();
        let (kdf, salt, output) = match fields[..] {
            ["scrypt", parameters, salt, output] => (Kdf::scrypt(parameters)?, salt, output),
            [name, version, parameters, salt, output] => {
                (Kdf::argon2(name, version, parameters)?, salt, output)
            }
            _ => return Err(HashError::NotPhc),
        };
        let decode = |text| STANDARD_NO_PAD.decode(text).map_err(|_| HashError::NotPhc);
        Ok(Self {
            kdf,
            salt: decode(salt)?,
            output: decode(output)?,
        })
    }

    /// What no other key's hash has: its salt is a part of it.
    pub(crate) fn output(&self) -> &[u8] {
        &self.output
    }

    /// Whether `key` is the key of this hash. Takes the memory and the time that the hash names.
    pub(crate) fn matches(&self, key: &str) -> bool {
        let derived = self.kdf.derive(key, &self.salt, self.output.len());
        derived.is_ok_and(|derived| derived.ct_eq(&self.output).into())
    }

    /// The id of the key, if this program made it.
    pub(crate) fn id(&self) -> Option<KeyId> {
        own::id_of(&self.salt)
    }

    /// Whether it costs as much as the hashes of `api-key generate`, here and in the documented tool.
    pub(crate) fn is_of_generated_form(&self) -> bool {
        self.kdf == Kdf::GENERATED && self.output.len() == OUTPUT_BYTES
    }

    /// The hash that another program would make of a key, cheaply.
    #[cfg(test)]
    pub(crate) fn foreign(key: &str) -> Self {
        let kdf = Kdf::scrypt("ln=4,r=8,p=1").unwrap();
        let salt = vec![7; 16];
        let output = kdf.derive(key, &salt, OUTPUT_BYTES).unwrap();
        Self { kdf, salt, output }
    }

    fn phc(&self) -> String {
        let salt = STANDARD_NO_PAD.encode(&self.salt);
        let output = STANDARD_NO_PAD.encode(&self.output);
        format!("{}${salt}${output}", self.kdf)
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KeyHash")
            .field("kdf", &self.kdf)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cheap parameters keep these tests quick; the program's own tests take the documented cost.
    fn cheap(parameters: Kdf) -> KeyHash {
        let salt = vec![7; 16];
        let output = parameters.derive("a key of the client", &salt, 32).unwrap();
        KeyHash {
            kdf: parameters,
            salt,
            output,
        }
    }

    fn scrypt() -> Kdf {
        Kdf::scrypt("ln=4,r=8,p=1").unwrap()
    }

    fn argon2() -> Kdf {
        Kdf::argon2("argon2id", "v=19", "m=64,t=1,p=1").unwrap()
    }

    fn parse_phc(phc: &str) -> Result<(), HashError> {
        KeyHash::parse(&STANDARD.encode(phc)).map(drop)
    }

    #[test]
    fn both_families_survive_the_round_trip_and_know_their_key() {
        for kdf in [scrypt(), argon2()] {
            let hash = cheap(kdf);
            let read = KeyHash::parse(&STANDARD.encode(hash.phc())).unwrap();
            assert_eq!(read, hash);
            assert!(read.matches("a key of the client"));
            assert!(!read.matches("another key"));
        }
    }

    #[test]
    fn a_leading_and_a_trailing_dollar_and_missing_padding_are_accepted() {
        let hash = cheap(argon2());
        for phc in [hash.phc(), format!("${}", hash.phc())] {
            let padded = STANDARD.encode(&phc);
            assert_eq!(KeyHash::parse(&format!(" {padded}$\n")), Ok(hash.clone()));
            assert_eq!(
                KeyHash::parse(padded.trim_end_matches('=')),
                Ok(hash.clone())
            );
        }
    }

    #[test]
    fn lengths_are_allowed_at_the_limit_and_refused_outside() {
        let parse = |salt_bytes: usize, output_bytes: usize| {
            let salt = STANDARD_NO_PAD.encode(vec![1; salt_bytes]);
            let output = STANDARD_NO_PAD.encode(vec![1; output_bytes]);
            parse_phc(&format!("scrypt$ln=16,r=8,p=1${salt}${output}"))
        };
        for (salt, output) in [(8, 16), (64, 64)] {
            assert_eq!(parse(salt, output), Ok(()));
        }
        for (salt, output) in [(7, 32), (65, 32), (16, 15), (16, 65)] {
            assert_eq!(parse(salt, output), Err(HashError::WrongLength));
        }
    }

    #[test]
    fn malformed_texts_are_refused() {
        let too_long = "A".repeat(TEXT_BYTES_MAX + 1);
        assert_eq!(
            KeyHash::parse("PASTE THE HASH HERE"),
            Err(HashError::NotBase64)
        );
        assert_eq!(KeyHash::parse(&too_long), Err(HashError::NotBase64));
        for phc in [
            "",
            "bcrypt$ln=1,r=1,p=1$AA$AA",
            "scrypt$ln=16,r=8,p=1$*$AAAA",
        ] {
            assert_eq!(parse_phc(phc), Err(HashError::NotPhc));
        }
    }
}
