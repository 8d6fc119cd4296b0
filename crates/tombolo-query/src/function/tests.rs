//! Functions give what is documented, MISSING for wrong types, and stop at
//! limits.

use tombolo_document::{Object, Value};

use super::names;
use crate::datum::Datum;
use crate::error::QueryError;
use crate::testing::value_of;

#[test]
fn every_function_is_found_by_its_name_in_any_case() {
    for name in names() {
        assert_eq!(super::find(&name.to_uppercase()).unwrap().name, name);
    }
}

#[test]
fn functions_give_what_is_documented() {
    for (text, expected) in [
        ("substr('gearbox', 4)", Value::from("box")),
        ("substr('gearbox', -3, 2)", Value::from("bo")),
        (
            "split('a,b', ',')",
            Value::from(vec!["a".into(), "b".into()]),
        ),
        ("cast('2.5', 'float')", Value::Float(2.5)),
        ("cast(2.9 AS integer)", Value::Int(2)),
        ("ltrim('  x ')", Value::from("x ")),
        ("`trim`('xxaxx', 'x')", Value::from("a")),
        ("TRIM(LEADING 'x' FROM 'xax')", Value::from("ax")),
        ("duration_cast('1h30m')", Value::Int(5_400_000)),
        ("duration_cast('90s', 'minute')", Value::Int(1)),
        ("duration_format(1500)", Value::from("1.5s")),
        (
            "date_diff('2026-03-01T00:00:00Z', '2026-01-31T00:00:00Z', 'month')",
            Value::Int(1),
        ),
        (
            "date_part('2026-06-01T10:30:45.250Z', 'ms')",
            Value::Int(250),
        ),
        (
            "date_part('2026-06-01T10:30:45Z', 'monthname')",
            Value::from("June"),
        ),
        (
            "date_format(0, 'YYYY-MM-DD hh:mm:ss.sss TZD')",
            Value::from("1970-01-01 00:00:00.000 +00:00"),
        ),
        (
            "date_format(0, '')",
            Value::from("1970-01-01T00:00:00+00:00"),
        ),
        (
            "date_cast('2026-01-02', 'YYYY-MM-DD')",
            Value::Int(1_767_312_000_000),
        ),
        ("clock('YYYY')", Value::from("1970")),
        ("object_length({'a': 1})", Value::Int(1)),
        ("decode(null, null, 'n', 'd')", Value::from("n")),
        ("nullif(1, 1.0)", Value::Null),
    ] {
        assert_eq!(
            value_of(text, &Object::new()).unwrap(),
            Datum::from(expected),
            "{text}"
        );
    }
}

#[test]
fn wrong_types_give_missing_and_never_an_error() {
    for name in names() {
        let function = super::find(name).unwrap();
        for arguments in [
            "",
            "1",
            "'a'",
            "null",
            "[]",
            "nothing",
            "1, 2",
            "'a', 'b'",
            "null, 1",
            "{}, []",
            "1, 2, 3",
            "'a', 'b', 'c'",
            "true, 'x', -1",
            "1, 2, 3, 4",
            "'a', 1, {}, 'b', 'c'",
            "9223372036854775807, 'year', 9223372036854775807",
            "'x', 9223372036854775807, ''",
        ] {
            let count = if arguments.is_empty() {
                0
            } else {
                arguments.split(',').count()
            };
            if function.takes(count) {
                let arguments = arguments.replace("nothing", "ifmissing(null)");
                let text = format!("`{name}`({arguments})");
                value_of(&text, &Object::new()).unwrap_or_else(|error| panic!("{text}: {error}"));
            }
        }
    }
}

#[test]
fn hostile_date_formats_give_missing_or_little_text() {
    for format in [
        "%",
        "%%",
        "%999999999d",
        "%255Y",
        "%-",
        "%_^#0Y",
        "%Q%Q%Q",
        "%.9999f",
        "%.f%:::z",
        "%!",
        "YYYYYYYY",
        "\u{0}%",
        "%\u{e9}",
        "%s%s",
        "%:Q",
        "%+",
        "%c",
    ] {
        for call in [
            "date_format(0, ",
            "date_cast('1970', ",
            "tz_offset('1970', ",
        ] {
            let value = value_of(&format!("{call}'{format}')"), &Object::new()).unwrap();
            let length = value.text().map_or(0, str::len);
            assert!(length < 10_000, "{call}{format}: {length}");
        }
    }
}

#[test]
fn a_function_cannot_make_a_value_beyond_the_limit() {
    for text in [
        "repeat('ab', 9223372036854775807)",
        "lpad('a', 9223372036854775807, 'b')",
        "date_range(0, 9000000000000, 'ms', 1)",
    ] {
        let error = value_of(text, &Object::new()).unwrap_err();
        assert!(matches!(error, QueryError::Limit(_)), "{text}: {error}");
    }
}
