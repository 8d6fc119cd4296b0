//! The slow functions that turn a key into its hash, with bounds on what they may cost.
//! No value of [`Kdf`] exists whose cost was not checked.

use std::fmt;

use argon2::{Algorithm, Argon2, Version};

use super::HashError;

/// Most memory that one check may take.
const MEMORY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Most passes of argon2.
const PASSES_MAX: u32 = 10;
/// Most lanes of argon2 or repetitions of scrypt.
const LANES_MAX: u32 = 4;

/// A function with its parameters. Prints as the head of a PHC string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kdf {
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

impl Kdf {
    /// Of generated hashes, as documented.
    pub(super) const GENERATED: Self = Self::Scrypt {
        log_n: 16,
        r: 8,
        p: 1,
    };

    /// Reads `ln=16,r=8,p=1`.
    ///
    /// # Errors
    /// [`HashError::NotPhc`] or [`HashError::TooCostly`].
    pub(super) fn scrypt(parameters: &str) -> Result<Self, HashError> {
        let [log_n, r, p] = numbers(parameters, ["ln", "r", "p"])?;
        let block_bytes = 128 * u64::from(r);
        let blocks = 1_u64.checked_shl(log_n).ok_or(HashError::TooCostly)?;
        check_cost(block_bytes.saturating_mul(blocks), 1, p)?;
        let log_n = u8::try_from(log_n)
            .ok()
            .filter(|log_n| *log_n > 0)
            .ok_or(HashError::NotPhc)?;
        scrypt::Params::new(log_n, r, p).map_err(|_| HashError::NotPhc)?;
        Ok(Self::Scrypt { log_n, r, p })
    }

    /// Reads `argon2id`, `v=19` and `m=19456,t=2,p=1`.
    ///
    /// # Errors
    /// [`HashError::NotPhc`] or [`HashError::TooCostly`].
    pub(super) fn argon2(name: &str, version: &str, parameters: &str) -> Result<Self, HashError> {
        let algorithm = match name {
            "argon2id" => Algorithm::Argon2id,
            "argon2i" => Algorithm::Argon2i,
            "argon2d" => Algorithm::Argon2d,
            _ => return Err(HashError::NotPhc),
        };
        let [version] = numbers(version, ["v"])?;
        let version = Version::try_from(version).map_err(|_| HashError::NotPhc)?;
        let [memory_kib, passes, lanes] = numbers(parameters, ["m", "t", "p"])?;
        check_cost(u64::from(memory_kib) * 1024, passes, lanes)?;
        argon2::Params::new(memory_kib, passes, lanes, None).map_err(|_| HashError::NotPhc)?;
        Ok(Self::Argon2 {
            algorithm,
            version,
            memory_kib,
            passes,
            lanes,
        })
    }

    /// Hashes `key` to `length_bytes` bytes.
    ///
    /// # Errors
    /// [`HashError`] if the function does not take such a salt or length.
    pub(super) fn derive(
        self,
        key: &str,
        salt: &[u8],
        length_bytes: usize,
    ) -> Result<Vec<u8>, HashError> {
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
                let length = Some(length_bytes);
                let parameters = argon2::Params::new(memory_kib, passes, lanes, length)
                    .map_err(|_| HashError::NotPhc)?;
                Argon2::new(algorithm, version, parameters)
                    .hash_password_into(key.as_bytes(), salt, &mut output)
                    .map_err(|_| HashError::WrongLength)?;
            }
        }
        Ok(output)
    }
}

impl fmt::Display for Kdf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scrypt { log_n, r, p } => write!(formatter, "scrypt$ln={log_n},r={r},p={p}"),
            Self::Argon2 {
                algorithm,
                version,
                memory_kib,
                passes,
                lanes,
            } => {
                let (name, version) = (algorithm.as_str(), u32::from(*version));
                write!(
                    formatter,
                    "{name}$v={version}$m={memory_kib},t={passes},p={lanes}"
                )
            }
        }
    }
}

fn check_cost(memory_bytes: u64, passes: u32, lanes: u32) -> Result<(), HashError> {
    let is_cheap = memory_bytes <= MEMORY_BYTES_MAX && passes <= PASSES_MAX && lanes <= LANES_MAX;
    if is_cheap {
        Ok(())
    } else {
        Err(HashError::TooCostly)
    }
}

/// Reads `a=1,b=2` with exactly these names in this order.
fn numbers<const COUNT: usize>(
    text: &str,
    names: [&str; COUNT],
) -> Result<[u32; COUNT], HashError> {
    let mut found = [0; COUNT];
    let mut parts = text.split(',');
    for (name, number) in names.iter().zip(&mut found) {
        let (key, value) = parts
            .next()
            .and_then(|part| part.split_once('='))
            .ok_or(HashError::NotPhc)?;
        if key != *name {
            return Err(HashError::NotPhc);
        }
        *number = value.parse().map_err(|_| HashError::NotPhc)?;
    }
    if parts.next().is_some() {
        Err(HashError::NotPhc)
    } else {
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrypt(parameters: &str) -> Result<(), HashError> {
        Kdf::scrypt(parameters).map(drop)
    }

    fn argon2(parameters: &str) -> Result<(), HashError> {
        Kdf::argon2("argon2id", "v=19", parameters).map(drop)
    }

    #[test]
    fn memory_is_allowed_at_the_limit_and_refused_above() {
        assert_eq!(scrypt("ln=18,r=8,p=1"), Ok(()));
        assert_eq!(scrypt("ln=18,r=9,p=1"), Err(HashError::TooCostly));
        assert_eq!(scrypt("ln=63,r=4294967295,p=1"), Err(HashError::TooCostly));
        assert_eq!(scrypt("ln=64,r=8,p=1"), Err(HashError::TooCostly));
        assert_eq!(argon2("m=262144,t=1,p=1"), Ok(()));
        assert_eq!(argon2("m=262145,t=1,p=1"), Err(HashError::TooCostly));
    }

    #[test]
    fn passes_and_lanes_are_allowed_at_the_limit_and_refused_above() {
        assert_eq!(scrypt("ln=16,r=8,p=4"), Ok(()));
        assert_eq!(scrypt("ln=16,r=8,p=5"), Err(HashError::TooCostly));
        assert_eq!(argon2("m=19456,t=10,p=4"), Ok(()));
        assert_eq!(argon2("m=19456,t=11,p=4"), Err(HashError::TooCostly));
        assert_eq!(argon2("m=19456,t=10,p=5"), Err(HashError::TooCostly));
    }

    #[test]
    fn meaningless_parameters_are_refused() {
        for text in [
            "",
            "ln=16",
            "r=8,ln=16,p=1",
            "ln=0,r=8,p=1",
            "ln=16,r=8,p=1,x=2",
            "ln=-1,r=8,p=1",
        ] {
            assert_eq!(scrypt(text), Err(HashError::NotPhc), "{text}");
        }
        assert_eq!(argon2("m=0,t=0,p=0"), Err(HashError::NotPhc));
        assert_eq!(
            Kdf::argon2("argon2x", "v=19", "m=64,t=1,p=1"),
            Err(HashError::NotPhc)
        );
        assert_eq!(
            Kdf::argon2("argon2id", "v=3", "m=64,t=1,p=1"),
            Err(HashError::NotPhc)
        );
    }
}
