//! Whether a statement can be subscribed to, asked before there is a database:
//! a configuration is checked on machines that hold none.

use tombolo_document::Object;
use tombolo_query::{QueryError, Subscription};

/// Checks what `Database::register_subscription` would be given, with the
/// system parameters at their defaults.
///
/// # Errors
/// The text is no statement, it is one that cannot be subscribed to, or it
/// names an argument that is not given.
pub fn check_subscription(statement: &str, arguments: &Object) -> Result<(), QueryError> {
    let subscription = Subscription::parse(statement, true)?;
    match subscription.missing_argument(arguments) {
        None => Ok(()),
        Some(name) => Err(QueryError::Evaluation(format!(
            "Parameter {name} was not provided: pass it in the arguments"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use tombolo_document::Value;

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
}
