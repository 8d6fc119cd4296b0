//! Arbitrary bytes as a document: they are refused, or they are canonical and survive every reader.
//! It never expects a particular error, only that none of the readers stops the process.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tombolo_document::attachment::mentions;
use tombolo_document::merge::{check_document, delta, merge, version_vector};
use tombolo_document::version::VersionVector;

fuzz_target!(|bytes: &[u8]| {
    if check_document(bytes).is_err() {
        // Readers that trust checked bytes must still end on unchecked ones.
        let _ = version_vector(bytes);
        let _ = merge(Some(bytes), bytes);
        let _ = mentions(bytes);
        return;
    }
    mentions(bytes).expect("a checked document can be searched for tokens");
    let vector = version_vector(bytes).expect("a checked document has a vector");
    let alone = merge(None, bytes).expect("a checked document merges with nothing");
    assert_eq!(alone.document, bytes, "a checked document is canonical");
    let again = merge(Some(bytes), bytes).expect("a checked document merges with itself");
    assert!(!again.changed, "a merge with itself changes nothing");
    assert_eq!(
        delta(bytes, &vector),
        Ok(None),
        "nothing lies beyond the document's own vector"
    );
    let whole = delta(bytes, &VersionVector::default()).expect("a checked document has a delta");
    if let Some(whole) = whole {
        let rebuilt = merge(None, &whole).expect("a delta from nothing is a document");
        assert_eq!(
            rebuilt.document, bytes,
            "the delta from nothing holds everything"
        );
    }
});
