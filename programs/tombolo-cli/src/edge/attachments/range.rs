//! Which part of content a client asks for, and whether it has it already (RFC 9110, 13 and 14).

use http::{HeaderMap, Method, header};

/// What to answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// 200.
    All,
    /// 206, from the first to the last byte.
    Part { first: u64, last: u64 },
    /// 304: the client has it.
    Nothing,
    /// 416: no byte of it is there.
    Outside,
}

impl Wanted {
    /// What a request wants of content that is `length` bytes and named by `tag`.
    pub(super) fn of(method: &Method, headers: &HeaderMap, tag: &str, length: u64) -> Self {
        let known = headers.get_all(header::IF_NONE_MATCH);
        let is_known = |value: &http::HeaderValue| {
            value.to_str().is_ok_and(|tags| {
                tags.split(',')
                    .map(|one| one.trim())
                    .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
            })
        };
        if known.iter().any(is_known) {
            return Self::Nothing;
        }
        let mut ranges = headers.get_all(header::RANGE).iter();
        let (Some(range), None) = (ranges.next(), ranges.next()) else {
            return Self::All;
        };
        // A part of other content would be of no use: the tag must be this very one.
        let is_same = headers
            .get(header::IF_RANGE)
            .is_none_or(|value| value.as_bytes() == tag.as_bytes());
        if method != Method::GET || !is_same {
            return Self::All;
        }
        range
            .to_str()
            .ok()
            .and_then(|text| part(text, length))
            .unwrap_or(Self::All)
    }
}

/// One range of bytes; `None` for what is to be passed over: other units, several ranges, and what is
/// no range.
fn part(text: &str, length: u64) -> Option<Wanted> {
    let (unit, range) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    if first.is_empty() {
        let count = number(last)?;
        return Some(match length.checked_sub(1) {
            Some(end) if count > 0 => Wanted::Part {
                first: length.saturating_sub(count),
                last: end,
            },
            _ => Wanted::Outside,
        });
    }
    let first = number(first)?;
    let last = match last {
        "" => u64::MAX,
        last => number(last)?,
    };
    if last < first {
        return None;
    }
    if first >= length {
        return Some(Wanted::Outside);
    }
    let last = last.min(length - 1);
    Some(Wanted::Part { first, last })
}

/// Digits alone: no sign, and no number that does not fit.
fn number(text: &str) -> Option<u64> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const TAG: &str = "\"abc\"";

    fn wanted(pairs: &[(header::HeaderName, &str)], length: u64) -> Wanted {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        Wanted::of(&Method::GET, &headers, TAG, length)
    }

    fn ranged(range: &str) -> Wanted {
        wanted(&[(header::RANGE, range)], 100)
    }

    const fn part(first: u64, last: u64) -> Wanted {
        Wanted::Part { first, last }
    }

    #[test]
    fn one_range_is_a_part_cut_at_the_end() {
        assert_eq!(ranged("bytes=0-0"), part(0, 0));
        assert_eq!(ranged("bytes=10-19"), part(10, 19));
        assert_eq!(ranged("bytes=90-"), part(90, 99));
        assert_eq!(ranged("bytes=99-18446744073709551615"), part(99, 99));
        assert_eq!(ranged("Bytes=-1"), part(99, 99));
        assert_eq!(ranged("bytes=-1000"), part(0, 99));
    }

    #[test]
    fn a_range_behind_the_end_is_told() {
        assert_eq!(ranged("bytes=100-"), Wanted::Outside);
        assert_eq!(ranged("bytes=100-200"), Wanted::Outside);
        assert_eq!(ranged("bytes=-0"), Wanted::Outside);
        assert_eq!(wanted(&[(header::RANGE, "bytes=0-")], 0), Wanted::Outside);
        assert_eq!(wanted(&[(header::RANGE, "bytes=-5")], 0), Wanted::Outside);
    }

    #[test]
    fn what_is_no_single_range_is_passed_over() {
        let others = [
            "bytes=5-4",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=0-1,5-6",
            "bytes=99999999999999999999-",
            "lines=1-2",
            "1-2",
        ];
        for other in others {
            assert_eq!(ranged(other), Wanted::All, "{other}");
        }
        let twice = [(header::RANGE, "bytes=0-1"), (header::RANGE, "bytes=2-3")];
        assert_eq!(wanted(&twice, 100), Wanted::All);
    }

    #[test]
    fn a_range_holds_only_for_the_content_that_its_client_means() {
        let with = |tag| {
            let pairs = [(header::RANGE, "bytes=0-1"), (header::IF_RANGE, tag)];
            wanted(&pairs, 100)
        };
        assert_eq!(with(TAG), part(0, 1));
        assert_eq!(with("\"other\""), Wanted::All);
        assert_eq!(with("W/\"abc\""), Wanted::All);
        assert_eq!(with("Sun, 22 Nov 2026 00:00:00 GMT"), Wanted::All);
    }

    #[test]
    fn what_the_client_has_is_not_sent() {
        for tags in [TAG, "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            let pairs = [(header::IF_NONE_MATCH, tags), (header::RANGE, "bytes=0-1")];
            assert_eq!(wanted(&pairs, 100), Wanted::Nothing, "{tags}");
        }
        assert_eq!(
            wanted(&[(header::IF_NONE_MATCH, "\"x\"")], 100),
            Wanted::All
        );
    }
}
