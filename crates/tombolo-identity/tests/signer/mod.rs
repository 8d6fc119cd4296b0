//! An OpenID provider of a test: keys of each kind, and tokens that they sign.
#![allow(clippy::unwrap_used, reason = "a broken fixture stops the run")]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tombolo_identity::{KeySet, KeySetError};

pub(crate) enum Signer {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    pub(crate) fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
    }

    pub(crate) fn all() -> [Self; 3] {
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let ed25519 = Ed25519KeyPair::generate().unwrap();
        [Self::p256(), Self::Ed25519(ed25519), Self::Rsa(rsa)]
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
            Self::Rsa(_) => "RS256",
        }
    }

    pub(crate) fn jwk(&self, id: &str) -> String {
        let key = match self {
            Self::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                format!(
                    r#""kty":"EC","crv":"P-256","x":"{}","y":"{}""#,
                    encode(x),
                    encode(y)
                )
            }
            Self::Ed25519(pair) => {
                let x = encode(pair.public_key());
                format!(r#""kty":"OKP","crv":"Ed25519","x":"{x}""#)
            }
            Self::Rsa(pair) => {
                // PKCS#1 of 2048 bits: 9 bytes, the modulus, 2 bytes, the exponent 65537.
                let der = pair.public_key().as_ref();
                let (n, e) = (encode(&der[9..265]), encode(&der[267..]));
                format!(r#""kty":"RSA","n":"{n}","e":"{e}""#)
            }
        };
        format!(r#"{{"kid":"{id}","use":"sig",{key}}}"#)
    }

    pub(crate) fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let random = SystemRandom::new();
        let signature = match self {
            Self::P256(pair) => {
                let signature = pair.sign(&random, signed.as_bytes()).unwrap();
                signature.as_ref().to_vec()
            }
            Self::Ed25519(pair) => pair.sign(signed.as_bytes()).as_ref().to_vec(),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let message = signed.as_bytes();
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
        };
        format!("{signed}.{}", encode(signature))
    }

    pub(crate) fn token(&self, claims: &str) -> String {
        let header = format!(r#"{{"alg":"{}","kid":"k","typ":"JWT"}}"#, self.algorithm());
        self.sign(&header, claims)
    }

    pub(crate) fn keys(&self) -> KeySet {
        set(&[self.jwk("k")]).unwrap()
    }
}

pub(crate) fn set(keys: &[String]) -> Result<KeySet, KeySetError> {
    KeySet::parse(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes())
}
