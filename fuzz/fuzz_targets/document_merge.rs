//! Two arbitrary inputs as documents or deltas: merging them is refused, or gives the same bytes in both orders.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tombolo_document::merge::{check_document, merge};

fuzz_target!(|inputs: (Vec<u8>, Vec<u8>)| {
    let (left, right) = inputs;
    // A delta may come against any document, damaged ones included.
    let _ = merge(Some(&left), &right);
    let _ = merge(None, &right);
    if check_document(&left).is_err() || check_document(&right).is_err() {
        return;
    }
    match (merge(Some(&left), &right), merge(Some(&right), &left)) {
        (Ok(one), Ok(other)) => {
            assert_eq!(
                one.document, other.document,
                "the order of a merge must not matter"
            );
            check_document(&one.document).expect("a merge yields a valid document");
            let again = merge(Some(&one.document), &right).expect("a merged document merges again");
            assert!(
                !again.changed,
                "a second merge of the same bytes changes nothing"
            );
        }
        (one, other) => assert_eq!(one, other, "both orders are refused for the same reason"),
    }
});
