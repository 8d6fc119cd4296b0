//! Whether a statement can be subscribed to, asked before there is a database:
//! a configuration is checked on machines that hold none.

use tombolo_document::{Object, Value, raw};
use tombolo_query::{QueryError, Subscription};
use tombolo_sync::limits::STATEMENT_BYTES_MAX;

/// Checks what `Database::register_subscription` would be given, with the
/// system parameters at their defaults.
///
/// # Errors
/// The text is no statement, it is one that cannot be subscribed to, it names
/// an argument that is not given, or it is longer than peers accept.
pub fn check_subscription(statement: &str, arguments: &Object) -> Result<(), QueryError> {
    check(statement, arguments, true)
}

/// As [`check_subscription`]; `restricted` is the system parameter
/// `dql_restrict_subscriptions`.
pub(crate) fn check(
    statement: &str,
    arguments: &Object,
    restricted: bool,
) -> Result<(), QueryError> {
    let refuse = |message: String| Err(QueryError::Evaluation(message));
    let mut bytes = Vec::new();
    raw::append(&mut bytes, &Value::Object(arguments.clone()));
    for (what, length) in [("statement", statement.len()), ("arguments", bytes.len())] {
        if length > STATEMENT_BYTES_MAX {
            return refuse(format!(
                "the {what} of a subscription takes {length} bytes and {STATEMENT_BYTES_MAX} are allowed"
            ));
        }
    }
    let subscription = Subscription::parse(statement, restricted)?;
    match subscription.missing_argument(arguments) {
        None => Ok(()),
        Some(name) => refuse(format!(
            "Parameter {name} was not provided: pass it in the arguments"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(statement: &str) -> String {
        check_subscription(statement, &Object::new())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_subscription_needs_each_argument_it_names() {
        let statement = "SELECT * FROM tasks WHERE owner = :me AND age > :age";
        assert!(refusal(statement).contains("Parameter me was not provided"));
        let mut arguments = Object::from([("me".to_owned(), Value::from("ann"))]);
        assert!(check_subscription(statement, &arguments).is_err());
        arguments.insert("age".to_owned(), Value::Int(7));
        assert!(check_subscription(statement, &arguments).is_ok());
    }

    #[test]
    fn what_cannot_be_subscribed_to_is_refused() {
        assert!(refusal("SELEKT * FROM tasks").contains("SELEKT"));
        assert!(refusal("DELETE FROM tasks").starts_with("Unsupported feature:"));
        assert!(refusal("SELECT * FROM tasks LIMIT 5").starts_with("Unsupported feature:"));
    }

    #[test]
    fn a_statement_at_the_limit_of_the_wire_is_taken_and_one_above_is_not() {
        let padded = |length: usize| {
            let bare = "SELECT * FROM tasks WHERE title = ''";
            let room = "x".repeat(length - bare.len());
            format!("SELECT * FROM tasks WHERE title = '{room}'")
        };
        let arguments = Object::new();
        assert!(check_subscription(&padded(STATEMENT_BYTES_MAX), &arguments).is_ok());
        assert!(check_subscription(&padded(STATEMENT_BYTES_MAX + 1), &arguments).is_err());
    }
}
