//! What the JSON Schema says of shapes that plain types do not tell: words of a list, switches, older spellings.
//! The types here are never made; fields name them with `schemars(with = "...")`.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value as Json, json};

use super::choose::{Anything, Setting, WordOr};
use super::secret::{RawElsewhere, RawSecret};

/// The words that a key takes.
pub(crate) trait Words {
    const WORDS: &'static [&'static str];
}

/// One of the words.
pub(crate) struct Word<W>(PhantomData<W>);

/// One of the words, or a structure.
pub(crate) struct OneOr<W, T>(PhantomData<(W, T)>);

/// `true`, `false` or a structure: the key is a switch.
pub(crate) struct Switch<T>(PhantomData<T>);

impl<W: Words> JsonSchema for Word<W> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        W::WORDS.join("_or_").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": W::WORDS })
    }
}

impl<W: Words, T: JsonSchema> JsonSchema for OneOr<W, T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}_or_{}", W::WORDS.join("_or_"), T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        either(
            Word::<W>::json_schema(generator),
            generator.subschema_for::<T>(),
        )
    }
}

impl<T: JsonSchema> JsonSchema for Switch<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Switch_or_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        either(
            json_schema!({ "type": "boolean" }),
            generator.subschema_for::<T>(),
        )
    }
}

/// `false` turns a section off; `true` says nothing, and is refused.
impl<T: JsonSchema> JsonSchema for Setting<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}_or_false", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        either(
            generator.subschema_for::<T>(),
            json_schema!({ "const": false }),
        )
    }
}

impl<T: JsonSchema> JsonSchema for WordOr<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Text_or_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        either(
            json_schema!({ "type": "string" }),
            generator.subschema_for::<T>(),
        )
    }
}

/// Whatever else asks for the feature.
impl JsonSchema for Anything {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NotBuiltYet".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": [false, []] })
    }
}

impl JsonSchema for RawSecret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = json_schema!({
            "type": "string",
            "minLength": 1,
            "description": "The secret itself; `${NAME}` in it is replaced by the value of that environment variable, and `$${` stands for `${`."
        });
        either(text, generator.subschema_for::<RawElsewhere>())
    }
}

fn either(one: Schema, other: Schema) -> Schema {
    json_schema!({ "anyOf": [one, other] })
}

/// Another name of a property that is taken too, but not beside it.
fn also_called(schema: &mut Schema, name: &str, older: &str) {
    let Some(Json::Object(properties)) = schema.get_mut("properties") else {
        return;
    };
    let Some(mut property) = properties.get(name).cloned() else {
        return;
    };
    if let Some(property) = property.as_object_mut() {
        property.insert("deprecated".to_owned(), Json::Bool(true));
        property.insert(
            "description".to_owned(),
            json!(format!("Another name of `{name}`.")),
        );
        property.remove("default");
    }
    properties.insert(older.to_owned(), property);
    let both = json!({ "required": [name, older] });
    let refused = schema
        .ensure_object()
        .entry("not")
        .or_insert_with(|| json!({ "anyOf": [] }));
    if let Some(Json::Array(refused)) = refused.get_mut("anyOf") {
        refused.push(both);
    }
}

pub(crate) fn small_peers_only(schema: &mut Schema) {
    also_called(schema, "small_peer_only", "small_peers_only");
}

pub(crate) fn path_of_file(schema: &mut Schema) {
    also_called(schema, "from_file", "path");
}

pub(crate) fn listen_as_before(schema: &mut Schema) {
    also_called(schema, "enable", "enabled");
    also_called(schema, "ip", "interface_ip");
}

/// Exactly one of the keys of a section.
pub(crate) fn exactly_one(schema: &mut Schema) {
    schema.insert("minProperties".to_owned(), json!(1));
    schema.insert("maxProperties".to_owned(), json!(1));
}
