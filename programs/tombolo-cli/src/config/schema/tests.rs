//! The schema and the parser judge the same files alike: every file that is taken fits the schema,
//! and a key that the parser does not know the schema does not know either.

use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::super::read;
use super::schema;

fn validator() -> Validator {
    jsonschema::draft202012::new(&schema()).unwrap()
}

fn files_under(directory: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => open.push(path),
                Some(extension) if extension == "yaml" => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// Files that describe a node which starts, once the operator has filled in what is theirs.
fn good_files() -> Vec<(PathBuf, Value)> {
    let mut files = files_under("../../examples");
    files.extend(files_under("../../conformance/config/security-guide"));
    let cases = files_under("tests/config");
    files.extend(cases.into_iter().filter(|case| {
        let text = std::fs::read_to_string(case).unwrap();
        text.starts_with("# valid")
    }));
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let value = serde_saphyr::from_str_with_options(&text, read::options());
        let value = value.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, value)
    };
    files.into_iter().map(read).collect()
}

fn is_known_to_the_parser(file: &Value) -> bool {
    // JSON is YAML.
    read::read(&file.to_string()).is_ok()
}

#[test]
fn it_is_a_schema() {
    let text = schema();
    assert_eq!(
        text["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert!(jsonschema::draft202012::meta::is_valid(&text));
}

#[test]
fn every_good_file_fits_the_schema() {
    let validator = validator();
    let files = good_files();
    assert!(files.len() > 20);
    let mut complaints = Vec::new();
    for (path, file) in &files {
        for error in validator.iter_errors(file) {
            let place = error.instance_path();
            complaints.push(format!("{}: {place}: {error}", path.display()));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn what_the_schema_must_refuse_it_refuses() {
    let validator = validator();
    let minimal = json!({ "database": { "db_id": "a", "device_name": "b" } });
    assert!(validator.is_valid(&minimal));
    for (pointer, value) in [
        ("/database/db_id", json!("")),
        ("/database/db_id", json!("a b")),
        ("/database/device_name", json!(1)),
        ("/database/persistence_dir", json!("data")),
        (
            "/database/persistence_dir",
            json!({ "path": "a", "from_env": "B" }),
        ),
        ("/database/auth", json!(true)),
        (
            "/database/auth",
            json!({ "small_peer_only": null, "small_peers_only": null }),
        ),
        (
            "/database/auth",
            json!({ "small_peer_only": { "key_b64": { "path": "a", "from_file": "b" } } }),
        ),
        ("/auth", json!("dev-mode")),
        ("/logging", json!({ "ditto_sdk": "loud" })),
        (
            "/http_server",
            json!({ "listen_addr": "a:1", "tls_config": "dev_mode" }),
        ),
        (
            "/http_server",
            json!({ "listen_addr": "a:1", "tls_config": "dev_mode", "http_api": true, "max_connections": 0 }),
        ),
        ("/grpc_server", json!({})),
    ] {
        let mut file = minimal.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        file.pointer_mut(parent).unwrap()[key] = value.clone();
        assert!(!validator.is_valid(&file), "{pointer}: {value}");
    }
}

/// One change of a key anywhere in the file: a key that nobody knows beside the others, each key
/// with a letter more, and each key with a letter less.
fn with_one_wrong_key(file: &Value) -> Vec<Value> {
    let mut changed = Vec::new();
    for pointer in pointers(file) {
        let Some(Value::Object(section)) = file.pointer(&pointer) else {
            continue;
        };
        let mut others: Vec<Map<String, Value>> = Vec::new();
        for key in section.keys() {
            for wrong in [format!("{key}x"), key[..key.len() - 1].to_owned()] {
                let mut other = section.clone();
                let value = other.remove(key).unwrap();
                other.insert(wrong, value);
                others.push(other);
            }
        }
        let mut more = section.clone();
        more.insert("nobody_knows_it".to_owned(), Value::Null);
        others.push(more);
        for other in others {
            let mut whole = file.clone();
            *whole.pointer_mut(&pointer).unwrap() = Value::Object(other);
            changed.push(whole);
        }
    }
    changed
}

fn pointers(value: &Value) -> Vec<String> {
    let mut all = vec![String::new()];
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members
            .iter()
            .map(|(k, v)| (k.replace('~', "~0").replace('/', "~1"), v))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(i, v)| (i.to_string(), v))
            .collect(),
        _ => Vec::new(),
    };
    for (step, child) in children {
        all.extend(
            pointers(child)
                .into_iter()
                .map(|rest| format!("/{step}{rest}")),
        );
    }
    all
}

#[test]
fn a_key_that_the_parser_does_not_know_the_schema_does_not_know_either() {
    let validator = validator();
    let (mut refused, mut complaints) = (0, Vec::new());
    for (path, file) in good_files() {
        for changed in with_one_wrong_key(&file) {
            if is_known_to_the_parser(&changed) {
                continue;
            }
            refused += 1;
            if validator.is_valid(&changed) {
                complaints.push(format!("{}: {changed}", path.display()));
            }
        }
    }
    assert!(refused > 500, "{refused}");
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// The keys of the reference are those of the schema, so that it cannot fall behind.
#[test]
fn the_reference_tells_every_key_as_the_schema_does() {
    const FILE: &str = "../../docs/operate/configuration.md";
    const BEGIN: &str = "<!-- keys: made from the schema; TOMBOLO_WRITE_REFERENCE=1 cargo test -p tombolo-cli --bin tombolo reference -->\n";
    const END: &str = "<!-- end of keys -->\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let page = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (keys, after) = rest.split_once(END).unwrap();
    let expected = super::reference::keys(&schema());
    if keys != expected && std::env::var_os("TOMBOLO_WRITE_REFERENCE").is_some() {
        std::fs::write(&file, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    assert!(
        keys == expected,
        "docs/operate/configuration.md is behind: run the command that it names"
    );
}
