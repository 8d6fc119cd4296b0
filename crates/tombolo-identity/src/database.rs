//! How a leaf names its database: `tombolo://database/` and the percent-encoded
//! id, as the only name of the certificate.

/// Longest database id that a certificate can be bound to, in bytes.
pub const DATABASE_ID_BYTES_MAX: usize = 128;

/// What stands before the id.
pub(crate) const URI_PREFIX: &str = "tombolo://database/";

/// Why a text cannot be a database id in a certificate. The operator's to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseIdError {
    /// There is none.
    #[error("the database id is empty: give db_id a value, a UUID for example")]
    Empty,
    /// It is too long.
    #[error("the database id has {bytes} bytes and {DATABASE_ID_BYTES_MAX} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// Checks that certificates can be bound to `database_id`.
///
/// # Errors
/// The id is empty or too long.
pub fn check_database_id(database_id: &str) -> Result<(), DatabaseIdError> {
    match database_id.len() {
        0 => Err(DatabaseIdError::Empty),
        bytes if bytes > DATABASE_ID_BYTES_MAX => Err(DatabaseIdError::TooLong { bytes }),
        _ => Ok(()),
    }
}

/// The name that binds a leaf to `database_id`. One id has one name, so names
/// are compared and never decoded.
pub(crate) fn uri(database_id: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut uri = URI_PREFIX.to_owned();
    for byte in database_id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push('%');
            uri.push(char::from(HEX[usize::from(byte >> 4)]));
            uri.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_becomes_one_plain_name() {
        assert_eq!(uri("a-B.0_~"), "tombolo://database/a-B.0_~");
        assert_eq!(uri("a b/ü\n"), "tombolo://database/a%20b%2F%C3%BC%0A");
    }

    #[test]
    fn an_id_is_allowed_at_the_longest_and_refused_above() {
        let longest = "x".repeat(DATABASE_ID_BYTES_MAX);
        assert_eq!(check_database_id(&longest), Ok(()));
        let above = DatabaseIdError::TooLong { bytes: 129 };
        assert_eq!(check_database_id(&format!("{longest}x")), Err(above));
        assert_eq!(check_database_id(""), Err(DatabaseIdError::Empty));
    }
}
