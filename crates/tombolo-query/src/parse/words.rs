//! The words of the language. Most may also be names; the reserved ones only in
//! backticks.

/// Words that are never bare names. Fewer than the documented list, which also
/// holds words that the language does not use. COLLECTION is reserved only where
/// a collection is named, because system collections have a field of that name.
pub(super) const RESERVED: &[&str] = &[
    "ALL",
    "ALTER",
    "AND",
    "ANY",
    "APPLY",
    "ARRAY",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CONFLICT",
    "CROSS",
    "DELETE",
    "DESC",
    "DISTINCT",
    "DO",
    "ELSE",
    "END",
    "ESCAPE",
    "EVICT",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FOR",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "ILIKE",
    "IN",
    "INCREMENT",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTO",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "MISSING",
    "NATURAL",
    "NOT",
    "NULL",
    "OBJECT",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "RETURNING",
    "RIGHT",
    "SELECT",
    "SET",
    "SIMILAR",
    "THEN",
    "TRUE",
    "UNION",
    "UNSET",
    "UPDATE",
    "WHEN",
    "WHERE",
    "WITH",
    "WITHIN",
    "XOR",
];

/// The words that begin a statement.
pub(super) const STATEMENTS: &[&str] = &[
    "SELECT", "INSERT", "UPDATE", "DELETE", "EVICT", "CREATE", "DROP", "ALTER", "SHOW", "EXPLAIN",
    "PROFILE", "ADVISE",
];

/// What may follow the projection of a SELECT.
pub(super) const SELECT_CLAUSES: &[&str] = &[
    "FROM", "USE", "JOIN", "INNER", "LEFT", "RIGHT", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT",
    "OFFSET",
];

/// What may follow the documents of an INSERT.
pub(super) const INSERT_CLAUSES: &[&str] = &["ON", "RETURNING"];

/// What may follow the collection of an UPDATE, in this order.
pub(super) const UPDATE_CLAUSES: &[&str] = &[
    "USE",
    "APPLY",
    "SET",
    "UNSET",
    "WHERE",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "RETURNING",
];

/// What may follow the collection of a DELETE or EVICT.
pub(super) const REMOVE_CLAUSES: &[&str] =
    &["USE", "WHERE", "ORDER", "LIMIT", "OFFSET", "RETURNING"];

/// Whether the word may only be a name in backticks.
pub(super) fn is_reserved(word: &str) -> bool {
    RESERVED
        .iter()
        .any(|reserved| reserved.eq_ignore_ascii_case(word))
}
