//! Durations as text such as `2h15m0s`, and as numbers of a unit.

use super::{Answer, Function, or_missing};
use crate::datum::Datum;
use crate::evaluate::Run;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("duration_cast", (1, 2), duration_cast),
    Function::new("duration_format", (1, 2), duration_format),
];

const NANOS_PER_MILLI: i128 = 1_000_000;

/// Units and their nanoseconds.
const UNITS: &[(&str, i128)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", NANOS_PER_MILLI),
    ("s", 1_000 * NANOS_PER_MILLI),
    ("m", 60_000 * NANOS_PER_MILLI),
    ("h", 3_600_000 * NANOS_PER_MILLI),
    ("d", 86_400_000 * NANOS_PER_MILLI),
];

/// Long names of the same units.
const NAMES: &[(&str, &str)] = &[
    ("nanosecond", "ns"),
    ("microsecond", "us"),
    ("millisecond", "ms"),
    ("millis", "ms"),
    ("second", "s"),
    ("sec", "s"),
    ("minute", "m"),
    ("min", "m"),
    ("hour", "h"),
    ("day", "d"),
];

/// Nanoseconds of the unit in an argument, milliseconds if there is none.
fn unit(argument: Option<&Datum<'_>>) -> Option<i128> {
    let Some(argument) = argument else {
        return Some(NANOS_PER_MILLI);
    };
    let text = argument.text()?.to_ascii_lowercase();
    let long = NAMES.iter().find(|(name, _)| *name == text);
    let short = long.map_or(text.as_str(), |(_, short)| short);
    UNITS
        .iter()
        .find(|(name, _)| *name == short)
        .map(|(_, nanos)| *nanos)
}

fn duration_cast<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let text = or_missing!(arguments[0].text());
    let unit = or_missing!(unit(arguments.get(1)));
    let nanos = or_missing!(read(text));
    Ok(i64::try_from(nanos / unit).map_or(Datum::Missing, Datum::Int))
}

/// The nanoseconds of a text such as `1h30m` or `-1.5s`.
fn read(text: &str) -> Option<i128> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits =
            rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest
            .find(|character: char| character.is_ascii_digit() || character == '.')
            .unwrap_or(rest.len());
        let nanos = UNITS.iter().find(|(name, _)| *name == &rest[..letters])?.1;
        total = total.checked_add((number * nanos as f64).round() as i128)?;
        rest = &rest[letters..];
    }
    Some(sign * total)
}

fn duration_format<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let count = or_missing!(arguments[0].integer());
    let unit = or_missing!(unit(arguments.get(1)));
    Ok(Datum::from(write(i128::from(count) * unit)))
}

/// Hours, minutes and seconds from the first that is not zero.
fn write(nanos: i128) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let second = 1_000_000_000;
    if nanos == 0 {
        return "0s".to_owned();
    }
    if nanos < second {
        let (count, unit) = match nanos {
            0..1_000 => (fraction(nanos, 1), "ns"),
            1_000..1_000_000 => (fraction(nanos, 1_000), "µs"),
            _ => (fraction(nanos, 1_000_000), "ms"),
        };
        return format!("{sign}{count}{unit}");
    }
    let hours = nanos / (3600 * second);
    let minutes = nanos / (60 * second) % 60;
    let seconds = fraction(nanos % (60 * second), second);
    if hours > 0 {
        format!("{sign}{hours}h{minutes}m{seconds}s")
    } else if minutes > 0 {
        format!("{sign}{minutes}m{seconds}s")
    } else {
        format!("{sign}{seconds}s")
    }
}

/// `count / unit` in decimals, without zeros at the end.
fn fraction(count: u128, unit: u128) -> String {
    let whole = count / unit;
    let rest = count % unit;
    if rest == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    let digits = format!("{rest:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}
