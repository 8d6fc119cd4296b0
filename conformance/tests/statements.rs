//! What holds for every statement: plans tell the truth, limits and the stop
//! check end a run with their own errors, and a statement can be run again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;

use tombolo::{ExecuteError, Object, Parameters, QueryError, Response, Value, json};
use tombolo_conformance::{Call, Peer};
use tombolo_query::{Context, Limit, Limits, NoSystemRows, Statement};

fn execute(peer: &Peer, statement: &str) -> Result<Response, ExecuteError> {
    let arguments = Object::new();
    let call = Call {
        statement,
        arguments: &arguments,
        now_ms: 1,
    };
    peer.execute(call)
}

/// `count` documents `{_id: n, n, odd, text}`.
fn filled(count: usize) -> Result<Peer, ExecuteError> {
    let peer = Peer::open("A").unwrap();
    for n in 0..count {
        let odd = n % 2;
        execute(
            &peer,
            &format!(
                "INSERT INTO t DOCUMENTS ({{'_id': {n}, 'n': {n}, 'odd': {odd}, 'text': 'x{n}'}})"
            ),
        )?;
    }
    Ok(peer)
}

/// Runs a reading statement within limits, asking `stop` now and then.
fn read_within(
    peer: &Peer,
    statement: &str,
    limits: Limits,
    stop: &dyn Fn() -> bool,
) -> Result<Vec<Value>, QueryError> {
    let parameters = Parameters::default();
    let arguments = Object::new();
    let context = Context {
        arguments: &arguments,
        parameters: &parameters,
        now_ms: 1,
        random: &|| [0; 16],
        limits,
        stop,
        system: &NoSystemRows,
    };
    let outcome = Statement::parse(statement)?.read(&peer.database().snapshot(), &context)?;
    Ok(outcome.items)
}

fn plan(peer: &Peer, statement: &str) -> Result<String, ExecuteError> {
    let outcome = execute(peer, &format!("EXPLAIN {statement}"))?;
    Ok(json::print(&Value::Array(outcome.items)))
}

/// Statements and the operators of their plans, in any order.
const PLANS: &[(&str, &str)] = &[
    ("SELECT * FROM t", "scan projection finalProjection"),
    (
        "SELECT * FROM t WHERE _id = 1",
        "idScan filter projection finalProjection",
    ),
    (
        "SELECT * FROM t ORDER BY _id LIMIT 1",
        "scan projection limit finalProjection",
    ),
    (
        "SELECT * FROM t WHERE odd = 1 ORDER BY n DESC",
        "indexScan fetch filter projection finalProjection",
    ),
    (
        "SELECT * FROM t WHERE odd = 1 ORDER BY text",
        "indexScan fetch filter projection sort finalProjection",
    ),
    (
        "SELECT * FROM t ORDER BY odd DESC LIMIT 2",
        "indexScan fetch projection limit finalProjection",
    ),
    (
        "SELECT * FROM t ORDER BY odd DESC",
        "scan projection sort finalProjection",
    ),
    (
        "SELECT * FROM t WHERE odd = 1 OR _id = 2",
        "unionScan indexScan idScan fetch filter projection finalProjection",
    ),
    (
        "SELECT * FROM t WHERE odd = 1 OR text = 'a'",
        "scan filter projection finalProjection",
    ),
    (
        "SELECT COUNT(*) FROM t",
        "countScan group projection finalProjection",
    ),
    (
        "SELECT COUNT(*) FROM t WHERE n = 1",
        "scan filter group projection finalProjection",
    ),
    (
        "UPDATE t SET n = 1 WHERE odd = 0",
        "indexScan fetch filter update",
    ),
    (
        "DELETE FROM t USE IDS 1 RETURNING n",
        "idScan delete returning",
    ),
    (
        "SELECT x.n FROM t x JOIN t y ON y._id = x.odd",
        "scan nlJoin idScan projection finalProjection",
    ),
];

#[test]
fn a_plan_names_the_operators_that_run() {
    let peer = filled(4).unwrap();
    execute(&peer, "CREATE INDEX ix ON t (odd, n DESC)").unwrap();
    for (statement, operators) in PLANS {
        let plan = plan(&peer, statement).unwrap();
        let mut found: Vec<&str> = plan
            .split("\"#operator\":\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .filter(|operator| *operator != "sequence")
            .collect();
        let mut wanted: Vec<&str> = operators.split(' ').collect();
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{statement}: {plan}");
    }
}

#[test]
fn a_plan_shows_the_spans_of_its_index() {
    let peer = filled(1).unwrap();
    execute(&peer, "CREATE INDEX ix ON t (odd, n DESC)").unwrap();
    let plan = plan(&peer, "SELECT * FROM t WHERE odd = 1 AND n IN [3, 5]").unwrap();
    assert!(
        plan.contains(
            r#""spans":[{"high":["1","5"],"low":["1","5"]},{"high":["1","3"],"low":["1","3"]}]"#
        ),
        "{plan}"
    );
}

#[test]
fn each_memory_limit_ends_a_run_with_its_own_error() {
    let peer = filled(50).unwrap();
    let small = 2_000;
    let tight = |change: fn(&mut Limits, usize)| {
        let mut limits = Limits::DEFAULT;
        change(&mut limits, small);
        limits
    };
    for (limits, statement, wanted) in [
        (
            tight(|l, n| l.sort_bytes = n),
            "SELECT * FROM t ORDER BY text",
            Limit::Sort(small),
        ),
        (
            tight(|l, n| l.group_bytes = n),
            "SELECT n, COUNT(*) FROM t GROUP BY n",
            Limit::Group(small),
        ),
        (
            tight(|l, n| l.distinct_bytes = n),
            "SELECT DISTINCT text FROM t",
            Limit::Distinct(small),
        ),
        (
            tight(|l, n| l.result_bytes = n),
            "SELECT * FROM t",
            Limit::Result(small),
        ),
        (
            tight(|l, n| l.value_bytes = n),
            "SELECT repeat(text, 2000) FROM t",
            Limit::Value(small),
        ),
    ] {
        match read_within(&peer, statement, limits, &|| false) {
            Err(QueryError::Limit(limit)) => assert_eq!(limit, wanted, "{statement}"),
            other => panic!("{statement}: {other:?}"),
        }
        assert!(read_within(&peer, statement, Limits::DEFAULT, &|| false).is_ok());
    }
}

#[test]
fn a_small_limit_sorts_within_a_small_budget() {
    let peer = filled(200).unwrap();
    let limits = Limits {
        sort_bytes: 2_000,
        ..Limits::DEFAULT
    };
    let items = read_within(
        &peer,
        "SELECT n FROM t ORDER BY text LIMIT 3",
        limits,
        &|| false,
    );
    assert_eq!(
        json::print(&Value::Array(items.unwrap())),
        r#"[{"n":0},{"n":1},{"n":10}]"#
    );
}

#[test]
fn a_sorted_mutation_with_a_limit_picks_the_first() {
    let peer = filled(700).unwrap();
    let delete = "DELETE FROM t ORDER BY n DESC LIMIT 3 OFFSET 1";
    let ids = execute(&peer, delete).unwrap().mutated_document_ids;
    assert_eq!(ids, [698, 697, 696].map(Value::Int));
}

#[test]
fn the_stop_check_ends_scans_and_long_expressions() {
    let peer = filled(600).unwrap();
    let loops = "SELECT COUNT(*) FROM t a JOIN t b USE INDEX '' ON a.n < b.n";
    let nested = "SELECT ARRAY (ARRAY (ARRAY 1 FOR x IN :l END) FOR y IN :l END) FOR z IN :l END FROM system:dual";
    for statement in [
        loops,
        &nested.replace(":l", &format!("[{}]", vec!["1"; 100].join(","))),
    ] {
        let asked = Cell::new(0);
        let stop = || {
            asked.set(asked.get() + 1);
            asked.get() == 3
        };
        let result = read_within(&peer, statement, Limits::DEFAULT, &stop);
        assert!(matches!(result, Err(QueryError::Stopped)), "{result:?}");
        assert_eq!(asked.get(), 3);
    }
}

#[test]
fn a_limit_ends_a_scan_early() {
    let peer = filled(600).unwrap();
    let asked = Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        false
    };
    let items = read_within(&peer, "SELECT n FROM t LIMIT 2", Limits::DEFAULT, &stop).unwrap();
    assert_eq!((items.len(), asked.get()), (2, 0));
}

#[test]
fn a_statement_runs_again_with_other_arguments() {
    let peer = filled(5).unwrap();
    let statement = Statement::parse("SELECT n FROM t WHERE _id = :id").unwrap();
    let parameters = Parameters::default();
    for n in 0..5 {
        let arguments = Object::from([("id".to_owned(), Value::Int(n))]);
        let context = Context {
            arguments: &arguments,
            parameters: &parameters,
            now_ms: 1,
            random: &|| [0; 16],
            limits: Limits::DEFAULT,
            stop: &|| false,
            system: &NoSystemRows,
        };
        let items = statement
            .read(&peer.database().snapshot(), &context)
            .unwrap()
            .items;
        assert_eq!(
            items,
            [Value::Object(Object::from([(
                "n".to_owned(),
                Value::Int(n)
            )]))]
        );
    }
}

#[test]
fn a_missing_argument_is_named() {
    let peer = filled(1).unwrap();
    let error = execute(&peer, "SELECT * FROM t WHERE n = :wanted").unwrap_err();
    assert_eq!(
        error.to_string(),
        "Parameter wanted was not provided: pass it in the arguments"
    );
}

#[test]
fn a_statement_that_fails_midway_writes_nothing() {
    let peer = filled(3).unwrap();
    let error = execute(&peer, "UPDATE t APPLY hits INCREMENT BY missingif(n, 2)").unwrap_err();
    assert!(
        error.to_string().contains("to be an integer value"),
        "{error}"
    );
    let left = execute(&peer, "SELECT _id FROM t WHERE hits IS NOT MISSING").unwrap();
    assert_eq!(left.items, []);
}

#[test]
fn a_reader_refuses_to_write() {
    let peer = filled(1).unwrap();
    for statement in [
        "DELETE FROM t",
        "PROFILE DELETE FROM t",
        "CREATE INDEX a ON t (n)",
    ] {
        let result = read_within(&peer, statement, Limits::DEFAULT, &|| false);
        assert!(matches!(result, Err(QueryError::ReadOnly)), "{statement}");
    }
    assert!(read_within(&peer, "EXPLAIN DELETE FROM t", Limits::DEFAULT, &|| false).is_ok());
}

/// Writes a document with a text of `length` bytes into an empty peer.
fn insert_within(length: usize, hard_limit: usize) -> Result<Response, ExecuteError> {
    let peer = Peer::open("A").unwrap();
    execute(
        &peer,
        "ALTER SYSTEM SET document_size_soft_limit_bytes = 100",
    )?;
    let hard = format!("ALTER SYSTEM SET document_size_hard_limit_bytes = {hard_limit}");
    execute(&peer, &hard)?;
    let insert = format!("INSERT INTO t DOCUMENTS ({{'_id': 1, 's': repeat('a', {length})}})");
    execute(&peer, &insert)
}

#[test]
fn a_document_is_written_at_the_size_limit_and_refused_above() {
    assert_eq!(insert_within(10, 5_000).unwrap().warnings, [""; 0]);
    let warned = insert_within(200, 5_000).unwrap().warnings;
    let bytes = warned[0]
        .split(" has ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let bytes: usize = bytes.unwrap().parse().unwrap();
    assert!(insert_within(200, bytes).is_ok());
    let refused = insert_within(200, bytes - 1).unwrap_err().to_string();
    assert_eq!(
        refused,
        format!(
            "the document size {bytes} exceeds limit of {} bytes",
            bytes - 1
        )
    );
}

#[test]
fn the_deepest_expressions_are_evaluated_on_a_small_stack() {
    let peer = Peer::open("A").unwrap();
    for (open, inside, close) in [
        ("[", "1", "]"),
        ("(1 + ", "1", ")"),
        ("abs(", "1", ")"),
        ("CASE WHEN true THEN ", "1", " END"),
        ("coalesce(null, ", "1", ")"),
        ("{'a': ", "1", "}"),
        ("ARRAY v FOR v IN [1] WHEN ", "true", " END"),
        ("ANY v IN [1] SATISFIES ", "true", " END"),
        ("1 IN [", "1", "]"),
        ("'a' LIKE (", "'a'", " || '')"),
    ] {
        let deepest = (1..200).rev().find_map(|levels| {
            let expression = format!("{}{inside}{}", open.repeat(levels), close.repeat(levels));
            let text = format!("SELECT {expression} AS x FROM system:dual");
            Some((Statement::parse(&text).ok()?, text))
        });
        let (statement, text) = deepest.unwrap();
        assert!(
            read_within(&peer, &text, Limits::DEFAULT, &|| false).is_ok(),
            "{text}"
        );
        assert!(statement.is_select());
    }
}

#[test]
fn nested_ranges_cannot_double_a_value_for_ever() {
    let peer = Peer::open("A").unwrap();
    let levels = 50;
    let open: String = (0..levels)
        .map(|level| format!("ANY v{} IN [[v{level}, v{level}]] SATISFIES ", level + 1))
        .collect();
    let text = format!(
        "SELECT ANY v0 IN [1] SATISFIES {open} true {} END AS x FROM system:dual",
        "END ".repeat(levels)
    );
    let result = read_within(&peer, &text, Limits::DEFAULT, &|| false);
    assert!(
        matches!(result, Err(QueryError::Limit(Limit::Value(_)))),
        "{result:?}"
    );
}
