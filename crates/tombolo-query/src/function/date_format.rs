//! Date formats: percent signs, or letters such as `YYYY-MM-DD hh:mm:ss.sss TZD`.

use jiff::Zoned;
use jiff::civil::Time;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

/// Longest format, in bytes.
const FORMAT_BYTES_MAX: usize = 256;

/// Letters and what they stand for, longest first.
const LETTERS: &[(&str, &str)] = &[
    ("YYYY", "%Y"),
    ("YY", "%y"),
    ("MM", "%m"),
    ("DD", "%d"),
    ("hh", "%H"),
    ("mm", "%M"),
    (".sss", "%.3f"),
    ("ss", "%S"),
    ("TZD", "%:z"),
    ("TZN", "%Q"),
];

/// ISO 8601 with the offset in digits, and a fraction only if there is one.
pub(super) fn iso(time: &Zoned) -> String {
    let nanos = time.subsec_nanosecond();
    let format = if nanos == 0 {
        "%Y-%m-%dT%H:%M:%S%:z"
    } else if nanos % 1_000_000 == 0 {
        "%Y-%m-%dT%H:%M:%S%.3f%:z"
    } else {
        "%Y-%m-%dT%H:%M:%S%.9f%:z"
    };
    strtime::format(format, time).unwrap_or_default()
}

/// The date in a format; `None` for a format that is none.
pub(super) fn format(time: &Zoned, format: &str) -> Option<String> {
    if format.is_empty() {
        return Some(iso(time));
    }
    strtime::format(percent(format)?, time).ok()
}

/// The date that a text shows in a format, in UTC where it names no zone.
pub(super) fn parse(text: &str, format: &str) -> Option<Zoned> {
    let parts = strtime::parse(percent(format)?, text).ok()?;
    if parts.offset().is_some() || parts.iana_time_zone().is_some() {
        return parts.to_zoned().ok();
    }
    let date = parts.to_date().ok()?;
    let time = parts.to_time().unwrap_or(Time::midnight());
    date.to_datetime(time).to_zoned(TimeZone::UTC).ok()
}

fn percent(format: &str) -> Option<String> {
    if format.len() > FORMAT_BYTES_MAX {
        return None;
    }
    if format.contains('%') {
        return Some(format.to_owned());
    }
    let mut percent = String::new();
    let mut rest = format;
    while let Some(character) = rest.chars().next() {
        let known = LETTERS
            .iter()
            .find(|(letters, _)| rest.starts_with(letters));
        match known {
            Some((letters, meaning)) => {
                percent.push_str(meaning);
                rest = &rest[letters.len()..];
            }
            None => {
                percent.push(character);
                rest = &rest[character.len_utf8()..];
            }
        }
    }
    Some(percent)
}
