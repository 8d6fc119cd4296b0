//! The call to a developer's webhook, as bytes: its body, and the signature by
//! which the receiver knows the sender. Who calls, and when, is for others.

use std::fmt;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tombolo_document::{Object, Value, json};
use zeroize::Zeroizing;

/// The name of the header that carries a signature.
pub const SIGNATURE_HEADER: &str = "ditto-signature";
/// How old a signature may be, and how far ahead, in seconds.
pub const SIGNATURE_WINDOW_S: u64 = 5 * 60;
/// Most signatures in one header, and most secrets that overlap.
pub const SIGNATURES_MAX: usize = 8;
/// Longest header that is read, in bytes.
pub const SIGNATURE_HEADER_BYTES_MAX: usize = 1024;
/// Longest token that is passed on, in bytes.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Shortest and longest secret, in bytes; made ones have 128.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 32..=1024;
const CODE_BYTES: usize = 32;

/// The body of a call: the database under its two names, the version, the
/// provider and the token. It holds the token, so it is wiped when dropped.
#[must_use]
pub fn webhook_body(database_id: &str, provider: &str, token: &str) -> Zeroizing<Vec<u8>> {
    let members = [
        ("appID", database_id),
        ("databaseID", database_id),
        ("provider", provider),
        ("token", token),
        ("version", "1"),
    ];
    let members = members.map(|(name, text)| (name.to_owned(), Value::from(text)));
    let mut body = Value::Object(Object::from(members));
    let bytes = Zeroizing::new(json::print(&body).into_bytes());
    if let Value::Object(members) = &mut body
        && let Some(Value::String(token)) = members.get_mut("token")
    {
        zeroize::Zeroize::zeroize(token);
    }
    bytes
}

/// Whether two tokens are the same, in a time that does not tell where they
/// differ, nor how long the right one is.
#[must_use]
pub fn tokens_match(expected: &str, given: &str) -> bool {
    let digest =
        |text: &str| aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let (expected, given) = (digest(expected), digest(given));
    constant_time::verify_slices_are_equal(expected.as_ref(), given.as_ref()).is_ok()
}

/// Why a text is not a secret for signatures. The operator's to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookSecretError {
    /// It is not base64.
    #[error("the webhook secret is not standard base64: give it as it was shown")]
    NotBase64,
    /// It has another length.
    #[error("the webhook secret has {bytes} bytes and from 32 to 1024 are allowed: 128 are usual")]
    Length {
        /// How many, decoded.
        bytes: usize,
    },
}

/// A secret that the service and a webhook share.
pub struct WebhookSecret(hmac::Key);

impl WebhookSecret {
    /// From the text that is shown to the operator: standard base64.
    ///
    /// # Errors
    /// The text is something else, or of an impossible length.
    pub fn from_base64(text: &str) -> Result<Self, WebhookSecretError> {
        let secret = BASE64_STANDARD.decode(text.trim());
        let secret = Zeroizing::new(secret.map_err(|_| WebhookSecretError::NotBase64)?);
        if !SECRET_BYTES.contains(&secret.len()) {
            let bytes = secret.len();
            return Err(WebhookSecretError::Length { bytes });
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &secret)))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(redacted)")
    }
}

/// The value of the header for a body sent at `now_s` (unix seconds): one
/// signature for each of the secrets, of which [`SIGNATURES_MAX`] count.
#[must_use]
pub fn sign_webhook(secrets: &[WebhookSecret], body: &[u8], now_s: u64) -> String {
    let mut header = format!("t={now_s}");
    let message = message(&now_s.to_string(), body);
    for secret in secrets.iter().take(SIGNATURES_MAX) {
        header.push_str(",v1=");
        for byte in hmac::sign(&secret.0, &message).as_ref() {
            header.push_str(&format!("{byte:02x}"));
        }
    }
    header
}

/// Why a signed call is refused. The sender's fault, or a clock's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The header has another form.
    #[error("the signature header is malformed: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// It was signed too long ago.
    #[error("the call was signed {ago_s} s ago, and {SIGNATURE_WINDOW_S} s are allowed")]
    TooOld {
        /// How long ago, in seconds.
        ago_s: u64,
    },
    /// It was signed too far ahead.
    #[error("the call was signed {ahead_s} s ahead: one of the two clocks is wrong")]
    TooEarly {
        /// How far, in seconds.
        ahead_s: u64,
    },
    /// No secret made any of its signatures, or the body is another one.
    #[error("the call was signed with another secret, or its body was altered")]
    Foreign,
}

/// Checks the header of a call at `now_s` (unix seconds), as a receiver does.
///
/// # Errors
/// [`SignatureError`], one variant for each way to be refused.
pub fn verify_webhook(
    secrets: &[WebhookSecret],
    header: &str,
    body: &[u8],
    now_s: u64,
) -> Result<(), SignatureError> {
    let (signed_s, codes) = read_header(header)?;
    let time: u64 = signed_s
        .parse()
        .map_err(|_| malformed("t is no time in seconds"))?;
    if now_s.saturating_sub(time) > SIGNATURE_WINDOW_S {
        let ago_s = now_s - time;
        return Err(SignatureError::TooOld { ago_s });
    }
    if time.saturating_sub(now_s) > SIGNATURE_WINDOW_S {
        let ahead_s = time - now_s;
        return Err(SignatureError::TooEarly { ahead_s });
    }
    let message = message(signed_s, body);
    let mut matched = false;
    for secret in secrets.iter().take(SIGNATURES_MAX) {
        for code in &codes {
            // All are compared, so that time does not tell which one fits.
            matched |= hmac::verify(&secret.0, &message, code).is_ok();
        }
    }
    matched.then_some(()).ok_or(SignatureError::Foreign)
}

const fn malformed(what: &'static str) -> SignatureError {
    SignatureError::Malformed { what }
}

/// The time as it was written, and the codes. Unknown members are left alone.
fn read_header(header: &str) -> Result<(&str, Vec<[u8; CODE_BYTES]>), SignatureError> {
    if header.len() > SIGNATURE_HEADER_BYTES_MAX {
        return Err(malformed("it is too long"));
    }
    let (mut time, mut codes) = (None, Vec::new());
    for member in header.split(',') {
        let member = member.trim().split_once('=');
        let (name, value) = member.ok_or(malformed("a member has no value"))?;
        match name {
            "t" if time.is_some() => return Err(malformed("t stands there twice")),
            "t" => time = Some(value),
            "v1" if codes.len() == SIGNATURES_MAX => {
                return Err(malformed("it has too many signatures"));
            }
            "v1" => codes.push(code(value).ok_or(malformed("v1 is not 64 hexadecimal digits"))?),
            _ => {}
        }
    }
    let time = time.ok_or(malformed("t is missing"))?;
    let plain = time.bytes().all(|byte| byte.is_ascii_digit());
    match codes.is_empty() {
        true => Err(malformed("v1 is missing")),
        false if !plain => Err(malformed("t is no time in seconds")),
        false => Ok((time, codes)),
    }
}

fn code(hex: &str) -> Option<[u8; CODE_BYTES]> {
    let mut code = [0; CODE_BYTES];
    if hex.len() != 2 * CODE_BYTES || !hex.is_ascii() {
        return None;
    }
    for (byte, digits) in code.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        let digit = |at: usize| char::from(digits[at]).to_digit(16);
        *byte = (digit(0)? << 4 | digit(1)?) as u8;
    }
    Some(code)
}

fn message(time: &str, body: &[u8]) -> Vec<u8> {
    [time.as_bytes(), b".", body].concat()
}
