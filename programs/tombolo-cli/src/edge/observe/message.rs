//! What a client says over a WebSocket: JSON, one message at a time.
//! A repeated or unknown member is refused, as in a body of `/execute`.

use std::fmt;

use tombolo::{Value, json};

use super::limits::NAME_BYTES_MAX;
use crate::edge::question::{Question, QuestionError};

/// A message of a client.
#[derive(PartialEq)]
pub(super) enum Message {
    /// The API key of a client that could send no header.
    Authenticate { key: String },
    /// A statement to be observed under this name.
    Observe { name: String, question: Question },
    /// The end of what is observed under this name.
    Cancel { name: String },
}

/// Why a text is no message. The client's fault.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum MessageError {
    #[error("the message is not JSON: {0}")]
    NotJson(json::JsonError),
    #[error("a message must be a JSON object with the member type")]
    NotObject,
    #[error("the member type must be authenticate, observe or cancel")]
    UnknownType,
    #[error("the message has the unknown member {name:?}")]
    UnknownMember { name: String },
    #[error("the member {name} must be a string of 1 to {NAME_BYTES_MAX} bytes")]
    NotName { name: &'static str },
    #[error(transparent)]
    Question(#[from] QuestionError),
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// [`MessageError`].
    pub(super) fn parse(text: &str) -> Result<Self, MessageError> {
        let parsed = json::parse(text.as_bytes()).map_err(MessageError::NotJson)?;
        let Value::Object(mut members) = parsed else {
            return Err(MessageError::NotObject);
        };
        let mut take = |name: &str| members.remove(name);
        let Some(Value::String(kind)) = take("type") else {
            return Err(MessageError::NotObject);
        };
        let message = match kind.as_str() {
            "authenticate" => Self::Authenticate {
                key: name("key", take("key"))?,
            },
            "observe" => Self::Observe {
                name: name("id", take("id"))?,
                question: Question::asked(take("statement"), take("args"))?,
            },
            "cancel" => Self::Cancel {
                name: name("id", take("id"))?,
            },
            _ => return Err(MessageError::UnknownType),
        };
        match members.into_iter().next() {
            Some((name, _)) => Err(MessageError::UnknownMember { name }),
            None => Ok(message),
        }
    }
}

/// Never the key.
impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Authenticate { .. } => "Authenticate",
            Self::Observe { .. } => "Observe",
            Self::Cancel { .. } => "Cancel",
        })
    }
}

fn name(name: &'static str, value: Option<Value>) -> Result<String, MessageError> {
    match value {
        Some(Value::String(text)) if (1..=NAME_BYTES_MAX).contains(&text.len()) => Ok(text),
        _ => Err(MessageError::NotName { name }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Message::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn each_type_is_read() {
        let observe = r#"{"type":"observe","id":"1","statement":"S","args":{"a":1}}"#;
        let Message::Observe { name, question } = Message::parse(observe).unwrap() else {
            panic!("another message");
        };
        assert_eq!((&*name, &*question.statement), ("1", "S"));
        assert_eq!(question.arguments.get("a"), Some(&Value::Int(1)));
        let name = "1".to_owned();
        let cancel = Message::parse(r#"{"type":"cancel","id":"1"}"#).unwrap();
        assert_eq!(cancel, Message::Cancel { name });
        let key = "k".to_owned();
        let authenticate = Message::parse(r#"{"type":"authenticate","key":"k"}"#).unwrap();
        assert_eq!(authenticate, Message::Authenticate { key });
        assert_eq!(format!("{authenticate:?}"), "Authenticate");
    }

    #[test]
    fn every_other_shape_is_refused_by_name() {
        assert!(error("{").contains("not JSON"));
        assert!(error("[]").contains("must be a JSON object"));
        assert!(error(r#"{"type":1}"#).contains("member type"));
        assert!(error(r#"{"type":"sing"}"#).contains("authenticate, observe or cancel"));
        assert!(error(r#"{"type":"cancel","id":1}"#).contains("member id"));
        assert!(error(r#"{"type":"cancel","id":""}"#).contains("member id"));
        assert!(error(r#"{"type":"cancel","id":"1","key":"k"}"#).contains("\"key\""));
        assert!(error(r#"{"type":"cancel","id":"1","id":"2"}"#).contains("appears twice"));
        assert!(error(r#"{"type":"observe","id":"1"}"#).contains("statement is missing"));
    }

    #[test]
    fn a_name_has_so_many_bytes_and_no_more() {
        let cancel = |bytes: usize| {
            let name = "x".repeat(bytes);
            Message::parse(&format!(r#"{{"type":"cancel","id":"{name}"}}"#))
        };
        assert!(cancel(NAME_BYTES_MAX).is_ok() && cancel(NAME_BYTES_MAX + 1).is_err());
    }
}
