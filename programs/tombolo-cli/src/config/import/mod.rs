//! The older forms of the configuration, all below `resources:`, brought into the newest one.
//! It judges nothing but what the newest form has no words for; the rest the reader of that form does.

mod http;
mod print;
mod resources;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use super::problem::{ConfigError, Problem};
use super::read;
use print::Section;
use resources::{Kind, Resources};

/// A configuration in the newest form, with comments above it that tell what changed.
#[derive(Debug)]
pub(crate) struct Migrated {
    pub(crate) text: String,
}

/// What is wrong with a file, and what the operator should know about its new form.
#[derive(Debug, Default)]
struct Report {
    problems: Vec<Problem>,
    comments: Vec<String>,
}

impl Report {
    fn tell(&mut self, comment: impl Into<String>) {
        self.comments.push(comment.into());
    }
}

/// `None` if the text is in the newest form, or is no YAML at all, which its reader will tell.
///
/// # Errors
/// [`ConfigError`] if there is something that one node cannot do.
pub(crate) fn migrate(file: &str, text: &str) -> Option<Result<Migrated, ConfigError>> {
    let resources = match Resources::read(text)? {
        Ok(resources) => resources,
        Err(problem) => return Some(Err(ConfigError::new(file, text, vec![problem]))),
    };
    let mut report = Report::default();
    let sections = sections(resources, &mut report);
    let Report { problems, comments } = report;
    if !problems.is_empty() {
        return Some(Err(ConfigError::new(file, text, problems)));
    }
    let text = print::file(file, &comments, &sections);
    Some(Ok(Migrated { text }))
}

fn sections(mut resources: Resources, report: &mut Report) -> Vec<Section> {
    let Some(mut database) = the_database(&mut resources, report) else {
        return Vec::new();
    };
    let id = database.get("db_id").and_then(Value::as_str);
    let id = id.unwrap_or_default().to_owned();
    subscriptions(&mut resources, &id, &mut database, report);
    let server = http::server(&mut resources, &id, report);
    let accepted = server.as_ref().map(|server| server.accepted.as_deref());
    let auth = accepted.map(|accepted| http::auth(&mut resources, accepted, report));
    let mut sections = vec![Section::new("database", Value::Object(database))];
    sections.extend(server.map(|server| Section::new("http_server", Value::Object(server.keys))));
    sections.extend(auth.map(|auth| Section::new("auth", auth)));
    sections
        .extend(logging(resources.logging, report).map(|logging| Section::new("logging", logging)));
    sections
}

/// The one database of the file.
fn the_database(resources: &mut Resources, report: &mut Report) -> Option<Map<String, Value>> {
    let mut databases = resources.take(Kind::Database);
    if databases.len() > 1 {
        let names: Vec<&str> = databases.iter().map(|one| one.name.as_str()).collect();
        let what = format!(
            "describes the databases {}, and a node holds one",
            names.join(", ")
        );
        let remedy = "make one file for each DittoDatabase, with the HttpServer that serves it on a port of its own, and run a node for each";
        let place = databases[1].place;
        report
            .problems
            .push(Problem::new("resources", place, what, remedy));
        return None;
    }
    let Some(database) = databases.pop() else {
        let remedy = "add a resource with resource_type: DittoDatabase";
        report.problems.push(Problem::new(
            "resources",
            resources.place,
            "describes no database",
            remedy,
        ));
        return None;
    };
    report.tell(format!(
        "resources.{} is the section database",
        database.name
    ));
    let mut keys = database.keys;
    if let Some(id) = keys.remove("app_id") {
        report.tell("app_id is called db_id");
        keys.entry("db_id").or_insert(id);
    }
    Some(keys)
}

/// Subscriptions that were resources of their own.
fn subscriptions(
    resources: &mut Resources,
    id: &str,
    database: &mut Map<String, Value>,
    report: &mut Report,
) {
    for mut one in resources.take(Kind::Subscription) {
        let path = format!("resources.{}", one.name);
        let ids = one
            .keys
            .remove("app_ids")
            .or_else(|| one.keys.remove("db_ids"));
        let ids: Vec<Value> = ids
            .and_then(|ids| ids.as_array().cloned())
            .unwrap_or_default();
        if !ids.is_empty() && !ids.iter().any(|other| other.as_str() == Some(id)) {
            report.tell(format!("{path} was left out: it is for other databases"));
            continue;
        }
        let list = database
            .entry("subscriptions")
            .or_insert_with(|| Value::Array(Vec::new()));
        let entry = match (one.keys.len(), one.keys.get("query")) {
            (1, Some(query)) => query.clone(),
            _ => Value::Object(one.keys),
        };
        if let Value::Array(list) = list {
            report.tell(format!("{path} is an entry of database.subscriptions"));
            list.push(entry);
        }
    }
}

/// Levels were told by another key once.
fn logging(old: Option<Value>, report: &mut Report) -> Option<Value> {
    let Value::Object(mut keys) = old? else {
        return None;
    };
    if let Some(Value::Object(mut older)) = keys.remove("ditto_log_config") {
        report.tell("logging.ditto_log_config.level is logging.ditto_sdk");
        if let Some(level) = older.remove("level") {
            keys.entry("ditto_sdk").or_insert(level);
        }
        for (key, _) in older {
            report.tell(format!(
                "logging.ditto_log_config.{key} was left out: there is no such setting"
            ));
        }
    }
    Some(Value::Object(keys))
}
