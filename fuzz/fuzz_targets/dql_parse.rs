//! Arbitrary text as a statement and as a subscription: it is refused with a place inside the text, or understood.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tombolo_query::{Condition, QueryError, Statement, Subscription};

fuzz_target!(|text: &str| {
    match Statement::parse(text) {
        Ok(statement) => {
            assert_eq!(statement.text(), text);
            let _ = (
                statement.writes(),
                statement.collections(),
                statement.written_collection(),
            );
        }
        Err(QueryError::Parse(error) | QueryError::Check(error)) => {
            assert!(error.span.end <= text.len(), "a place lies inside the text");
            assert!(!error.to_string().is_empty());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let _ = Subscription::parse(text, true);
    let _ = Condition::on_id(text);
});
