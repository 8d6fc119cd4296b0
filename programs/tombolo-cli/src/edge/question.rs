//! From the body of `POST /execute` to statement and arguments.
//! A repeated or unknown key is refused: what the client meant would be a guess.

use tombolo::{BATCH_STATEMENTS_MAX, Object, Value, json};

use super::cbor::{self, CborError};

/// What a client wants to run.
#[derive(Debug, PartialEq)]
pub(crate) struct Question {
    pub(crate) statement: String,
    pub(crate) arguments: Object,
}

/// What one request wants to run.
#[derive(Debug, PartialEq)]
pub(crate) enum Asked {
    One(Question),
    /// All of them or none: `{"statements": [{"statement": ..., "args": ...}, ...]}`.
    All(Vec<Question>),
}

/// Why a body is not a question. The client's fault: 400.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum QuestionError {
    #[error("the body is not JSON: {0}")]
    NotJson(json::JsonError),
    #[error("the body is not CBOR that is taken: {0}")]
    NotCbor(CborError),
    #[error("the body must be a JSON object, or a CBOR map, with the members statement and args")]
    NotObject,
    #[error("the body has the unknown member {name:?}; send statement and args")]
    UnknownMember { name: String },
    #[error("the body has both {newer} and its older name {older}; send {newer} alone")]
    SameTwice {
        newer: &'static str,
        older: &'static str,
    },
    #[error("the member statement is missing; send the DQL statement as a string")]
    NoStatement,
    #[error("the member {name} must be a string")]
    NotText { name: &'static str },
    #[error(
        "the member statements must be an array of 1 to {max} objects with the members statement and args"
    )]
    NotStatements { max: usize },
    #[error("the body has statements and beside it {name}; put it into the array")]
    Beside { name: String },
    #[error("statements[{at}]: {error}")]
    Within { at: usize, error: Box<Self> },
    #[error("the member {name} must be an object of argument names and values")]
    NotArguments { name: &'static str },
    #[error("args is not JSON: {0}")]
    ArgumentsNotJson(json::JsonError),
    #[error("the query has {name} more than once; send it once")]
    Repeated { name: &'static str },
}

impl Asked {
    /// Reads a body: one statement, or an array of them.
    ///
    /// # Errors
    /// [`QuestionError`].
    pub(crate) fn parse(body: &[u8]) -> Result<Self, QuestionError> {
        Self::of(json::parse(body).map_err(QuestionError::NotJson)?)
    }

    /// The same of a body in CBOR.
    ///
    /// # Errors
    /// [`QuestionError`].
    pub(crate) fn parse_cbor(body: &[u8]) -> Result<Self, QuestionError> {
        Self::of(cbor::parse(body).map_err(QuestionError::NotCbor)?)
    }

    fn of(body: Value) -> Result<Self, QuestionError> {
        let Value::Object(mut members) = body else {
            return Err(QuestionError::NotObject);
        };
        let Some(statements) = members.remove("statements") else {
            return Question::of(Value::Object(members)).map(Self::One);
        };
        if let Some((name, _)) = members.into_iter().next() {
            return Err(QuestionError::Beside { name });
        }
        let max = BATCH_STATEMENTS_MAX;
        let Value::Array(statements) = statements else {
            return Err(QuestionError::NotStatements { max });
        };
        if !(1..=max).contains(&statements.len()) {
            return Err(QuestionError::NotStatements { max });
        }
        let read = |(at, body)| {
            Question::of(body).map_err(|error| QuestionError::Within {
                at,
                error: Box::new(error),
            })
        };
        let questions = statements.into_iter().enumerate().map(read);
        questions.collect::<Result<_, _>>().map(Self::All)
    }
}

impl Question {
    /// `query` and `query_args` are older names of `statement` and `args`.
    fn of(body: Value) -> Result<Self, QuestionError> {
        let Value::Object(members) = body else {
            return Err(QuestionError::NotObject);
        };
        let (mut statement, mut arguments) = (None, None);
        for (name, value) in members {
            let (slot, newer, older) = match name.as_str() {
                "statement" | "query" => (&mut statement, "statement", "query"),
                "args" | "query_args" => (&mut arguments, "args", "query_args"),
                _ => return Err(QuestionError::UnknownMember { name }),
            };
            if slot.replace(value).is_some() {
                return Err(QuestionError::SameTwice { newer, older });
            }
        }
        Self::asked(statement, arguments)
    }

    /// Reads a body with one statement.
    ///
    /// # Errors
    /// [`QuestionError`].
    pub(crate) fn parse(body: &[u8]) -> Result<Self, QuestionError> {
        Self::of(json::parse(body).map_err(QuestionError::NotJson)?)
    }

    /// Takes what was asked under the names `statement` and `args`.
    ///
    /// # Errors
    /// [`QuestionError`].
    pub(crate) fn asked(
        statement: Option<Value>,
        arguments: Option<Value>,
    ) -> Result<Self, QuestionError> {
        let statement = match statement {
            Some(Value::String(text)) => text,
            Some(_) => return Err(QuestionError::NotText { name: "statement" }),
            None => return Err(QuestionError::NoStatement),
        };
        let arguments = match arguments {
            Some(Value::Object(arguments)) => arguments,
            Some(Value::Null) | None => Object::new(),
            Some(_) => return Err(QuestionError::NotArguments { name: "args" }),
        };
        Ok(Self {
            statement,
            arguments,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &[u8]) -> Result<Question, QuestionError> {
        match Asked::parse(body)? {
            Asked::One(question) => Ok(question),
            Asked::All(_) => panic!("several statements"),
        }
    }

    fn error(body: &str) -> String {
        parse(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn newer_and_older_names_ask_the_same() {
        let newer = parse(br#"{"statement":"SELECT 1","args":{"a":1}}"#).unwrap();
        let older = parse(br#"{"query":"SELECT 1","query_args":{"a":1}}"#).unwrap();
        assert_eq!(newer, older);
        assert_eq!(newer.arguments.get("a"), Some(&Value::Int(1)));
    }

    #[test]
    fn arguments_may_be_missing_or_null() {
        for body in [r#"{"statement":"S"}"#, r#"{"statement":"S","args":null}"#] {
            assert_eq!(parse(body.as_bytes()).unwrap().arguments, Object::new());
        }
    }

    #[test]
    fn several_statements_are_an_array() {
        let body = br#"{"statements":[{"statement":"A"},{"query":"B","query_args":{"a":1}}]}"#;
        let Asked::All(all) = Asked::parse(body).unwrap() else {
            panic!("one statement");
        };
        assert_eq!((&*all[0].statement, &*all[1].statement), ("A", "B"));
        let wrong = |body: &str| Asked::parse(body.as_bytes()).unwrap_err().to_string();
        assert!(wrong(r#"{"statements":[]}"#).contains("1 to 1024"));
        assert!(wrong(r#"{"statements":{}}"#).contains("1 to 1024"));
        let many = format!(r#"{{"statements":[{}{{}}]}}"#, "{},".repeat(1024));
        assert!(wrong(&many).contains("1 to 1024"));
        assert!(wrong(r#"{"statements":[{"statement":"A"},{}]}"#).starts_with("statements[1]: "));
        assert!(wrong(r#"{"statements":[],"args":{}}"#).contains("args"));
    }

    #[test]
    fn a_repeated_key_is_refused_with_its_place() {
        let text = error("{\"statement\":\"A\",\n\"statement\":\"B\"}");
        assert!(text.contains("appears twice at line 2"), "{text}");
    }

    #[test]
    fn every_other_shape_is_refused_by_name() {
        assert!(error("[]").contains("must be a JSON object"));
        assert!(error("{").contains("at line 1 column 1"));
        assert!(error(r#"{"statement":"S","arg":{}}"#).contains("\"arg\""));
        assert!(error(r#"{"statement":"S","query":"T"}"#).contains("send statement alone"));
        assert!(error(r#"{"args":{}}"#).contains("statement is missing"));
        assert!(error(r#"{"statement":1}"#).contains("must be a string"));
        assert!(error(r#"{"statement":"S","args":[]}"#).contains("must be an object"));
    }
}
