//! The keys of the configuration as Markdown, made from the schema: for the operator's reference.

use serde_json::{Map, Value};

/// One heading for each section, one row for each key, in the order of the file.
pub(super) fn keys(schema: &Value) -> String {
    let mut page = String::new();
    section(schema, schema, "", &mut page);
    page
}

/// `path` is the section's key, empty for the whole file.
fn section(root: &Value, schema: &Value, path: &str, page: &mut String) {
    let title = match path {
        "" => "The file".to_owned(),
        path => format!("`{path}`"),
    };
    page.push_str(&format!(
        "\n### {title}\n\n{}\n",
        text(schema, "description")
    ));
    page.push_str("\n| key | takes | meaning |\n|---|---|---|\n");
    let empty = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, property) in properties {
        let mut forms = Vec::new();
        forms_of(root, property, &mut forms);
        forms.retain(|form| form != "`null`");
        if property["items"].is_object() || property["additionalProperties"].is_object() {
            forms.dedup();
        }
        let mut meaning = text(property, "description").to_owned();
        if required.contains(&name.as_str()) {
            meaning.push_str(" **Required.**");
        }
        if let Some(default) = property.get("default") {
            meaning.push_str(&format!(" Default: `{}`.", plain(default)));
        }
        if let (Some(least), Some(most)) = (property.get("minimum"), property.get("maximum")) {
            meaning.push_str(&format!(" From {least} to {most}."));
        }
        page.push_str(&format!(
            "| `{name}` | {} | {} |\n",
            forms.join(", "),
            meaning.replace('|', "\\|")
        ));
    }
    for (name, property) in properties {
        if property.get("deprecated").is_some() {
            continue;
        }
        for (step, inner) in sections_of(root, property) {
            let separator = if path.is_empty() { "" } else { "." };
            section(root, inner, &format!("{path}{separator}{name}{step}"), page);
        }
    }
}

/// The sections that a key may hold, with what is written between its name and theirs.
fn sections_of<'a>(root: &'a Value, schema: &'a Value) -> Vec<(&'static str, &'a Value)> {
    if let Some(target) = referenced(root, schema) {
        return sections_of(root, target);
    }
    if schema["properties"].is_object() {
        return if is_shared(schema) {
            Vec::new()
        } else {
            vec![("", schema)]
        };
    }
    let mut found = Vec::new();
    for form in schema["anyOf"].as_array().into_iter().flatten() {
        found.extend(sections_of(root, form));
    }
    for (inner, step) in [("items", "[]"), ("additionalProperties", ".NAME")] {
        if schema[inner].is_object() {
            found.extend(
                sections_of(root, &schema[inner])
                    .into_iter()
                    .map(|(_, section)| (step, section)),
            );
        }
    }
    found
}

/// Directories, secrets and endpoints are told once, above all keys.
fn is_shared(schema: &Value) -> bool {
    let names: Vec<&str> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect();
    matches!(
        names.as_slice(),
        ["from_env", "from_file", "path"] | ["from_env", "path"] | ["enabled", "max_body_size_mb"]
    )
}

fn forms_of(root: &Value, schema: &Value, forms: &mut Vec<String>) {
    let mut add = |form: String| {
        if !forms.contains(&form) {
            forms.push(form);
        }
    };
    if let Some(name) = schema["$ref"].as_str() {
        match name.rsplit('/').next().unwrap_or_default() {
            "Secret" => return add("a secret".to_owned()),
            "Directory" => return add("`{ path }` or `{ from_env }`".to_owned()),
            _ => {}
        }
    }
    if let Some(target) = referenced(root, schema) {
        return forms_of(root, target, forms);
    }
    if let Some(words) = schema["enum"].as_array() {
        return words
            .iter()
            .for_each(|word| add(format!("`{}`", plain(word))));
    }
    if let Some(word) = schema.get("const") {
        return add(format!("`{}`", plain(word)));
    }
    if let Some(either) = schema["anyOf"].as_array() {
        return either.iter().for_each(|form| forms_of(root, form, forms));
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => vec!["any value"],
    };
    for kind in kinds {
        add(match kind {
            "null" => "`null`",
            "boolean" => "`true` or `false`",
            "integer" | "number" => "a number",
            "string" => "a text",
            "array" => "a list",
            "object" => "a section",
            other => other,
        }
        .to_owned());
    }
}

fn referenced<'a>(root: &'a Value, schema: &Value) -> Option<&'a Value> {
    root.pointer(schema["$ref"].as_str()?.strip_prefix('#')?)
}

fn text<'a>(schema: &'a Value, key: &str) -> &'a str {
    schema[key].as_str().unwrap_or_default()
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
