//! The description of the HTTP API, OpenAPI 3.1: one operation for each path and method that the routes serve.
//! Shapes of bodies are types; tests hold them against what is parsed and answered.

mod operations;
mod shapes;
#[cfg(test)]
mod tests;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::endpoint::Endpoint;
use super::routes::{PATHS, Routes};
use crate::config::Clients;

/// Whether clients need API keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    Needed,
    /// `auth: dev_mode`.
    NotNeeded,
}

impl Keys {
    pub(crate) const fn of(clients: &Clients) -> Self {
        match clients {
            Clients::Anyone => Self::NotNeeded,
            Clients::Known(_) => Self::Needed,
        }
    }
}

/// The description of what `routes` serve.
pub(crate) fn document(routes: &Routes, keys: Keys) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut shapes = settings.into_generator();
    let mut paths = Map::new();
    for (path, endpoint) in PATHS {
        if !routes.is_on(endpoint) {
            continue;
        }
        let mut methods = Map::new();
        for (method, mut operation) in
            operations::of((path, endpoint), routes.database_id(), &mut shapes)
        {
            if endpoint.needs_key() && keys == Keys::Needed {
                operation["security"] = json!([{ "api_key": [] }]);
            }
            methods.insert(method.to_owned(), operation);
        }
        paths.insert(path.to_owned(), Value::Object(methods));
    }
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Tombolo edge server",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The HTTP API of one node of a Tombolo mesh. A failure is always an object with `error.code` for machines and `error.description` for people.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": servers(routes),
        "tags": tags(routes),
        "paths": paths,
        "components": {
            "schemas": shapes.take_definitions(true),
            "securitySchemes": {
                "api_key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A private key of `tombolo api-key generate`, whose hash the configuration has.",
                },
            },
        },
    })
}

/// Paths are served below each of these.
fn servers(routes: &Routes) -> Vec<Value> {
    let base_path = routes.base_path().map(|base_path| format!("/{base_path}"));
    let all = [Some("/".to_owned()), base_path].into_iter().flatten();
    all.map(|url| json!({ "url": url })).collect()
}

fn tags(routes: &Routes) -> Vec<Value> {
    let on = Endpoint::ALL.into_iter();
    on.filter(|endpoint| routes.is_on(*endpoint))
        .map(|endpoint| json!({ "name": endpoint.name() }))
        .collect()
}
