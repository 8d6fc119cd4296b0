//! Each older form, and that what it becomes is taken by the reader of the newest.

use super::super::{Config, parse_newest};
use super::*;
use crate::config::Context;
use crate::config::meaning::{Clients, Subscription};
use crate::config::resolve::InsecureListen;
use crate::config::secret::ThisMachine;

const HASH: &str = "YXJnb24yaWQkdj0xOSRtPTE5NDU2LHQ9MixwPTEkYzJGc2RITmhiSFJ6WVd4MCQ5K2tDTHZ0Y1J0Z3ZNVU5RYm1BUVNSS0p1c3pGYW9rV3d1U0N4WmNxYWJZ";

fn migrated(text: &str) -> String {
    migrate("old.yaml", text).unwrap().unwrap().text
}

fn refused(text: &str) -> String {
    migrate("old.yaml", text).unwrap().unwrap_err().to_string()
}

fn read_newest(text: &str) -> Config {
    let context = Context {
        file: "new.yaml",
        insecure_listen: InsecureListen::Refused,
        outside: &ThisMachine {
            base: std::path::Path::new(""),
        },
    };
    parse_newest(text, context).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

const G0: &str = r#"
resources:
  my_db:
    resource_type: DittoDatabase
    app_id: "0f1e"
    device_name: edge
    persistence_dir: { path: data }
  tasks:
    resource_type: DittoSubscription
    app_ids: ["0f1e"]
    query: "SELECT * FROM tasks"
  cars:
    resource_type: DittoSubscription
    app_ids: []
    query: "SELECT * FROM cars WHERE n = :n"
    args: { n: 3 }
  others:
    resource_type: DittoSubscription
    app_ids: ["another"]
    query: "SELECT * FROM others"
  my_http:
    resource_type: HttpServer
    app_id: "0f1e"
    listen_addr: "127.0.0.1:8080"
    http_api: { enable_healthcheck: true }
logging: { ditto_log_config: { level: info } }
"#;

#[test]
fn the_first_form_becomes_the_newest() {
    let text = migrated(G0);
    let config = read_newest(&text);
    assert_eq!(config.database.id, "0f1e");
    let statements: Vec<&str> = config
        .database
        .subscriptions
        .iter()
        .map(|Subscription { statement, .. }| statement.as_str())
        .collect();
    assert_eq!(
        statements,
        ["SELECT * FROM tasks", "SELECT * FROM cars WHERE n = :n"]
    );
    let http = config.http.unwrap();
    assert_eq!(http.base_path.as_deref(), Some("0f1e"));
    assert!(http.api.health && http.api.execute_body_bytes_max.is_some());
    assert!(matches!(http.clients, Clients::Anyone));
    for comment in [
        "# - app_id is called db_id",
        "# - resources.others was left out: it is for other databases",
        "# - tls_config: dev_mode is what it was",
        "# - auth: dev_mode is what it was",
        "# - logging.ditto_log_config.level is logging.ditto_sdk",
    ] {
        assert!(text.contains(comment), "{comment}\n{text}");
    }
}

#[test]
fn the_second_form_serves_below_its_base_path() {
    let text = migrated(
        r#"
resources:
  db: { resource_type: DittoDatabase, db_id: a, device_name: edge, persistence_dir: { path: data }, subscriptions: ["SELECT * FROM t"] }
  http: { resource_type: HttpServer, db_id: a, base_path: shop, listen_addr: "127.0.0.1:8080", http_api: true }
"#,
    );
    let config = read_newest(&text);
    let http = config.http.unwrap();
    assert_eq!(http.base_path.as_deref(), Some("shop"));
    assert!(http.api.presence);
    assert_eq!(config.database.subscriptions.len(), 1);
}

fn third(auth: &str) -> String {
    format!(
        r#"
resources:
  db: {{ resource_type: DittoDatabase, db_id: a, device_name: edge, persistence_dir: {{ path: data }} }}
  http:
    resource_type: HttpServer
    listen_addr: "127.0.0.1:8080"
    {auth}
    databases:
      shop: {{ db_id: a, http_api: true, default_timeout_ms: 5000, max_timeout_ms: null }}
  ada: {{ resource_type: Identity, credential: {{ api_key: "{HASH}" }}, permissions: all, id: the-audit-id }}
  eve: {{ resource_type: Identity, credential: {{ api_key: "{HASH}" }}, permissions: all }}
  all: {{ resource_type: PermissionSet, permissions: full }}
logging: {{ ditto_sdk: warning, edge_server: {{ level: info, console_logs: std_out }} }}
"#
    )
}

#[test]
fn the_third_form_keeps_its_clients_and_its_limit() {
    let text = migrated(&third("auth: [ada]"));
    let config = read_newest(&text);
    let http = config.http.unwrap();
    assert_eq!(http.base_path.as_deref(), Some("shop"));
    assert_eq!(http.request_timeout, None);
    assert!(http.api.health);
    let Clients::Known(clients) = http.clients else {
        panic!("anybody may come in");
    };
    let ids: Vec<&str> = clients.iter().map(|one| one.audit_id.as_str()).collect();
    assert_eq!(ids, ["the-audit-id"]);
    for comment in [
        "resources.eve was left out: the HttpServer does not let it in",
        "default_timeout_ms was left out",
        "max_timeout_ms: null is request_timeout_ms: 0",
    ] {
        assert!(text.contains(comment), "{comment}\n{text}");
    }
}

#[test]
fn no_identities_in_the_older_form_mean_no_keys_and_it_is_told() {
    for auth in ["auth: null", ""] {
        let text = migrated(&third(auth));
        assert!(text.contains("# - auth: dev_mode is what it was"), "{text}");
        assert!(text.contains("# - the identities were left out"), "{text}");
        assert!(matches!(
            read_newest(&text).http.unwrap().clients,
            Clients::Anyone
        ));
    }
}

#[test]
fn what_one_node_cannot_do_is_refused_by_name() {
    let database = "resource_type: DittoDatabase, device_name: edge";
    let server = "resource_type: HttpServer, listen_addr: \"127.0.0.1:1\"";
    for (resources, complaint) in [
        (
            format!("{{ a: {{ {database}, db_id: a }}, b: {{ {database}, db_id: b }} }}"),
            "describes the databases a, b, and a node holds one",
        ),
        (format!("{{ a: {{ {server} }} }}"), "describes no database"),
        (
            format!("{{ a: {{ {database}, db_id: a }}, b: {{ {server} }}, c: {{ {server} }} }}"),
            "a second HttpServer",
        ),
        (
            format!("{{ a: {{ {database}, db_id: a }}, b: {{ {server}, db_id: b }} }}"),
            "is not the id of the database",
        ),
        (
            format!(
                "{{ a: {{ {database}, db_id: a }}, b: {{ {server}, databases: {{ x: {{ db_id: b }} }} }} }}"
            ),
            "has no entry with db_id a",
        ),
        (
            format!("{{ a: {{ {database}, db_id: a }}, b: {{ {server}, databases: 1 }} }}"),
            "is not a section",
        ),
        (
            format!("{{ a: {{ {database}, db_id: a }}, b: {{ {server}, auth: ada }} }}"),
            "names no identities",
        ),
        (
            "{ a: { resource_type: Ditto } }".to_owned(),
            "names no kind of resource",
        ),
        ("{ a: 1 }".to_owned(), "is not a section"),
        ("1".to_owned(), "is not a section of sections"),
    ] {
        let text = refused(&format!("resources: {resources}\n"));
        assert!(text.contains(complaint), "{complaint}\n{text}");
        assert!(text.contains("old.yaml:1:"), "{text}");
    }
    let text = refused("resources: {}\nauth: dev_mode\n");
    assert!(text.contains("auth stands beside resources"), "{text}");
}

#[test]
fn the_newest_form_is_left_alone() {
    for text in [
        "database: { db_id: resources }",
        "database: {}\nresources: {}\n",
        "resources",
        "",
        "resources: [\n",
        "{",
    ] {
        assert!(migrate("f", text).is_none(), "{text}");
    }
}

#[test]
fn no_damage_to_an_older_file_makes_reading_panic() {
    let text = third("auth: [ada]");
    for (cut, letter) in text.char_indices() {
        for mut damaged in [
            text[..cut].to_owned(),
            format!("{}{}", &text[..cut], &text[cut + letter.len_utf8()..]),
        ] {
            if let Some(Ok(migrated)) = migrate("f", &damaged) {
                damaged = migrated.text;
            }
            let _ = read::read(&damaged);
        }
    }
}
