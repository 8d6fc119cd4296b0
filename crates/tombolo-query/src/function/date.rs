//! Dates: text in ISO 8601 with a zone, or milliseconds since the unix epoch.
//! What comes in as text goes out as text, numbers as numbers.

use std::borrow::Cow;

use jiff::civil::Time;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Unit, Zoned};
use tombolo_document::Value;

use super::date_format::{self, iso};
use super::{Answer, Function, or_missing};
use crate::datum::{Datum, size_bytes};
use crate::evaluate::Run;
use crate::limits::{Budget, Limit};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("clock", (0, 2), clock),
    Function::new("date_add", (3, 5), date_add),
    Function::new("date_sub", (3, 5), date_sub),
    Function::new("date_diff", (3, 3), date_diff),
    Function::new("date_part", (2, 2), date_part),
    Function::new("date_trunc", (2, 2), date_trunc),
    Function::new("date_format", (2, 3), date_format),
    Function::new("date_cast", (1, 2), date_cast),
    Function::new("date_range", (4, 6), date_range),
    Function::new("tz_offset", (1, 2), tz_offset),
];

/// In which form a date came and goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Millis,
}

/// A date as an argument.
struct Moment {
    time: Zoned,
    form: Form,
}

impl Moment {
    fn read(value: &Datum<'_>) -> Option<Self> {
        match value {
            Datum::Int(millis) => {
                let timestamp = Timestamp::from_millisecond(*millis).ok()?;
                Some(Self {
                    time: timestamp.to_zoned(TimeZone::UTC),
                    form: Form::Millis,
                })
            }
            Datum::String(text) => Some(Self {
                time: read_iso(text)?,
                form: Form::Text,
            }),
            _ => None,
        }
    }

    /// The date in the form it came in, or in a given format and zone.
    fn write<'a>(&self, options: &[Datum<'a>]) -> Option<Datum<'a>> {
        let time = in_zone(&self.time, options.get(1))?;
        match (options.first(), self.form) {
            (Some(format), _) => date_format::format(&time, format.text()?).map(Datum::from),
            (None, Form::Text) => Some(Datum::from(iso(&time))),
            (None, Form::Millis) => Some(Datum::Int(time.timestamp().as_millisecond())),
        }
    }
}

/// ISO 8601 with a zone; `None` without one.
fn read_iso(text: &str) -> Option<Zoned> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    let pieces = PARSER.parse_pieces(text.trim()).ok()?;
    let offset = pieces.to_numeric_offset()?;
    let time = pieces.time().unwrap_or(Time::midnight());
    let civil = pieces.date().to_datetime(time);
    civil.to_zoned(TimeZone::fixed(offset)).ok()
}

fn zone(name: &str) -> Option<TimeZone> {
    match name {
        "Z" | "z" => Some(TimeZone::UTC),
        _ => TimeZone::get(name).ok().or_else(|| {
            let probe = format!("1970-01-01T00:00:00{name}");
            Some(read_iso(&probe)?.time_zone().clone())
        }),
    }
}

fn in_zone(time: &Zoned, name: Option<&Datum<'_>>) -> Option<Zoned> {
    match name {
        None => Some(time.clone()),
        Some(name) => Some(time.with_time_zone(zone(name.text()?)?)),
    }
}

fn unit(part: &Datum<'_>) -> Option<Unit> {
    Some(match part.text()?.to_ascii_lowercase().as_str() {
        "year" => Unit::Year,
        "mon" | "month" => Unit::Month,
        "day" => Unit::Day,
        "hour" => Unit::Hour,
        "min" | "minute" => Unit::Minute,
        "sec" | "second" => Unit::Second,
        "ms" | "millis" | "millisecond" => Unit::Millisecond,
        _ => return None,
    })
}

fn span(unit: Unit, count: i64) -> Option<Span> {
    let span = Span::new();
    match unit {
        Unit::Year => span.try_years(count),
        Unit::Month => span.try_months(count),
        Unit::Day => span.try_days(count),
        Unit::Hour => span.try_hours(count),
        Unit::Minute => span.try_minutes(count),
        Unit::Second => span.try_seconds(count),
        _ => span.try_milliseconds(count),
    }
    .ok()
}

/// `clock(format, zone)`: now, as milliseconds without a format.
fn clock<'a>(run: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let now = Datum::Int(i64::try_from(run.now_ms).unwrap_or(i64::MAX));
    let moment = or_missing!(Moment::read(&now));
    Ok(moment.write(&arguments).unwrap_or(Datum::Missing))
}

fn date_add<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(moved(&arguments, 1).unwrap_or(Datum::Missing))
}

fn date_sub<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(moved(&arguments, -1).unwrap_or(Datum::Missing))
}

fn moved<'a>(arguments: &[Datum<'a>], sign: i64) -> Option<Datum<'a>> {
    let mut moment = Moment::read(&arguments[0])?;
    let count = arguments[2].integer()?.checked_mul(sign)?;
    moment.time = moment
        .time
        .checked_add(span(unit(&arguments[1])?, count)?)
        .ok()?;
    moment.write(&arguments[3..])
}

/// Whole parts from the second date to the first.
fn date_diff<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(difference(&arguments).map_or(Datum::Missing, Datum::Int))
}

fn difference(arguments: &[Datum<'_>]) -> Option<i64> {
    let later = Moment::read(&arguments[0])?
        .time
        .with_time_zone(TimeZone::UTC);
    let earlier = Moment::read(&arguments[1])?
        .time
        .with_time_zone(TimeZone::UTC);
    let unit = unit(&arguments[2])?;
    let span = earlier.until((unit, &later)).ok()?;
    Some(match unit {
        Unit::Year => i64::from(span.get_years()),
        Unit::Month => i64::from(span.get_months()),
        Unit::Day => i64::from(span.get_days()),
        Unit::Hour => i64::from(span.get_hours()),
        Unit::Minute => span.get_minutes(),
        Unit::Second => span.get_seconds(),
        _ => span.get_milliseconds(),
    })
}

fn date_part<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let time = or_missing!(Moment::read(&arguments[0])).time;
    let part = or_missing!(arguments[1].text()).to_ascii_lowercase();
    Ok(Datum::Int(i64::from(match part.as_str() {
        "year" => time.year(),
        "mon" | "month" => i16::from(time.month()),
        "day" => i16::from(time.day()),
        "hour" => i16::from(time.hour()),
        "min" | "minute" => i16::from(time.minute()),
        "sec" | "second" => i16::from(time.second()),
        "ms" | "millis" | "millisecond" => time.millisecond(),
        "weekday" => i16::from(time.weekday().to_monday_one_offset()),
        "monthname" => return Ok(written(&time, "%B")),
        "tz" | "timezone" => return Ok(written(&time, "%:z")),
        _ => return Ok(Datum::Missing),
    })))
}

fn written<'a>(time: &Zoned, format: &str) -> Datum<'a> {
    date_format::format(time, format).map_or(Datum::Missing, Datum::from)
}

fn date_trunc<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let mut moment = or_missing!(Moment::read(&arguments[0]));
    let unit = or_missing!(unit(&arguments[1]));
    moment.time = or_missing!(truncated(&moment.time, unit));
    Ok(moment.write(&[]).unwrap_or(Datum::Missing))
}

fn truncated(time: &Zoned, unit: Unit) -> Option<Zoned> {
    let whole = time.with().subsec_nanosecond(0);
    let start = match unit {
        Unit::Year => whole.month(1).day(1).hour(0).minute(0).second(0),
        Unit::Month => whole.day(1).hour(0).minute(0).second(0),
        Unit::Day => whole.hour(0).minute(0).second(0),
        Unit::Hour => whole.minute(0).second(0),
        Unit::Minute => whole.second(0),
        Unit::Second => whole,
        _ => {
            let millis = i32::from(time.millisecond()) * 1_000_000;
            time.with().subsec_nanosecond(millis)
        }
    };
    start.build().ok()
}

fn date_format<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let moment = or_missing!(Moment::read(&arguments[0]));
    Ok(moment.write(&arguments[1..]).unwrap_or(Datum::Missing))
}

/// Milliseconds since the epoch of a text, in ISO 8601 or a given format.
fn date_cast<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let text = or_missing!(arguments[0].text());
    let time = match arguments.get(1) {
        None => read_iso(text),
        Some(format) => {
            let format = or_missing!(format.text());
            if format.is_empty() {
                read_iso(text)
            } else {
                date_format::parse(text, format)
            }
        }
    };
    Ok(Datum::Int(or_missing!(time).timestamp().as_millisecond()))
}

/// Dates from the first up to, and without, the second.
fn date_range<'a>(run: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let start = or_missing!(Moment::read(&arguments[0]));
    let end = or_missing!(Moment::read(&arguments[1]));
    let unit = or_missing!(unit(&arguments[2]));
    let step = or_missing!(arguments[3].integer().filter(|step| *step != 0));
    let mut dates = Vec::new();
    let mut budget = Budget::new(run.limits.value_bytes, Limit::Value);
    for round in 0.. {
        run.fuel.step()?;
        let distance = i64::checked_mul(step, round).and_then(|count| span(unit, count));
        let Some(time) = distance.and_then(|span| start.time.checked_add(span).ok()) else {
            break;
        };
        let inside = if step > 0 {
            time < end.time
        } else {
            time > end.time
        };
        if !inside {
            break;
        }
        let date = Moment {
            time,
            form: start.form,
        };
        let date = or_missing!(date.write(&arguments[4..]).and_then(Datum::into_value));
        budget.take(size_bytes(&date))?;
        dates.push(date);
    }
    Ok(Datum::Array(Cow::<[Value]>::Owned(dates)))
}

/// Minutes east of UTC, of a date or (format TZN) of a zone as of 1970.
fn tz_offset<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let text = or_missing!(arguments[0].text());
    let time = match arguments.get(1).map(Datum::text) {
        None | Some(Some("")) => read_iso(text),
        Some(Some("TZN")) => zone(text).map(|zone| Timestamp::UNIX_EPOCH.to_zoned(zone)),
        Some(Some(format)) => date_format::parse(text, format),
        Some(None) => None,
    };
    let seconds = or_missing!(time).offset().seconds();
    Ok(Datum::Int(i64::from(seconds / 60)))
}
