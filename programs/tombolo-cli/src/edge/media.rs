//! In which format a body is, and in which the client wants the answer.

use http::{HeaderMap, HeaderValue, header};

/// The formats of questions and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    Cbor,
}

impl Media {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Cbor => "application/cbor",
        }
    }

    pub(crate) const fn header(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }

    /// What the body is declared as. An undeclared body is none of them and not taken:
    /// a web page could send one to a node on the same machine without asking the browser's leave.
    pub(crate) fn of_body(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let kind = value.split(';').next().unwrap_or_default().trim();
        let of_kind = |media: &Self| kind.eq_ignore_ascii_case(media.name());
        [Self::Json, Self::Cbor].into_iter().find(of_kind)
    }

    /// What `Accept` wants more; the format of the body if it wants neither, or both alike.
    pub(crate) fn of_answer(headers: &HeaderMap) -> Self {
        let fields = headers.get_all(header::ACCEPT).iter();
        let fields = fields.filter_map(|value| value.to_str().ok());
        let ranges = fields.flat_map(|value| value.split(','));
        let (mut json, mut cbor) = (Wish::NONE, Wish::NONE);
        for range in ranges {
            json = json.or_nearer(Wish::of(range, Self::Json));
            cbor = cbor.or_nearer(Wish::of(range, Self::Cbor));
        }
        match json.strength().partial_cmp(&cbor.strength()) {
            Some(std::cmp::Ordering::Greater) => Self::Json,
            Some(std::cmp::Ordering::Less) => Self::Cbor,
            _ => Self::of_body(headers).unwrap_or(Self::Json),
        }
    }
}

/// How much a client wants a format.
#[derive(Debug, Clone, Copy)]
struct Wish {
    /// 3 for the format by its name, 2 for all of `application`, 1 for everything, 0 for no word of it.
    nearness: u8,
    /// From 0, which is never, to 1.
    quality: f32,
}

impl Wish {
    const NONE: Self = Self {
        nearness: 0,
        quality: 0.0,
    };

    /// What one range of `Accept` says about `media`; one that cannot be read says nothing.
    fn of(range: &str, media: Media) -> Self {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let nearness = match kind {
            kind if kind.eq_ignore_ascii_case(media.name()) => 3,
            "application/*" => 2,
            "*/*" => 1,
            _ => return Self::NONE,
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        match quality.map_or(Ok(1.0), str::parse) {
            Ok(quality) if (0.0..=1.0).contains(&quality) => Self { nearness, quality },
            _ => Self::NONE,
        }
    }

    fn or_nearer(self, other: Self) -> Self {
        if other.nearness > self.nearness {
            other
        } else {
            self
        }
    }

    /// Of two that are wanted as much, the one that was named is wanted more.
    fn strength(self) -> (f32, u8) {
        if self.quality > 0.0 {
            (self.quality, self.nearness)
        } else {
            (0.0, 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: Option<&'static str>, accept: &[&'static str]) -> Media {
        let mut headers = HeaderMap::new();
        if let Some(body) = body {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(body));
        }
        for accept in accept {
            headers.append(header::ACCEPT, HeaderValue::from_static(accept));
        }
        Media::of_answer(&headers)
    }

    #[test]
    fn the_answer_is_in_the_format_of_the_body_unless_the_other_is_wanted_more() {
        const JSON: Option<&str> = Some("application/json; charset=utf-8");
        const CBOR: Option<&str> = Some("Application/CBOR");
        for (body, accept, expected) in [
            (JSON, &[][..], Media::Json),
            (CBOR, &[], Media::Cbor),
            (None, &[], Media::Json),
            (JSON, &["application/cbor"], Media::Cbor),
            (CBOR, &["application/json"], Media::Json),
            (None, &["application/cbor"], Media::Cbor),
            (CBOR, &["*/*"], Media::Cbor),
            (JSON, &["application/*"], Media::Json),
            (JSON, &["application/cbor, */*"], Media::Cbor),
            (CBOR, &["application/json, text/plain, */*"], Media::Json),
            (JSON, &["application/json, application/cbor"], Media::Json),
            (CBOR, &["application/json, application/cbor"], Media::Cbor),
            (
                JSON,
                &["application/json;q=0.5", "application/cbor;q=0.6"],
                Media::Cbor,
            ),
            (CBOR, &["application/cbor;q=0, */*;q=0.1"], Media::Json),
            (CBOR, &["text/html"], Media::Cbor),
            (JSON, &["application/cbor;q=0"], Media::Json),
            (JSON, &["application/cbor;q=nan"], Media::Json),
            (JSON, &["application/cbor;q=2"], Media::Json),
        ] {
            assert_eq!(answer(body, accept), expected, "{body:?} {accept:?}");
        }
    }
}
