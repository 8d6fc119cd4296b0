//! Texts of keys: one that is right, and all kinds that are wrong. The program's own files make and check them, so
//! that a check is measured as it is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::wrong;
use crate::api_key::{GeneratedKey, KeyHash, KeyRing, KeyVerdict, Looked, SlowDoor};
use crate::error::BenchError;
use crate::machine::Stopwatch;

/// A key that one identity has.
pub(super) struct Key {
    pub(super) text: String,
    pub(super) hash: String,
}

const KEY_ID: [u8; 12] = *b"bench-client";

impl Key {
    pub(super) fn new() -> Result<Self, BenchError> {
        let made = GeneratedKey::from_randomness([7; 32], KEY_ID).map_err(|error| wrong(&error))?;
        Ok(Self {
            text: made.private_key,
            hash: made.public_hash,
        })
    }
}

/// What an attacker writes as a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// No key could look so.
    Garbage,
    /// As another program might make it.
    Foreign,
    /// Ours but for its checksum.
    WrongChecksum,
    /// Ours, with an id that nobody has.
    UnknownId,
    /// Ours, with the id of the honest client's key, which its owner and its operator know.
    KnownId,
}

impl Shape {
    /// The text of the wrong key number `number`.
    pub(super) fn text(self, number: u64) -> String {
        let mut secret = [3; 32];
        secret[..8].copy_from_slice(&number.to_le_bytes());
        let mut id = [5; 12];
        id[..8].copy_from_slice(&number.to_le_bytes());
        match self {
            Self::Garbage => format!("not a key {number}"),
            Self::Foreign => format!("{number:0>44}"),
            Self::WrongChecksum => {
                let mut text = ours(id, secret);
                let last = text.pop();
                text.push(if last == Some('A') { 'B' } else { 'A' });
                text
            }
            Self::UnknownId => ours(id, secret),
            Self::KnownId => ours(KEY_ID, secret),
        }
    }
}

/// A key in the form of those that the program makes: what it is found by, the secret, and the checksum of both.
fn ours(id: [u8; 12], secret: [u8; 32]) -> String {
    let mut key = format!(
        "tb1_{}{}",
        URL_SAFE_NO_PAD.encode(id),
        URL_SAFE_NO_PAD.encode(secret)
    );
    let domain = "tombolo 2026-11 checksum of an API key";
    let checksum = blake3::derive_key(domain, key.as_bytes());
    key.push_str(&URL_SAFE_NO_PAD.encode(&checksum[..6]));
    key
}

/// What the check of a key costs by itself.
pub(super) struct CheckCost {
    /// The first check of a key that is right.
    pub(super) first_ms: f64,
    /// Each later one, in nanoseconds.
    pub(super) warm_ns: f64,
    /// The refusal of a key of each shape that is refused at once, in nanoseconds.
    pub(super) refused_ns: Vec<(Shape, f64)>,
}

const CHECKS: u64 = 200_000;

/// Measures checks against so many identities, of which the one asked for is the last.
pub(super) async fn measure(identities: usize) -> Result<CheckCost, BenchError> {
    let key = Key::new()?;
    let right = KeyHash::parse(&key.hash).map_err(|error| wrong(&error))?;
    // Hashes of the others are never asked, but stand before the right one.
    let other = Shape::Foreign;
    let others = (1..identities).map(|_| FOREIGN.to_owned());
    let parsed: Result<Vec<KeyHash>, _> = others.map(|text| KeyHash::parse(&text)).collect();
    let mut hashes = parsed.map_err(|error| wrong(&error))?;
    let has_foreign = !hashes.is_empty();
    hashes.push(right);
    let ring = KeyRing::new(hashes, [1; 32], SlowDoor::new());
    let watch = Stopwatch::start();
    let Looked::Slow(slow) = ring.look(&key.text) else {
        return Err(wrong(&"the first check was not slow"));
    };
    let verdict = ring.search(&key.text, slow).await;
    let first_ms = watch.elapsed().as_secs_f64() * 1e3;
    if verdict != KeyVerdict::Identity(identities - 1) {
        return Err(wrong(&"the right key was refused"));
    }
    let watch = Stopwatch::start();
    for _ in 0..CHECKS {
        let looked = ring.look(std::hint::black_box(&key.text));
        if !matches!(
            std::hint::black_box(looked),
            Looked::Known(KeyVerdict::Identity(_))
        ) {
            return Err(wrong(&"a warm check was slow"));
        }
    }
    let warm_ns = watch.elapsed().as_secs_f64() * 1e9 / CHECKS as f64;
    let mut refused_ns = Vec::new();
    // A key of another program is refused at once only while no such hash waits for its key.
    for shape in [
        Shape::Garbage,
        Shape::WrongChecksum,
        Shape::UnknownId,
        other,
    ] {
        if shape == Shape::Foreign && has_foreign {
            continue;
        }
        let texts: Vec<String> = (0..1024).map(|number| shape.text(number)).collect();
        let watch = Stopwatch::start();
        for text in texts.iter().cycle().take(CHECKS as usize) {
            let looked = ring.look(std::hint::black_box(text));
            if !matches!(
                std::hint::black_box(looked),
                Looked::Known(KeyVerdict::Unknown)
            ) {
                return Err(wrong(&"a key that cannot be ours was not refused at once"));
            }
        }
        refused_ns.push((shape, watch.elapsed().as_secs_f64() * 1e9 / CHECKS as f64));
    }
    Ok(CheckCost {
        first_ms,
        warm_ns,
        refused_ns,
    })
}

/// A hash of another program, cheap to parse and never computed.
const FOREIGN: &str =
    "c2NyeXB0JGxuPTE2LHI9OCxwPTEkWm05eVpXbG5iaTF6WVd4MCRibTh0YTJWNUxXaGhjeTEwYUdsekxXOTFkSEIxZEE=";
