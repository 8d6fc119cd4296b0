//! Whether a request may be switched to WebSocket, by RFC 6455, section 4.2.1.

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The only version of WebSocket.
const VERSION: &str = "13";
/// A key is 16 bytes in base64.
const KEY_CHARACTERS: usize = 24;

/// Why a request is not switched. The client's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoUpgrade {
    /// It asks for plain HTTP: 426.
    #[error(
        "peers sync here over WebSocket: connect with GET over HTTP/1.1 and the headers connection: upgrade, upgrade: websocket, sec-websocket-version: 13"
    )]
    NotAsked,
    /// It asks for it in a wrong way: 400.
    #[error("sec-websocket-key is not 16 bytes in base64, once")]
    Key,
}

impl NoUpgrade {
    /// The status that tells it.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::NotAsked => StatusCode::UPGRADE_REQUIRED,
            Self::Key => StatusCode::BAD_REQUEST,
        }
    }

    /// What a client that may try again is told in the head of the answer.
    #[must_use]
    pub const fn headers(self) -> [(HeaderName, HeaderValue); 2] {
        [
            (UPGRADE, HeaderValue::from_static("websocket")),
            (SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION)),
        ]
    }
}

/// The head of the answer (status 101) that switches a request to WebSocket.
///
/// # Errors
/// [`NoUpgrade`]: it is not to be switched.
pub fn websocket_accept(request: &Parts) -> Result<HeaderMap, NoUpgrade> {
    let headers = &request.headers;
    let asks = request.method == Method::GET
        && request.version == Version::HTTP_11
        && names(headers, &CONNECTION, "upgrade")
        && names(headers, &UPGRADE, "websocket")
        && names(headers, &SEC_WEBSOCKET_VERSION, VERSION);
    if !asks {
        return Err(NoUpgrade::NotAsked);
    }
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let (Some(key), None) = (keys.next(), keys.next()) else {
        return Err(NoUpgrade::Key);
    };
    let key = key.as_bytes();
    if key.len() != KEY_CHARACTERS || !key.ends_with(b"==") || !key[..22].iter().all(is_digit) {
        return Err(NoUpgrade::Key);
    }
    let accept = HeaderValue::try_from(derive_accept_key(key)).map_err(|_| NoUpgrade::Key)?;
    Ok(HeaderMap::from_iter([
        (CONNECTION, HeaderValue::from_static("upgrade")),
        (UPGRADE, HeaderValue::from_static("websocket")),
        (SEC_WEBSOCKET_ACCEPT, accept),
    ]))
}

/// Whether a list of words, in one field or several, has this one.
fn names(headers: &HeaderMap, field: &HeaderName, word: &str) -> bool {
    headers
        .get_all(field)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|found| found.trim().eq_ignore_ascii_case(word))
}

const fn is_digit(character: &u8) -> bool {
    matches!(character, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(change: impl FnOnce(&mut Parts)) -> Parts {
        let request = http::Request::get("/_ditto/sync")
            .header(CONNECTION, "keep-alive, Upgrade")
            .header(UPGRADE, "WebSocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==");
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        change(&mut head);
        head
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let accepted = websocket_accept(&head(|_| {})).unwrap();
        assert_eq!(
            accepted[SEC_WEBSOCKET_ACCEPT],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn what_asks_for_no_websocket_is_told_what_is_spoken() {
        let changes: [fn(&mut Parts); 6] = [
            |head| head.method = Method::POST,
            |head| head.version = Version::HTTP_10,
            |head| head.version = Version::HTTP_2,
            |head| drop(head.headers.remove(CONNECTION)),
            |head| {
                drop(
                    head.headers
                        .insert(UPGRADE, HeaderValue::from_static("h2c")),
                )
            },
            |head| drop(head.headers.insert(SEC_WEBSOCKET_VERSION, 8.into())),
        ];
        for change in changes {
            assert_eq!(websocket_accept(&head(change)), Err(NoUpgrade::NotAsked));
        }
    }

    #[test]
    fn a_key_is_sixteen_bytes_once() {
        let replace = |key: &'static str| {
            head(|head| {
                let key = HeaderValue::from_static(key);
                head.headers.insert(SEC_WEBSOCKET_KEY, key);
            })
        };
        for key in [
            "",
            "dGhl",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25j Q==",
        ] {
            assert_eq!(
                websocket_accept(&replace(key)),
                Err(NoUpgrade::Key),
                "{key}"
            );
        }
        let twice = head(|head| {
            let key = head.headers[SEC_WEBSOCKET_KEY].clone();
            head.headers.append(SEC_WEBSOCKET_KEY, key);
        });
        assert_eq!(websocket_accept(&twice), Err(NoUpgrade::Key));
        let none = head(|head| drop(head.headers.remove(SEC_WEBSOCKET_KEY)));
        assert_eq!(websocket_accept(&none), Err(NoUpgrade::Key));
    }
}
