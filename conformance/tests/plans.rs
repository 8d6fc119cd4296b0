//! A plan never changes an answer: with indexes and without, in the order of an
//! index and sorted, the same rows come out. And nothing panics on the way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use tombolo::{ExecuteError, Object, Value, json};
use tombolo_conformance::{Call, Peer};
use tombolo_query::Statement;
use tombolo_store::StoreError;

const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "-1",
    "0",
    "2",
    "2.5",
    "3",
    "9007199254740993",
    "''",
    "'a'",
    "'ab'",
    "'b'",
    "[]",
    "[1]",
    "{}",
    "{'d': 1}",
];

const INDEXES: &[&str] = &[
    "CREATE INDEX one ON t (a)",
    "CREATE INDEX two ON t (b DESC)",
    "CREATE INDEX three ON t (a, b DESC)",
    "CREATE INDEX four ON t (c.d)",
    "CREATE INDEX five ON t (b, a DESC, c.d)",
];

fn execute(peer: &Peer, statement: &str) -> Result<Vec<Value>, ExecuteError> {
    let arguments = Object::new();
    let call = Call {
        statement,
        arguments: &arguments,
        now_ms: 1,
    };
    let result = peer.execute(call).map(|response| response.items);
    // The writer outlives a panic of a statement, so it is looked for here.
    let broken = |error: &StoreError| matches!(error, StoreError::Panicked | StoreError::Closed);
    assert!(
        !matches!(&result, Err(ExecuteError::Store(error)) if broken(error)),
        "{statement} panicked"
    );
    result
}

fn value() -> impl Strategy<Value = &'static str> {
    prop::sample::select(VALUES)
}

fn document() -> impl Strategy<Value = String> {
    let field = |name: &'static str| {
        prop::option::of(value()).prop_map(move |value| {
            value.map_or_else(String::new, |value| format!(", '{name}': {value}"))
        })
    };
    let inside = prop::option::of(value()).prop_map(|value| {
        value.map_or_else(String::new, |value| format!(", 'c': {{'d': {value}}}"))
    });
    (field("a"), field("b"), inside).prop_map(|(a, b, c)| format!("{a}{b}{c}"))
}

fn condition() -> impl Strategy<Value = String> {
    let field = prop::sample::select(&["a", "b", "c.d", "_id"][..]);
    let comparison = prop::sample::select(&["=", "!=", "<", "<=", ">", ">="][..]);
    let single = prop_oneof![
        4 => (field.clone(), comparison.clone(), value())
            .prop_map(|(field, operator, value)| format!("{field} {operator} {value}")),
        1 => (field.clone(), comparison, value())
            .prop_map(|(field, operator, value)| format!("{value} {operator} {field}")),
        1 => (field.clone(), value(), value())
            .prop_map(|(field, low, high)| format!("{field} BETWEEN {low} AND {high}")),
        1 => (field.clone(), prop::collection::vec(value(), 0..4))
            .prop_map(|(field, list)| format!("{field} IN [{}]", list.join(", "))),
        1 => field.clone().prop_map(|field| format!("{field} IS MISSING")),
        1 => field.clone().prop_map(|field| format!("{field} IS NULL")),
        1 => field.clone().prop_map(|field| format!("{field} LIKE 'a%'")),
        1 => field.clone().prop_map(|field| format!("NOT {field}")),
        1 => field.prop_map(|field| format!("NOT {field} = 2")),
    ];
    single.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|parts| format!("({})", parts.join(" AND "))),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|parts| format!("({})", parts.join(" OR "))),
            inner.prop_map(|part| format!("NOT ({part})")),
        ]
    })
}

fn order() -> impl Strategy<Value = String> {
    let key = (
        prop::sample::select(&["a", "b", "c.d", "_id"][..]),
        prop::sample::select(&["", " DESC"][..]),
    );
    prop::collection::vec(
        key.prop_map(|(field, direction)| format!("{field}{direction}")),
        1..4,
    )
    .prop_map(|keys| keys.join(", "))
}

fn filled(documents: &[String]) -> Result<Peer, ExecuteError> {
    let peer = Peer::open("A").unwrap();
    for (at, fields) in documents.iter().enumerate() {
        let statement = format!("INSERT INTO t DOCUMENTS ({{'_id': 'd{at}'{fields}}})");
        execute(&peer, &statement)?;
    }
    for index in INDEXES {
        execute(&peer, index)?;
    }
    Ok(peer)
}

fn shown(items: &[Value]) -> Vec<String> {
    items.iter().map(json::print).collect()
}

proptest! {
    #[test]
    fn an_index_plan_finds_what_a_scan_finds(
        documents in prop::collection::vec(document(), 0..25),
        condition in condition(),
    ) {
        let peer = filled(&documents).unwrap();
        let mut answers = ["", "USE INDEX ''"].map(|hint| {
            let statement = format!("SELECT _id FROM t {hint} WHERE {condition}");
            shown(&execute(&peer, &statement).unwrap())
        });
        answers.iter_mut().for_each(|answer| answer.sort());
        prop_assert_eq!(&answers[0], &answers[1], "{}", condition);
    }

    #[test]
    fn an_index_gives_the_order_that_sorting_gives(
        documents in prop::collection::vec(document(), 0..25),
        condition in prop::option::of(condition()),
        order in order(),
        (limit, offset) in (0..12_usize, 0..5_usize),
    ) {
        let peer = filled(&documents).unwrap();
        let filter = condition.map_or_else(String::new, |condition| format!("WHERE {condition}"));
        // Only what ORDER BY names is compared: ties may fall either way.
        let columns = order.replace(" DESC", "").replace("c.d", "c.d AS d");
        let answers = ["", "USE INDEX ''"].map(|hint| {
            let statement = format!(
                "SELECT {columns} FROM t {hint} {filter} ORDER BY {order} LIMIT {limit} OFFSET {offset}"
            );
            shown(&execute(&peer, &statement).unwrap())
        });
        prop_assert_eq!(&answers[0], &answers[1], "{} {}", filter, order);
    }

    #[test]
    fn statements_of_arbitrary_words_never_panic(
        words in prop::collection::vec(prop::sample::select(WORDS), 1..14),
        documents in prop::collection::vec(document(), 0..4),
    ) {
        let peer = filled(&documents).unwrap();
        for start in ["SELECT", "UPDATE t SET", "DELETE FROM t WHERE", "SELECT * FROM t WHERE"] {
            let text = format!("{start} {}", words.join(" "));
            let explained = format!("EXPLAIN {text}");
            if Statement::parse(&text).is_ok() {
                let _ = execute(&peer, &explained);
                let _ = execute(&peer, &text);
            }
        }
    }
}

const WORDS: &[&str] = &[
    "a",
    "b",
    "c.d",
    "_id",
    "t.*",
    "*",
    ",",
    "(",
    ")",
    "FROM t",
    "FROM t x",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "OFFSET",
    "AND",
    "OR",
    "NOT",
    "=",
    "<",
    "+",
    "-",
    "*",
    "/",
    "%",
    "<<",
    "||",
    "IN",
    "IS NULL",
    "IS MISSING",
    "LIKE",
    "BETWEEN",
    "'a%'",
    "1",
    "2.5",
    "null",
    "[1, 'a']",
    "{'k': 1}",
    "COUNT(*)",
    "SUM(a)",
    "MEDIAN(b)",
    "AS n",
    "n",
    "ANY v IN a SATISFIES v = 1 END",
    "substr(a, 1)",
    "date_add(a, 'day', 1)",
    "RETURNING",
    "UNSET a",
    "x.a",
    "HAVING",
    "DISTINCT",
    "-9223372036854775808",
    "18446744073709551615",
    "9223372036854775807",
];
