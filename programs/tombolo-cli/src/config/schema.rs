//! The JSON Schema of the configuration, 2020-12, made from the very structures that read it.

use schemars::generate::SchemaSettings;

use super::raw::RawConfig;

/// The schema, for editors and for whoever checks files elsewhere.
pub(crate) fn schema() -> serde_json::Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    generator.into_root_schema_for::<RawConfig>().to_value()
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
