//! The authority of worlds with rules: certificates and lists of revocations, made
//! and verified on the road that real ones take.
//!
//! The device keys stand here because site ids are made of them, and a run must
//! not depend on chance of its own. They prove nothing outside of a run.

use std::sync::OnceLock;

use tombolo_identity::{
    Authority, ChallengeKey, IdentityFilter, PeerKeyPair, ProviderAnswer, Revocation, Revocations,
    Trust, VerifiedPeer, Whom, verify_leaf,
};

use crate::grant::Grant;
use crate::identity::{DATABASE, EPOCH_MS, bytes_of};

/// Private scalars and public points, one for each device that a world with rules
/// may have.
const KEYS: [(&str, &str); 8] = [
    (
        "3febeb542d5fd53df3a0dff46ad2fb56a29b0c70492608d175878aa8e64c9d09",
        "04eefb346d0862947554c0aa4cb728e442a88acccb20a445aad3bfd2b76af9397a2c97b8abc76192bef89ae23b765b115a78ebdb7151f9457e44eb1549f2946648",
    ),
    (
        "68c290561b5d92930309ee0890ce06f49ad930a86d08d4935bf842905d088693",
        "04e2db7cf8876b7dd5b27ca015e1b97fd8dbb264ad4d8364095f581611f3801c96fa65ec528ca824cfb65ac9e37215be0066cc6568062579f449a51e623503f0d6",
    ),
    (
        "a884ba96938a447fe94548c41a839f19389a1dbd75e2f12f0ed55bfbf20d2c06",
        "0417e3ba1f0807f71d0da7100b2175a5f3ae66f49136e6e71a682b0dd57a7dc3ae9485351d678e562c1c6b7ab65c17ad8db906bcb391658eed7ed4207d5761a62c",
    ),
    (
        "4a2b189d3f5fe413da7e4a44b957c51c88d0aa734feb896cedd79e56da883f26",
        "04704410c6129873d44d292c76878b52b6eb5118168abd92c47a3c97fef1118863933246787bd122aae9a522189364f1b4dd7bd29917b7c72783b3cbd239dae1ce",
    ),
    (
        "e942759a939148f62ad906eb50aebe7d20cef722055ea47f230c524cf3904bdb",
        "042b9a6a6d102604b84cb4b33318625c1f3b827b6f6829520537b7fb4516dba42cf888b372a4741338a253fa2533093fb765a588279c688828234b8bbd560f3e21",
    ),
    (
        "f6d85d4c2ea968401c264be96c334df81366a4bf4164c2c181647995d143eb7c",
        "046d01ae95f49ecf209698d912df56a286743c4bd25659abc577723538ab8db99d7d99efda803186b853ea97787f1c515f6e323d877933b3e63aa0d8c1bece233c",
    ),
    (
        "d263f228070ff060d5ae2c6d907e9c55e575d36f2bc44c365f3d7a27631fae8a",
        "040d471fd7a29d35db0066d58297a577d4d8247398680f5ed8d03002df3d545822f467a63a52fd5516f3fad4e59ff087db41ba659f46e1649068f8ab9863e0f5e5",
    ),
    (
        "c9179256d9b3c49c220d32fd1a5b2a9cb48447d908365d50a737970b14546d6c",
        "0429b8a7154aa55cab39320bdd65c704bba3e72791fda639c7359b13afa681f7ecbb5d7a454e085450b8047e5a1d091c45579fc09e699156b1c692b11bd911c653",
    ),
];

/// How long a certificate is good: longer than any run.
const VALID_S: u64 = 1_000_000;
/// Entries name certificates that were made before this.
const CUT_MS: u64 = EPOCH_MS + 1;

struct Service {
    authority: Authority,
    challenges: ChallengeKey,
    trust: Trust,
}

fn service() -> &'static Service {
    static SERVICE: OnceLock<Service> = OnceLock::new();
    SERVICE.get_or_init(|| {
        let authority = Authority::generate().expect("the machine has randomness");
        let trust = Trust::of_authorities(&[authority.public().clone()], DATABASE);
        Service {
            challenges: ChallengeKey::new(&[1; 32]),
            trust: trust.expect("one authority is enough"),
            authority,
        }
    })
}

fn device(key: usize) -> PeerKeyPair {
    let (scalar, point) = KEYS[key];
    let pkcs8 = format!(
        "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420{scalar}a144034200{point}"
    );
    PeerKeyPair::from_pkcs8(&bytes_of(&pkcs8)).expect("the point belongs to the scalar")
}

/// The user of a device.
fn user(key: usize) -> String {
    format!("user {key}")
}

/// Logs a device in, with what its provider grants.
pub(crate) fn certify(key: usize, grant: &Grant) -> VerifiedPeer {
    let service = service();
    let nonce = [key as u8; 16];
    let challenge = service.challenges.challenge(DATABASE, nonce, EPOCH_MS);
    let signed = challenge.expect("the id is short").sign(&device(key));
    let signed = signed.expect("the key can sign");
    let proven = service.challenges.prove(signed, DATABASE, EPOCH_MS);
    let answer = format!(
        r#"{{"authenticated":true,"userID":"{}","expirationSeconds":{VALID_S},"permissions":{}}}"#,
        user(key),
        grant.to_json()
    );
    let answer = ProviderAnswer::parse(answer.as_bytes(), "simulated");
    let granted = match answer.expect("the answer has the documented form") {
        ProviderAnswer::Granted(granted) => *granted,
        ProviderAnswer::Refused { .. } => unreachable!("the answer says yes"),
    };
    let data = proven.expect("it was just signed").grant(granted);
    let certificate = service.authority.issue(data, EPOCH_MS);
    let certificate = certificate.expect("the rules are short");
    let none: [&[u8]; 0] = [];
    verify_leaf(&service.trust, certificate.der(), &none, EPOCH_MS).expect("it was just issued")
}

/// How a list names a device.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Naming {
    Key,
    User,
    Filter,
}

/// A list that cuts these devices off and no other, newer than the last.
pub(crate) fn revoke(
    previous: Option<&Revocations>,
    peers: &[(&VerifiedPeer, usize)],
    naming: Naming,
) -> Revocations {
    let entry = |(peer, key): &(&VerifiedPeer, usize)| Revocation {
        whom: match naming {
            Naming::Key => Whom::PeerKey(peer.peer_key().to_string()),
            Naming::User => Whom::User(user(*key)),
            Naming::Filter => {
                let filter = format!("userID = '{}'", user(*key));
                Whom::Filter(IdentityFilter::parse(&filter).expect("it looks at a field"))
            }
        },
        issued_before_ms: CUT_MS,
    };
    let entries = peers.iter().map(entry).collect();
    let list = service()
        .authority
        .revoke(DATABASE, previous, entries, EPOCH_MS);
    list.expect("the list is short")
}

/// Reads a list as a node does that trusts the authority.
pub(crate) fn read_list(bytes: &[u8]) -> Option<Revocations> {
    Revocations::decode(bytes, &service().trust).ok()
}
