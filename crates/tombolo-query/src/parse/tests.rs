//! The parser accepts what it should, refuses the rest with a place, and
//! survives anything.

use proptest::prelude::*;

use super::{NESTING_MAX, parse_expression, parse_statement};

fn refused(text: &str) -> String {
    parse_statement(text).unwrap_err().render()
}

#[test]
fn a_missing_from_is_named_with_its_place() {
    assert_eq!(
        refused("SELECT a\nWHERE b = 1"),
        "expected FROM, found `WHERE` at line 2, column 1\n  |\n2 | WHERE b = 1\n  | ^^^^^"
    );
}

#[test]
fn misspelt_words_are_recognized() {
    assert!(refused("SELEC a FROM b").contains("did you mean SELECT instead of `SELEC`?"));
    assert!(refused("SELECT a FORM b").contains("did you mean FROM instead of `FORM`?"));
    assert!(
        refused("SELECT a FROM b WHER c = 1").contains("did you mean WHERE instead of `WHER`?")
    );
    assert!(refused("INSERT INTO b DOCUMENT (:d)").contains("did you mean DOCUMENTS"));
}

#[test]
fn every_refusal_says_what_to_do() {
    for (text, hint) in [
        ("SELECT a FROM b;", "takes no semicolon"),
        ("SELECT * FROM collection", "stands in backticks"),
        ("SELECT 'it''s' FROM b", ""),
        ("SELECT a FROM b, c", "JOIN ... ON"),
        ("SELECT a FROM b CROSS JOIN c", "LEFT JOIN"),
        ("UPDATE b UNSET a SET c = 1", "APPLY, SET, UNSET"),
        ("UPDATE b SET a[0] = 1", "ANY or ARRAY"),
        (
            "INSERT INTO b DOCUMENTS (SELECT * FROM c)",
            "without DOCUMENTS",
        ),
        ("INSERT INTO b VALUES (1)", "DOCUMENTS (:document)"),
        ("SELECT a FROM b USE IDS ('x')", "USE IDS LIST"),
    ] {
        let error = parse_statement(text).expect_err(text).render();
        assert!(error.contains(hint), "{text}: {error}");
    }
}

#[test]
fn nesting_is_read_at_the_limit_and_refused_above() {
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    assert!(parse_expression(&nested(NESTING_MAX - 1)).is_ok());
    assert!(parse_expression(&nested(NESTING_MAX)).is_err());
    for hostile in [
        "(",
        "[",
        "{",
        "-",
        "NOT ",
        "CASE ",
        "ANY a IN ",
        "f(",
        "ARRAY ",
    ] {
        assert!(parse_expression(&hostile.repeat(20_000)).is_err());
    }
}

#[test]
fn long_chains_are_flat_and_deep_ones_are_refused() {
    let chain = |operator: &str| vec!["1"; 5000].join(operator);
    assert!(parse_expression(&chain(" OR ")).is_ok());
    assert!(parse_expression(&chain(" AND ")).is_ok());
    assert!(parse_expression(&chain(" || ")).is_ok());
    assert!(parse_expression(&chain(" + ")).is_err());
    assert!(parse_expression(&" IS NULL".repeat(5000)).is_err());
    assert!(parse_expression(&format!("1{}", " IS NULL".repeat(5000))).is_err());
    assert!(parse_expression(&format!("1{}", " IN (1)".repeat(5000))).is_err());
}

const FRAGMENTS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "a",
    "b.c",
    "*",
    ",",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ":p",
    ":",
    "'x'",
    "1",
    "2.5",
    "AND",
    "OR",
    "NOT",
    "IN",
    "BETWEEN",
    "IS",
    "MISSING",
    "CASE",
    "WHEN",
    "THEN",
    "END",
    "ANY",
    "EVERY",
    "SATISFIES",
    "ARRAY",
    "OBJECT",
    "FOR",
    "GROUP",
    "BY",
    "ORDER",
    "LIMIT",
    "USE",
    "IDS",
    "INDEX",
    "JOIN",
    "LEFT",
    "ON",
    "INSERT",
    "INTO",
    "DOCUMENTS",
    "UPDATE",
    "SET",
    "UNSET",
    "APPLY",
    "INCREMENT",
    "DELETE",
    "EVICT",
    "RETURNING",
    "=",
    "<",
    "-",
    "||",
    "LIKE",
    "CAST",
    "AS",
    "COLLECTION",
    "MAP",
    "EXPLAIN",
    "CREATE",
    "DROP",
    "ALTER",
    "SYSTEM",
    "SHOW",
    "`q`",
    "--+ {}\n",
];

#[test]
fn documents_is_a_name_wherever_it_begins_no_clause() {
    let info = "SELECT * FROM system:data_sync_info";
    let order = "ORDER BY documents.sync_session_status, documents.last_update_received_time DESC";
    assert!(parse_statement(&format!("{info} {order}")).is_ok());
    assert!(parse_statement("INSERT INTO documents DOCUMENTS ({'documents': 1})").is_ok());
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in ".*") {
        let _ = parse_statement(&text).map_err(|error| error.render());
    }

    #[test]
    fn arbitrary_words_never_panic(
        words in prop::collection::vec(prop::sample::select(FRAGMENTS), 0..60)
    ) {
        let _ = parse_statement(&words.join(" ")).map_err(|error| error.render());
    }
}
