//! What manifests prove, and what they refuse.

use proptest::prelude::*;

use super::*;

/// Bytes in which no two chunks are equal.
fn content(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Hasher::new()
        .update(b"content")
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

fn manifest_of(content: &[u8]) -> Manifest {
    let mut builder = ManifestBuilder::new();
    builder.update(content).unwrap();
    builder.finish()
}

/// Lengths around the borders of chunks.
fn any_length() -> impl Strategy<Value = usize> {
    (0..6_usize, -2..=2_isize)
        .prop_map(|(chunks, by)| (chunks * CHUNK_BYTES).saturating_add_signed(by))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn an_id_is_the_plain_hash_of_the_content(
        length in any_length(),
        piece in 1000..3 * CHUNK_BYTES,
    ) {
        let content = content(length);
        let mut builder = ManifestBuilder::new();
        for piece in content.chunks(piece) {
            builder.update(piece).unwrap();
        }
        let manifest = builder.finish();
        prop_assert_eq!(manifest.id(), AttachmentId::of(&content));
        prop_assert_eq!(manifest.length(), length as u64);
        let read = Manifest::verify(manifest.as_bytes(), manifest.id(), manifest.length());
        prop_assert_eq!(read, Ok(manifest));
    }

    #[test]
    fn every_chunk_proves_itself_and_no_other(length in any_length(), at: prop::sample::Index) {
        let content = content(length);
        let manifest = manifest_of(&content);
        let chunks: Vec<_> = content.chunks(CHUNK_BYTES).collect();
        prop_assert_eq!(manifest.chunk_count(), chunks.len() as u64);
        for (index, chunk) in chunks.iter().enumerate() {
            prop_assert_eq!(manifest.check_chunk(index as u64, chunk), Ok(()));
        }
        if !chunks.is_empty() {
            let index = at.index(chunks.len());
            let mut changed = chunks[index].to_vec();
            changed[at.index(chunks[index].len())] ^= 1;
            let refused = manifest.check_chunk(index as u64, &changed);
            prop_assert_eq!(refused, Err(ChunkError::WrongHash { index: index as u64 }));
            let other = (index + 1) % chunks.len();
            if other != index {
                prop_assert!(manifest.check_chunk(index as u64, chunks[other]).is_err());
            }
        }
    }

    #[test]
    fn t45_a_changed_manifest_leads_elsewhere(chunks in 2..5_usize, at: prop::sample::Index) {
        let manifest = manifest_of(&content(chunks * CHUNK_BYTES));
        let mut bytes = manifest.as_bytes().to_vec();
        let place = at.index(bytes.len());
        bytes[place] ^= 0x10;
        let id = manifest.id();
        let refused = Manifest::verify(&bytes, id, manifest.length());
        prop_assert_eq!(refused, Err(ManifestError::WrongHash { id }));
    }
}

#[test]
fn t45_a_manifest_of_another_size_is_refused_before_it_is_looked_at() {
    let manifest = manifest_of(&content(3 * CHUNK_BYTES));
    let id = manifest.id();
    for found in [0, 1, 64, 95, 97, 128] {
        let refused = Manifest::verify(&vec![0; found], id, manifest.length());
        assert_eq!(refused, Err(ManifestError::WrongSize { found, wanted: 96 }));
    }
    for length in [ATTACHMENT_BYTES_MAX + 1, u64::MAX] {
        let refused = Manifest::verify(manifest.as_bytes(), id, length);
        assert_eq!(refused, Err(ManifestError::TooLong { length }));
    }
}

#[test]
fn t45_a_length_that_is_not_the_contents_is_found_out() {
    let content = content(2 * CHUNK_BYTES - 10);
    let manifest = manifest_of(&content);
    let id = manifest.id();
    // Another number of chunks is found out by the manifest itself.
    for length in [CHUNK_BYTES as u64, 3 * CHUNK_BYTES as u64] {
        assert!(Manifest::verify(manifest.as_bytes(), id, length).is_err());
    }
    assert!(Manifest::verify(&[], id, 0).is_err());
    // Within the last chunk it takes that chunk.
    for length in [manifest.length() - 1, manifest.length() + 1] {
        let claimed = Manifest::verify(manifest.as_bytes(), id, length).unwrap();
        let last = content.chunks(CHUNK_BYTES).nth(1).unwrap();
        assert!(claimed.check_chunk(1, last).is_err());
        assert!(claimed.check_chunk(1, &last[..last.len() - 1]).is_err());
    }
}

#[test]
fn a_chunk_that_is_not_there_is_named() {
    let manifest = manifest_of(&content(CHUNK_BYTES + 1));
    let refused = manifest.check_chunk(2, b"x");
    assert_eq!(refused, Err(ChunkError::OutOfRange { index: 2, count: 2 }));
    assert!(manifest.check_chunk(u64::MAX, b"x").is_err());
    assert_eq!(chunk_length(CHUNK_BYTES as u64 + 1, 1), Some(1));
    assert_eq!(chunk_length(0, 0), None);
}
