//! The peers of all runs: a pool of public keys, each with a leaf that was issued
//! and verified once, on the road that real peers take.
//!
//! The public keys stand here because site ids are made of them, and a run must
//! not depend on chance of its own. Nobody holds their private halves.

use std::sync::OnceLock;

use tombolo_identity::{PeerPublicKey, SharedKey, Trust, VerifiedPeer, verify_leaf};

/// The database of every run.
pub(crate) const DATABASE: &str = "simulation";
/// Unix milliseconds at which every run begins.
pub(crate) const EPOCH_MS: u64 = 1_800_000_000_000;

const POINTS: [&str; 10] = [
    "04e36ceb520fc76e4d1f60647d1507aed7b3e03cb05b1476c9149fcaad0422d1ad5ad1ccf9c73102d8641b8a768bd0bd4ba586d189ab11270792614e75621cd084",
    "04e73fe4b28a666709ca74c5dd9c68df599d72a52f217f0d9b8948e68c28690ebd2ad3efa4d38f126fda94cf2fa6449d6726f84bbe7eeb80443900b93b92629e9d",
    "043b3f51746eb364e8efed0552c1f7b23a52defbc4d58658f41616778ca4df53a0caacdf9db784d43f5691180a10a0fcb41c7f52a3ad83e5c464ce3e78f946968f",
    "047a575779e700b41f26f614176906c3222836fd20ed7be291f2a0ad2ae2f8042cd6aabc2c278ba4a139232d6354a90684c6df6a35814829106e59c162367d19aa",
    "04f8e746241e84251438737d891a35472a54de85b8bbddc9a9ebe6513c3e272fa076f4c97fe4193ab4f727c0d2654267a204c3c353ae1b7b93698ec741086a5099",
    "0489c2164fb5f6a07fc0d5916a3d7ec1dcb7338ae79e32d00f82760fad74b82605cebf58b780f7ee92c88e6675290602515cc227e99f812c7be7cbbab7814638f8",
    "04558e49d4ac9adcfe4eca1fa04203aa5c1f17219364ddc5994a13b08fe027fa741c4a7ec55cbba65f05dce5dd9a9a79f36ab050d5c3b6c868e69f5f56247434a1",
    "0477949088586a93f54be599d792c19e902b405a473284dc0f6ca67596b671aa33f234dad38438d976e38c2f193f53eb1debd91d3564176959b06272c4afc13c33",
    "04731743923e8106d7ac813ae9fc1a55a3de1b26bfd8045eb879a88b57952198ef47ff0358336f80760fe3fb7482ce396e85ccec9f31b66e300454a7739a038deb",
    "04d285469e7375fa4d31592a05a3c161c7979d4fa75ea547046a454212ce705385677376737ea657ef53f3fe321a73a6effd44878dd5a91567016b3d82ecb892be",
];

/// Peers that a run may have.
pub(crate) const POOL: usize = POINTS.len();

/// The peer that others meet when the node with this key links to them.
pub(crate) fn peer(key: usize) -> &'static VerifiedPeer {
    static PEERS: OnceLock<Vec<VerifiedPeer>> = OnceLock::new();
    &PEERS.get_or_init(verify_all)[key]
}

fn verify_all() -> Vec<VerifiedPeer> {
    let shared = SharedKey::generate().expect("the machine has randomness");
    let trust = Trust::new(shared.public().clone(), DATABASE).expect("the id is short");
    let verified = POINTS.iter().map(|point| {
        let key = PeerPublicKey::parse(&bytes_of(point)).expect("the points lie on the curve");
        let leaf = shared.issue(&key, DATABASE, EPOCH_MS);
        let leaf = leaf.expect("the time can stand in a certificate");
        verify_leaf(&trust, &leaf.der, &[] as &[&[u8]], EPOCH_MS).expect("it was just issued")
    });
    verified.collect()
}

pub(crate) fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}
