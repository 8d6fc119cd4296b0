//! What stands for values in the arguments of a case.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tombolo::{AttachmentId, Object, Value};

use crate::case::{required, text};
use crate::failure::Failure;

/// What the macros of a case refer to.
#[derive(Debug, Default)]
pub(crate) struct Macros {
    attachments: BTreeMap<String, Value>,
}

impl Macros {
    /// Makes the token of an attachment.
    pub(crate) fn new_attachment(&mut self, step: &Object) -> Result<(), Failure> {
        let name = required(step, "name")?;
        let bytes = STANDARD.decode(required(step, "bytes_b64")?);
        let bytes = bytes.map_err(|_| Failure::Case("bytes_b64 is not base64".to_owned()))?;
        let token = Object::from([
            (
                "id".to_owned(),
                Value::from(AttachmentId::of(&bytes).to_string()),
            ),
            ("len".to_owned(), Value::from_u64(bytes.len() as u64)),
            (
                "metadata".to_owned(),
                step.get("metadata").cloned().unwrap_or_default(),
            ),
        ]);
        self.attachments.insert(name, Value::Object(token));
        Ok(())
    }

    /// Arguments with their macros replaced; none if they are no object.
    pub(crate) fn arguments(&self, arguments: Option<&Value>) -> Object {
        match arguments.map(|arguments| self.expanded(arguments)) {
            Some(Value::Object(arguments)) => arguments,
            _ => Object::new(),
        }
    }

    fn expanded(&self, value: &Value) -> Value {
        match value {
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.expanded(item)).collect())
            }
            Value::Object(members) => {
                if let Some(name) = text(members, "$attachment") {
                    return self.attachments.get(name).cloned().unwrap_or_default();
                }
                if let (Some(part), Some(Value::Int(times))) =
                    (text(members, "$repeat"), members.get("times"))
                {
                    let times = usize::try_from(*times).unwrap_or(0);
                    return Value::String(part.repeat(times));
                }
                let members = members.iter();
                Value::Object(
                    members
                        .map(|(key, member)| (key.clone(), self.expanded(member)))
                        .collect(),
                )
            }
            scalar => scalar.clone(),
        }
    }
}
