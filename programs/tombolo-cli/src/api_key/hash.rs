//! The public hash of an API key: base64 of a PHC string, scrypt or argon2.
//! The cost of checking a key is chosen by this text, so it is bounded before it is believed.

use std::fmt;

use argon2::{Algorithm, Argon2, Version};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{
    GeneralPurpose, GeneralPurposeConfig, STANDARD, STANDARD_NO_PAD,
};
use subtle::ConstantTimeEq;

/// Bytes of randomness in a generated key.
const KEY_BYTES: usize = 32;
const SALT_BYTES: usize = 16;
const OUTPUT_BYTES: usize = 32;
/// Cost of generated hashes, as documented.
const GENERATED: Kdf = Kdf::Scrypt {
    log_n: 16,
    r: 8,
    p: 1,
};

/// Most memory that one check may take.
const MEMORY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Most passes, lanes or repetitions that one check may take.
const ARGON2_PASSES_MAX: u32 = 10;
const LANES_MAX: u32 = 4;
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kdf {
    Scrypt {
        log_n: u8,
        r: u32,
        p: u32,
    },
    Argon2 {
        algorithm: Algorithm,
        version: Version,
        memory_kib: u32,
        passes: u32,
        lanes: u32,
    },
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
    /// Only if the machine has no memory for the hash.
    pub(crate) fn from_randomness(
        key: [u8; KEY_BYTES],
        salt: [u8; SALT_BYTES],
    ) -> Result<Self, HashError> {
        let private_key = STANDARD.encode(key);
        let output = GENERATED.derive(&private_key, &salt, OUTPUT_BYTES)?;
        let hash = KeyHash {
            kdf: GENERATED,
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
        let hash = Self::parse_phc(phc.trim().trim_start_matches('$')).ok_or(HashError::NotPhc)?;
        hash.check_cost()?;
        if SALT_BYTES_ALLOWED.contains(&hash.salt.len())
            && OUTPUT_BYTES_ALLOWED.contains(&hash.output.len())
        {
            Ok(hash)
        } else {
            Err(HashError::WrongLength)
        }
    }

    fn parse_phc(phc: &str) -> Option<Self> {
        let fields: Vec<&str> = phc.split('$').collect();
        let (kdf, salt, output) = match fields[..] {
            ["scrypt", parameters, salt, output] => (scrypt_kdf(parameters)?, salt, output),
            [name, version, parameters, salt, output] => {
                (argon2_kdf(name, version, parameters)?, salt, output)
            }
            [name, parameters, salt, output] => {
                (argon2_kdf(name, "v=16", parameters)?, salt, output)
            }
            _ => return None,
        };
        let salt = STANDARD_NO_PAD.decode(salt).ok()?;
        let output = STANDARD_NO_PAD.decode(output).ok()?;
        Some(Self { kdf, salt, output })
    }

    fn check_cost(&self) -> Result<(), HashError> {
        let (memory_bytes, passes, lanes) = match self.kdf {
            Kdf::Scrypt { log_n, r, p } => {
                let block = 128 * u64::from(r);
                let blocks = 1_u64.checked_shl(u32::from(log_n)).unwrap_or(u64::MAX);
                (block.saturating_mul(blocks), 1, p)
            }
            Kdf::Argon2 {
                memory_kib,
                passes,
                lanes,
                ..
            } => (u64::from(memory_kib) * 1024, passes, lanes),
        };
        let is_cheap =
            memory_bytes <= MEMORY_BYTES_MAX && passes <= ARGON2_PASSES_MAX && lanes <= LANES_MAX;
        if is_cheap {
            self.kdf.check()
        } else {
            Err(HashError::TooCostly)
        }
    }

    /// Whether `key` is the key of this hash. Takes the memory and the time that the hash names.
    pub(crate) fn matches(&self, key: &str) -> bool {
        let derived = self.kdf.derive(key, &self.salt, self.output.len());
        derived.is_ok_and(|derived| derived.ct_eq(&self.output).into())
    }

    fn phc(&self) -> String {
        let parameters = match self.kdf {
            Kdf::Scrypt { log_n, r, p } => format!("scrypt$ln={log_n},r={r},p={p}"),
            Kdf::Argon2 {
                algorithm,
                version,
                memory_kib,
                passes,
                lanes,
            } => {
                format!(
                    "{}$v={}$m={memory_kib},t={passes},p={lanes}",
                    algorithm.as_str(),
                    u32::from(version)
                )
            }
        };
        let (salt, output) = (
            STANDARD_NO_PAD.encode(&self.salt),
            STANDARD_NO_PAD.encode(&self.output),
        );
        format!("{parameters}${salt}${output}")
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

impl Kdf {
    fn check(self) -> Result<(), HashError> {
        match self {
            Self::Scrypt { log_n, r, p } => scrypt::Params::new(log_n, r, p)
                .map(drop)
                .map_err(|_| HashError::NotPhc),
            Self::Argon2 {
                memory_kib,
                passes,
                lanes,
                ..
            } => argon2::Params::new(memory_kib, passes, lanes, None)
                .map(drop)
                .map_err(|_| HashError::NotPhc),
        }
    }

    fn derive(self, key: &str, salt: &[u8], length_bytes: usize) -> Result<Vec<u8>, HashError> {
        let mut output = vec![0; length_bytes];
        match self {
            Self::Scrypt { log_n, r, p } => {
                let parameters = scrypt::Params::new(log_n, r, p).map_err(|_| HashError::NotPhc)?;
                scrypt::scrypt(key.as_bytes(), salt, &parameters, &mut output)
                    .map_err(|_| HashError::WrongLength)?;
            }
            Self::Argon2 {
                algorithm,
                version,
                memory_kib,
                passes,
                lanes,
            } => {
                let parameters = argon2::Params::new(memory_kib, passes, lanes, Some(length_bytes))
                    .map_err(|_| HashError::NotPhc)?;
                Argon2::new(algorithm, version, parameters)
                    .hash_password_into(key.as_bytes(), salt, &mut output)
                    .map_err(|_| HashError::WrongLength)?;
            }
        }
        Ok(output)
    }
}

fn scrypt_kdf(parameters: &str) -> Option<Kdf> {
    let [log_n, r, p] = numbers(parameters, ["ln", "r", "p"])?;
    Some(Kdf::Scrypt {
        log_n: u8::try_from(log_n).ok()?,
        r,
        p,
    })
}

fn argon2_kdf(name: &str, version: &str, parameters: &str) -> Option<Kdf> {
    let algorithm = match name {
        "argon2id" => Algorithm::Argon2id,
        "argon2i" => Algorithm::Argon2i,
        "argon2d" => Algorithm::Argon2d,
        _ => return None,
    };
    let [version] = numbers(version, ["v"])?;
    let [memory_kib, passes, lanes] = numbers(parameters, ["m", "t", "p"])?;
    Some(Kdf::Argon2 {
        algorithm,
        version: Version::try_from(version).ok()?,
        memory_kib,
        passes,
        lanes,
    })
}

/// Reads `a=1,b=2` with exactly these names in this order.
fn numbers<const COUNT: usize>(text: &str, names: [&str; COUNT]) -> Option<[u32; COUNT]> {
    let mut found = [0; COUNT];
    let mut parts = text.split(',');
    for (name, number) in names.iter().zip(&mut found) {
        let (key, value) = parts.next()?.split_once('=')?;
        if key != *name {
            return None;
        }
        *number = value.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cheap parameters keep these tests quick; the documented cost is covered by the program's own tests.
    fn cheap(kdf: Kdf) -> KeyHash {
        let salt = vec![7; 16];
        let output = kdf.derive("a key of the client", &salt, 32).unwrap();
        KeyHash { kdf, salt, output }
    }

    fn argon2() -> Kdf {
        let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
        Kdf::Argon2 {
            algorithm,
            version,
            memory_kib: 64,
            passes: 1,
            lanes: 1,
        }
    }

    #[test]
    fn both_families_survive_the_round_trip_and_know_their_key() {
        for kdf in [
            Kdf::Scrypt {
                log_n: 4,
                r: 8,
                p: 1,
            },
            argon2(),
        ] {
            let hash = cheap(kdf);
            let text = STANDARD.encode(hash.phc());
            let read = KeyHash::parse(&text).unwrap();
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
    fn costs_are_allowed_at_the_limit_and_refused_above() {
        let parse = |parameters: &str| {
            let tail = "AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
            KeyHash::parse(&STANDARD.encode(format!("{parameters}${tail}"))).map(drop)
        };
        assert_eq!(parse("scrypt$ln=18,r=8,p=1"), Ok(()));
        assert_eq!(parse("scrypt$ln=19,r=8,p=1"), Err(HashError::TooCostly));
        assert_eq!(
            parse("scrypt$ln=63,r=4294967295,p=1"),
            Err(HashError::TooCostly)
        );
        assert_eq!(parse("scrypt$ln=64,r=8,p=1"), Err(HashError::TooCostly));
        assert_eq!(parse("scrypt$ln=16,r=8,p=4"), Ok(()));
        assert_eq!(parse("scrypt$ln=16,r=8,p=5"), Err(HashError::TooCostly));
        assert_eq!(parse("argon2id$v=19$m=262144,t=10,p=1"), Ok(()));
        assert_eq!(
            parse("argon2id$v=19$m=262145,t=1,p=1"),
            Err(HashError::TooCostly)
        );
        assert_eq!(
            parse("argon2id$v=19$m=19456,t=11,p=1"),
            Err(HashError::TooCostly)
        );
        assert_eq!(parse("scrypt$ln=0,r=8,p=1"), Err(HashError::NotPhc));
        assert_eq!(parse("argon2id$v=19$m=0,t=0,p=0"), Err(HashError::NotPhc));
    }

    #[test]
    fn malformed_texts_are_refused() {
        let phc = |text: &str| KeyHash::parse(&STANDARD.encode(text)).map(drop);
        assert_eq!(
            KeyHash::parse("PASTE THE HASH HERE").map(drop),
            Err(HashError::NotBase64)
        );
        assert_eq!(
            KeyHash::parse(&"A".repeat(TEXT_BYTES_MAX + 1)).map(drop),
            Err(HashError::NotBase64)
        );
        assert_eq!(phc(""), Err(HashError::NotPhc));
        assert_eq!(phc("bcrypt$ln=1,r=1,p=1$AA$AA"), Err(HashError::NotPhc));
        assert_eq!(
            phc("scrypt$r=8,ln=16,p=1$AAAA$AAAA"),
            Err(HashError::NotPhc)
        );
        assert_eq!(
            phc("scrypt$ln=16,r=8,p=1$AAAA$AAAA"),
            Err(HashError::WrongLength)
        );
    }
}
