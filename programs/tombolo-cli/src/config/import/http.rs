//! The older HTTP server, its clients and what they may do.

use serde_json::{Map, Value, json};

use super::super::problem::Problem;
use super::Report;
use super::resources::{Kind, Resource, Resources};

/// Longest an operation could take unless `max_timeout_ms` said otherwise, in milliseconds.
const MAX_TIMEOUT_MS: u64 = 10_000;

/// The server in the newest form.
pub(super) struct Server {
    pub(super) keys: Map<String, Value>,
    /// Names of identities that it lets in; `None`: everybody.
    pub(super) accepted: Option<Vec<String>>,
}

/// The one server of the file, if there is one.
pub(super) fn server(resources: &mut Resources, id: &str, report: &mut Report) -> Option<Server> {
    let mut servers = resources.take(Kind::HttpServer);
    if servers.len() > 1 {
        let what = "a second HttpServer stands here, and a node has one";
        let remedy =
            "keep one HttpServer for the database; the newest form serves all of it on one port";
        let path = format!("resources.{}", servers[1].name);
        report
            .problems
            .push(Problem::new(path, servers[1].place, what, remedy));
        return None;
    }
    let mut server = servers.pop()?;
    report.tell(format!(
        "resources.{} is the section http_server",
        server.name
    ));
    let accepted = accepted(&mut server, report);
    let keys = match server.keys.remove("databases") {
        Some(Value::Object(databases)) => of_databases(server, databases, id, report)?,
        Some(_) => {
            let path = format!("resources.{}.databases", server.name);
            let remedy = "write the name of a database with db_id and http_api below it";
            report
                .problems
                .push(Problem::new(path, server.place, "is not a section", remedy));
            return None;
        }
        None => of_one_database(server, id, report)?,
    };
    Some(Server { keys, accepted })
}

fn accepted(server: &mut Resource, report: &mut Report) -> Option<Vec<String>> {
    match server.keys.remove("auth") {
        None | Some(Value::Null) => None,
        Some(Value::Array(names)) if names.iter().all(Value::is_string) => {
            let names = names.iter().filter_map(Value::as_str);
            Some(names.map(str::to_owned).collect())
        }
        Some(_) => {
            let path = format!("resources.{}.auth", server.name);
            let remedy = "write null, or a list of names of Identity resources";
            report.problems.push(Problem::new(
                path,
                server.place,
                "names no identities",
                remedy,
            ));
            None
        }
    }
}

/// `databases:` with the one database below a name of its own.
fn of_databases(
    server: Resource,
    databases: Map<String, Value>,
    id: &str,
    report: &mut Report,
) -> Option<Map<String, Value>> {
    let path = format!("resources.{}.databases", server.name);
    let count = databases.len();
    let ours = databases.into_iter().find_map(|(name, entry)| match entry {
        Value::Object(keys) if keys.get("db_id").and_then(Value::as_str) == Some(id) => {
            Some((name, keys))
        }
        _ => None,
    });
    let Some((name, mut entry)) = ours else {
        let what = format!("has no entry with db_id {id}");
        let remedy = "serve the DittoDatabase of this file";
        report
            .problems
            .push(Problem::new(path, server.place, what, remedy));
        return None;
    };
    if count > 1 {
        report.tell(format!("{path} has {count} entries: only {name} is kept, as a node serves one database under one path"));
    }
    let base = entry.remove("base_path").filter(|base| !base.is_null());
    let base = base.unwrap_or_else(|| Value::from(name));
    let mut keys = server.keys;
    keys.insert("base_path".to_owned(), base);
    report.tell(
        "base_path goes on being served in front of the paths, which are served without it too",
    );
    entry.remove("db_id");
    // It was always there, as GET /<base_path>.
    keys.entry("enable_healthcheck")
        .or_insert(Value::Bool(true));
    timeouts(&mut entry, &mut keys, report);
    keys.extend(entry);
    Some(finished(keys, report))
}

/// `db_id` and `http_api` in the server itself.
fn of_one_database(
    mut server: Resource,
    id: &str,
    report: &mut Report,
) -> Option<Map<String, Value>> {
    let served = server
        .keys
        .remove("db_id")
        .or_else(|| server.keys.remove("app_id"));
    if let Some(served) = served
        && served.as_str() != Some(id)
    {
        let path = format!("resources.{}.db_id", server.name);
        let remedy = "serve the DittoDatabase of this file";
        report.problems.push(Problem::new(
            path,
            server.place,
            "is not the id of the database",
            remedy,
        ));
        return None;
    }
    let mut keys = server.keys;
    let base = keys.remove("base_path").filter(|base| !base.is_null());
    keys.insert(
        "base_path".to_owned(),
        base.unwrap_or_else(|| Value::from(id)),
    );
    report.tell(
        "base_path goes on being served in front of the paths, which are served without it too",
    );
    Some(finished(keys, report))
}

/// One limit took the place of two.
fn timeouts(entry: &mut Map<String, Value>, keys: &mut Map<String, Value>, report: &mut Report) {
    let usual = entry.remove("default_timeout_ms");
    let longest = entry.remove("max_timeout_ms");
    if usual.is_some() {
        report.tell("default_timeout_ms was left out: a request cannot name a limit of its own");
    }
    let limit = match longest {
        Some(Value::Null) => {
            report.tell(
                "max_timeout_ms: null is request_timeout_ms: 0, which lets a request wait for ever",
            );
            json!(0)
        }
        Some(limit) => {
            report.tell("max_timeout_ms is request_timeout_ms");
            limit
        }
        None => json!(MAX_TIMEOUT_MS),
    };
    keys.insert("request_timeout_ms".to_owned(), limit);
}

/// What each older server lacks.
fn finished(mut keys: Map<String, Value>, report: &mut Report) -> Map<String, Value> {
    if !keys.contains_key("tls_config") {
        report.tell("tls_config: dev_mode is what it was, plain HTTP; beyond this machine give it a cert and a key");
        keys.insert("tls_config".to_owned(), json!("dev_mode"));
    }
    if let Some(Value::Object(api)) = keys.get_mut("http_api") {
        if let Some(health) = api.remove("enable_healthcheck") {
            report.tell("http_api.enable_healthcheck is enable_healthcheck");
            keys.insert("enable_healthcheck".to_owned(), health);
        }
        if let Some(Value::Object(api)) = keys.get_mut("http_api")
            && let older = api.remove("enable_execute")
            && (older.is_some() || api.is_empty())
        {
            report.tell("http_api.enable_execute is http_api.execute");
            api.insert("execute".to_owned(), older.unwrap_or(Value::Bool(true)));
        }
    }
    keys.entry("http_api").or_insert(Value::Bool(true));
    keys
}

/// Who may use the server.
pub(super) fn auth(
    resources: &mut Resources,
    accepted: Option<&[String]>,
    report: &mut Report,
) -> Value {
    let identities = resources.take(Kind::Identity);
    let sets = resources.take(Kind::PermissionSet);
    let Some(accepted) = accepted else {
        report.tell("auth: dev_mode is what it was: everybody who reaches the port reads and writes everything");
        if !identities.is_empty() {
            report.tell("the identities were left out: the HttpServer did not ask for any");
        }
        return json!("dev_mode");
    };
    let mut kept = Map::new();
    for Resource { name, mut keys, .. } in identities {
        if !accepted.contains(&name) {
            report.tell(format!(
                "resources.{name} was left out: the HttpServer does not let it in"
            ));
            continue;
        }
        if let Some(set @ Value::String(_)) = keys.get("permissions").cloned() {
            keys.insert("permissions".to_owned(), json!([set]));
        }
        kept.insert(name, Value::Object(keys));
    }
    for name in accepted.iter().filter(|name| !kept.contains_key(*name)) {
        report.tell(format!("auth names {name}, and there is no such Identity"));
    }
    report
        .tell("Identity and PermissionSet resources are auth.identities and auth.permission_sets");
    let sets: Map<String, Value> = sets
        .into_iter()
        .map(|set| (set.name, Value::Object(set.keys)))
        .collect();
    json!({ "identities": kept, "permission_sets": sets })
}
