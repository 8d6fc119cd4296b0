//! The newest form as text: comments first, then the sections in their usual order.

use serde_json::{Map, Value};

/// Keys that stand first in their section; the others follow by name.
const FIRST: [&str; 8] = [
    "db_id",
    "device_name",
    "auth",
    "persistence_dir",
    "listen_addr",
    "tls_config",
    "base_path",
    "http_api",
];

/// A key of the file with its value.
pub(super) struct Section {
    name: &'static str,
    value: Value,
}

impl Section {
    pub(super) const fn new(name: &'static str, value: Value) -> Self {
        Self { name, value }
    }
}

/// The whole file. `source` is how the operator called the older one.
pub(super) fn file(source: &str, comments: &[String], sections: &[Section]) -> String {
    let mut text = format!(
        "# Made of {} by: tombolo config migrate\n",
        source.replace(char::is_control, " ")
    );
    for comment in comments {
        text.push_str(&format!("# - {}\n", comment.replace(char::is_control, " ")));
    }
    for section in sections {
        text.push('\n');
        match &section.value {
            Value::Object(keys) if !keys.is_empty() => {
                text.push_str(&format!("{}:\n", section.name));
                for (key, value) in in_order(keys) {
                    for line in yaml(key, value).lines() {
                        text.push_str(&format!("  {line}\n"));
                    }
                }
            }
            value => text.push_str(&yaml(section.name, value)),
        }
    }
    text
}

fn in_order(keys: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut keys: Vec<(&String, &Value)> = keys.iter().collect();
    keys.sort_by_key(|(key, _)| {
        FIRST
            .iter()
            .position(|first| first == key)
            .unwrap_or(FIRST.len())
    });
    keys
}

fn yaml(key: &str, value: &Value) -> String {
    let one = Map::from_iter([(key.to_owned(), value.clone())]);
    // JSON is YAML: no value is lost, whatever the printer of YAML refuses.
    serde_saphyr::to_string(&one).unwrap_or_else(|_| format!("{}: {value}\n", Value::from(key)))
}
