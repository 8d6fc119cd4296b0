//! `Idempotency-Key`: statements that write run once for a key, however often their request is sent.
//! The answer is kept in their commit, under hashes of who asks, of the key and of the body.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tombolo::{AnswerKey, Once};
use tombolo_http::Response;

use super::authorize::Caller;
use super::media::Media;
use super::reply::{self, Refused, Shape};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is that of an earlier request, and that nothing ran again.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Bytes of a key. A longer one is answered 400.
const KEY_BYTES_MAX: usize = 255;

/// How a kept answer begins, by the format of what follows.
const KEPT_JSON: u8 = 1;
const KEPT_CBOR: u8 = 2;

/// The key of a request, if it has one.
///
/// # Errors
/// 400: it is sent twice, is too long, or holds something else than visible ASCII.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<&[u8]>, Refused> {
    let mut sent = headers.get_all(KEY).iter();
    let (Some(key), again) = (sent.next(), sent.next()) else {
        return Ok(None);
    };
    let key = key.as_bytes();
    let is_visible = key.iter().all(u8::is_ascii_graphic);
    if again.is_none() && is_visible && (1..=KEY_BYTES_MAX).contains(&key.len()) {
        return Ok(Some(key));
    }
    let text = format!(
        "send one Idempotency-Key of 1 to {KEY_BYTES_MAX} visible ASCII characters, such as a random UUID"
    );
    let (status, code) = (StatusCode::BAD_REQUEST, "bad_idempotency_key");
    Err(Refused::new(status, code, text))
}

/// What names a request: two clients never meet under one key.
pub(super) fn name(key: &[u8], caller: &Caller, (media, body): (Media, &[u8])) -> AnswerKey {
    AnswerKey::new(caller.answer_owner(), key, &[media.name().as_bytes(), body])
}

/// Runs under this name once, and keeps the body of the answer.
pub(super) fn once(key: AnswerKey, (shape, media): (Shape, Media)) -> Once {
    let answer = move |done: &[tombolo::Response]| {
        let mut kept = vec![match media {
            Media::Json => KEPT_JSON,
            Media::Cbor => KEPT_CBOR,
        }];
        reply::write_body(&mut kept, (shape, done), media);
        kept
    };
    Once {
        key,
        answer: Box::new(answer),
    }
}

/// The answer that was kept; `None` if it cannot be read.
pub(super) fn kept_answer(mut kept: Vec<u8>, is_replayed: bool) -> Option<Response> {
    let media = match *kept.first()? {
        KEPT_JSON => Media::Json,
        KEPT_CBOR => Media::Cbor,
        _ => return None,
    };
    kept.remove(0);
    let mut response = reply::answered(kept, media);
    if is_replayed {
        let headers = response.headers_mut();
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(keys: &[&[u8]]) -> Result<Option<Vec<u8>>, &'static str> {
        let mut headers = HeaderMap::new();
        for key in keys {
            headers.append(KEY, HeaderValue::from_bytes(key).unwrap());
        }
        let found = key(&headers).map(|found| found.map(<[u8]>::to_vec));
        found.map_err(|refused| refused.code)
    }

    #[test]
    fn a_key_has_so_many_visible_characters_and_comes_once() {
        assert_eq!(read(&[]), Ok(None));
        let longest = [b'~'; KEY_BYTES_MAX];
        assert_eq!(read(&[&longest]), Ok(Some(longest.to_vec())));
        let refused = Err("bad_idempotency_key");
        assert_eq!(read(&[&[b'~'; KEY_BYTES_MAX + 1]]), refused);
        assert_eq!(read(&[b""]), refused);
        assert_eq!(read(&[b"a b"]), refused);
        assert_eq!(read(&["é".as_bytes()]), refused);
        assert_eq!(read(&[b"a", b"a"]), refused);
    }

    #[test]
    fn a_kept_answer_of_an_unknown_format_is_not_sent() {
        assert!(kept_answer(vec![3, b'{', b'}'], true).is_none());
        assert!(kept_answer(Vec::new(), true).is_none());
        let response = kept_answer(vec![KEPT_CBOR, 0xa0], true).unwrap();
        assert_eq!(response.headers()["content-type"], "application/cbor");
        assert_eq!(response.headers()["idempotency-replayed"], "true");
    }
}
