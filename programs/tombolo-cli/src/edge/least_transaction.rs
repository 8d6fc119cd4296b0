//! `X-DITTO-TXN-ID`: a request that is to see at least what a transaction of this node wrote.
//! A node answers a write once every read sees it, so there is nothing to wait for: the number is reached, or it is
//! of another node or of documents that are gone.

use http::{HeaderMap, HeaderName, StatusCode};

use super::reply::Refused;

const TRANSACTION: HeaderName = HeaderName::from_static("x-ditto-txn-id");

/// The number that a request asks for, if it asks for one.
///
/// # Errors
/// 400: it comes twice, or is no number of a transaction.
pub(super) fn asked(headers: &HeaderMap) -> Result<Option<u64>, Refused> {
    let mut sent = headers.get_all(TRANSACTION).iter();
    let (Some(number), again) = (sent.next(), sent.next()) else {
        return Ok(None);
    };
    let number = number.to_str().ok().and_then(|text| text.parse().ok());
    match (
        number.and_then(|number: i64| u64::try_from(number).ok()),
        again,
    ) {
        (Some(number), None) => Ok(Some(number)),
        _ => Err(Refused::new(
            StatusCode::BAD_REQUEST,
            "bad_transaction",
            "send one X-DITTO-TXN-ID with the transactionId of an answer, a number from 0 to 9223372036854775807",
        )),
    }
}

/// Lets pass what has been reached.
///
/// # Errors
/// 404.
pub(super) fn check(asked: Option<u64>, newest: u64) -> Result<(), Refused> {
    match asked.filter(|asked| *asked > newest) {
        None => Ok(()),
        Some(asked) => Err(Refused::new(
            StatusCode::NOT_FOUND,
            "unknown_transaction",
            format!(
                "this node has no transaction {asked}, its newest is {newest}: another node answered with that number, or this one was restored since; leave X-DITTO-TXN-ID out to read what is here"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(numbers: &[&str]) -> Result<Option<u64>, &'static str> {
        let mut headers = HeaderMap::new();
        for number in numbers {
            headers.append(TRANSACTION, HeaderValue::try_from(*number).unwrap());
        }
        asked(&headers).map_err(|refused| refused.code)
    }

    #[test]
    fn a_number_is_an_int64_that_is_not_negative() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["0"]), Ok(Some(0)));
        assert_eq!(
            read(&["9223372036854775807"]),
            Ok(Some(9_223_372_036_854_775_807))
        );
        for wrong in ["", "-1", "1.0", "one", "0x1", "9223372036854775808"] {
            assert_eq!(read(&[wrong]), Err("bad_transaction"), "{wrong}");
        }
        assert_eq!(read(&["1", "1"]), Err("bad_transaction"));
    }

    #[test]
    fn what_was_not_reached_is_not_found() {
        assert!(check(None, 0).is_ok() && check(Some(7), 7).is_ok());
        let refused = check(Some(8), 7).unwrap_err();
        assert_eq!(
            (refused.status.as_u16(), refused.code),
            (404, "unknown_transaction")
        );
    }
}
