//! From the query of a URL to statement and arguments: all that an `EventSource` can send.

use tombolo::{Value, json};

use crate::edge::question::{Question, QuestionError};

/// Reads `statement=...&args=...`, where `args` is a JSON object.
///
/// # Errors
/// [`QuestionError`].
pub(super) fn from_query(query: &str) -> Result<Question, QuestionError> {
    let (mut statement, mut arguments) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let (slot, name) = match &*name {
            "statement" => (&mut statement, "statement"),
            "args" => (&mut arguments, "args"),
            _ => {
                let name = name.into_owned();
                return Err(QuestionError::UnknownMember { name });
            }
        };
        if slot.replace(value).is_some() {
            return Err(QuestionError::Repeated { name });
        }
    }
    let statement = Value::String(statement.ok_or(QuestionError::NoStatement)?.into_owned());
    let arguments = match arguments {
        None => Value::Null,
        Some(text) => json::parse(text.as_bytes()).map_err(QuestionError::ArgumentsNotJson)?,
    };
    Question::asked(Some(statement), Some(arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(query: &str) -> String {
        from_query(query).unwrap_err().to_string()
    }

    #[test]
    fn a_query_asks_what_a_body_asks() {
        let asked = from_query("statement=SELECT+%2A%20FROM+a&args=%7B%22n%22%3A1%7D");
        let body = br#"{"statement":"SELECT * FROM a","args":{"n":1}}"#;
        assert_eq!(asked.unwrap(), Question::parse(body).unwrap());
        let asked = from_query("statement=S").unwrap();
        assert_eq!(asked, Question::parse(br#"{"statement":"S"}"#).unwrap());
    }

    #[test]
    fn every_other_query_is_refused_by_name() {
        assert!(error("").contains("statement is missing"));
        assert!(error("statement=a&statement=b").contains("statement more than once"));
        assert!(error("statement=a&key=b").contains("\"key\""));
        assert!(error("statement=a&args=1").contains("args must be an object"));
        assert!(error("statement=a&args=%7B").contains("args is not JSON"));
    }
}
