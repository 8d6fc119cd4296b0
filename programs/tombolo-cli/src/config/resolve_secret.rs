//! From a typed secret to its text: `${NAME}` in it is replaced, a file or a variable is read.
//! Only values that are secrets are treated so; elsewhere `${` is text, because statements and patterns hold it too.

use std::path::Path;

use serde_saphyr::Location;
use zeroize::Zeroizing;

use super::raw::{RawElsewhere, RawSecret, Spanned};
use super::resolve::Findings;
use super::resolve_database::filled;
use super::secret::SecretFile;

/// A longer secret is refused, however many variables it was put together from.
const SECRET_BYTES_MAX: usize = 64 * 1024;
const FORMS: &str = "write the secret itself, { from_file: FILE } or { from_env: NAME }";
const IN_TEXT: &str =
    "write ${NAME} for the value of a variable, and $${ for these two characters themselves";

/// A secret without white space around it, not empty.
pub(super) struct Secret {
    pub(super) text: Zeroizing<String>,
    /// Where in the configuration it is named.
    pub(super) place: Location,
    /// The file or the variable that held it; empty if the configuration did.
    origin: String,
}

impl Secret {
    /// `what` is wrong with the text; names where the text is from and repeats none of it.
    pub(super) fn complaint(&self, what: impl std::fmt::Display) -> String {
        match self.origin.as_str() {
            "" => what.to_string(),
            origin => format!("{origin}: {what}"),
        }
    }
}

/// `path` is the key, for messages. A secret that stands in the file is remembered by it.
pub(super) fn secret(
    path: &str,
    raw: Spanned<RawSecret>,
    findings: &mut Findings<'_>,
) -> Option<Secret> {
    if matches!(&raw.value, RawSecret::Typed(text) if !names_a_variable(text)) {
        findings.typed_secrets.push(path.to_owned());
    }
    public_text(path, raw, findings)
}

/// The same for what may stand in the file all the same, such as a hash.
pub(super) fn public_text(
    path: &str,
    raw: Spanned<RawSecret>,
    findings: &mut Findings<'_>,
) -> Option<Secret> {
    let place = raw.referenced;
    let (text, origin) = match raw.value {
        RawSecret::Typed(text) => (typed(path, &text, place, findings)?, String::new()),
        RawSecret::Elsewhere(RawElsewhere {
            from_file: Some(file),
            from_env: None,
        }) => in_file(path, file, findings)?,
        RawSecret::Elsewhere(RawElsewhere {
            from_file: None,
            from_env: Some(name),
        }) => {
            let name = filled(format!("{path}.from_env"), name, findings)?;
            let text = variable(path, &name, place, findings)?;
            (text, format!("the environment variable {name}"))
        }
        RawSecret::Elsewhere(_) => {
            let what = "needs exactly one of from_file and from_env";
            findings.refuse(path, place, what, FORMS);
            return None;
        }
    };
    let text = Zeroizing::new(text.trim().to_owned());
    let secret = Secret {
        text,
        place,
        origin,
    };
    if secret.text.is_empty() {
        let what = secret.complaint("is empty");
        findings.refuse(path, place, what, FORMS);
        return None;
    }
    Some(secret)
}

fn in_file(
    path: &str,
    file: Spanned<String>,
    findings: &mut Findings<'_>,
) -> Option<(Zeroizing<String>, String)> {
    let place = file.referenced;
    let file = filled(format!("{path}.from_file"), file, findings)?;
    match findings.outside.secret_file(Path::new(&file)) {
        Ok(SecretFile {
            path: found,
            text,
            is_open_to_others,
        }) => {
            let (open, found) = (found.clone(), found.display().to_string());
            if is_open_to_others {
                findings.open_secret_files.push(open);
                findings.notice(format!(
                    "{found}: other users of this machine can read the secret of {path}; take their permission away with: chmod 600"
                ));
            }
            Some((text, found))
        }
        Err(error) => {
            let remedy = "check the path, which is relative to the configuration, and its permissions; a shared key is made with: tombolo shared-key generate --output FILE";
            findings.refuse(path, place, error.to_string(), remedy);
            None
        }
    }
}

fn variable(
    path: &str,
    name: &str,
    place: Location,
    findings: &mut Findings<'_>,
) -> Option<Zeroizing<String>> {
    let Some(value) = findings.outside.variable(name) else {
        let what = format!("the environment variable {name} is not set");
        findings.refuse(path, place, what, "set it before the node starts");
        return None;
    };
    let Ok(text) = value.into_string() else {
        let what = format!("the environment variable {name} is not UTF-8 text");
        findings.refuse(path, place, what, "set it to text");
        return None;
    };
    Some(Zeroizing::new(text))
}

/// `text` with each `${NAME}` replaced; what a variable holds is not looked at again.
fn typed(
    path: &str,
    text: &str,
    place: Location,
    findings: &mut Findings<'_>,
) -> Option<Zeroizing<String>> {
    let mut whole = Zeroizing::new(String::new());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from_dollar) = rest.split_at(start);
        if let Some(kept) = before.strip_suffix('$') {
            whole.push_str(kept);
            whole.push_str("${");
            rest = &from_dollar[2..];
            continue;
        }
        whole.push_str(before);
        let name_and_rest = from_dollar[2..].split_once('}');
        let Some((name, after)) = name_and_rest.filter(|(name, _)| is_name(name)) else {
            let what = "holds ${ without the name of a variable and } behind it";
            findings.refuse(path, place, what, IN_TEXT);
            return None;
        };
        whole.push_str(&variable(path, name, place, findings)?);
        if whole.len() > SECRET_BYTES_MAX {
            let what = format!("is longer than {SECRET_BYTES_MAX} bytes with its variables");
            findings.refuse(path, place, what, "shorten it");
            return None;
        }
        rest = after;
    }
    whole.push_str(rest);
    Some(whole)
}

/// Whether `typed` replaces anything in the text.
fn names_a_variable(text: &str) -> bool {
    text.match_indices("${")
        .any(|(at, _)| !text[..at].ends_with('$'))
}

fn is_name(text: &str) -> bool {
    let begins = text.starts_with(|first: char| first == '_' || first.is_ascii_alphabetic());
    begins
        && text
            .bytes()
            .all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::super::secret::{Outside, UnreadableFile};
    use super::*;

    /// Every variable that begins with SET has its name and another reference as its value; there are no files.
    #[derive(Debug)]
    struct Fake;

    impl Outside for Fake {
        fn variable(&self, name: &str) -> Option<OsString> {
            name.starts_with("SET")
                .then(|| format!("<{name}${{SET}}>").into())
        }

        fn secret_file(&self, _: &Path) -> Result<SecretFile, UnreadableFile> {
            panic!("no file is named")
        }
    }

    fn filled_in(text: &str) -> Option<String> {
        let mut findings = Findings::at(&Fake);
        let place = Location::UNKNOWN;
        typed("k", text, place, &mut findings).map(|text| text.to_string())
    }

    #[test]
    fn a_reference_is_replaced_once_and_a_doubled_dollar_stands_for_itself() {
        for (text, expected) in [
            ("plain $ {x} $$ }", Some("plain $ {x} $$ }")),
            ("${SET}", Some("<SET${SET}>")),
            ("a${SET_1}b${SET2}c", Some("a<SET_1${SET}>b<SET2${SET}>c")),
            ("$${SET}", Some("${SET}")),
            ("$$${SET}", Some("$${SET}")),
            ("${UNSET}", None),
            ("${}", None),
            ("${1}", None),
            ("${SET", None),
            ("${SET }", None),
            ("${", None),
        ] {
            assert_eq!(filled_in(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_secret_stands_in_the_file_unless_a_variable_is_part_of_it() {
        for (text, is_typed) in [
            ("plain $ {x}", true),
            ("$${SET}", true),
            ("${SET}", false),
            ("a${SET}", false),
            ("$${${SET}", false),
        ] {
            let mut findings = Findings::at(&Fake);
            let raw = || Spanned {
                value: RawSecret::Typed(text.to_owned().into()),
                referenced: Location::UNKNOWN,
            };
            assert!(public_text("k", raw(), &mut findings).is_some());
            assert!(findings.typed_secrets.is_empty(), "{text}");
            assert!(secret("k", raw(), &mut findings).is_some());
            assert_eq!(findings.typed_secrets == ["k"], is_typed, "{text}");
        }
    }

    #[test]
    fn a_secret_of_many_variables_is_refused_above_its_limit() {
        let reference = "${SET}"; // 11 bytes in the end
        let count = SECRET_BYTES_MAX / "<SET${SET}>".len();
        assert!(filled_in(&reference.repeat(count)).is_some());
        assert!(filled_in(&reference.repeat(count + 1)).is_none());
    }
}
