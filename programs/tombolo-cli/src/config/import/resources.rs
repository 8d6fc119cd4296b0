//! The map below `resources:`, each entry with its kind and its place.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::problem::{Place, Problem};
use super::super::raw::Spanned;
use super::read;

/// What a resource may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Database,
    Subscription,
    HttpServer,
    Identity,
    PermissionSet,
}

/// One entry, without its kind.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) keys: Map<String, Value>,
    kind: Kind,
}

/// All entries, in the order of the file, and what stands beside them.
#[derive(Debug)]
pub(super) struct Resources {
    entries: Vec<Resource>,
    pub(super) place: Place,
    pub(super) logging: Option<Value>,
}

impl Resources {
    /// `None` if the text has no `resources:`.
    pub(super) fn read(text: &str) -> Option<Result<Self, Problem>> {
        // Almost every file is of the newest form, and is read once.
        let bounded = text.contains("resources") && text.len() <= read::CONFIG_BYTES_MAX;
        let top: BTreeMap<String, Spanned<Value>> = bounded
            .then(|| serde_saphyr::from_str_with_options(text, read::options()).ok())
            .flatten()?;
        // Beside a database it is a key that nobody knows.
        if !top.contains_key("resources") || top.contains_key("database") {
            return None;
        }
        // The same text again, with the places of the entries.
        Some(Self::of(text, top))
    }

    fn of(text: &str, mut top: BTreeMap<String, Spanned<Value>>) -> Result<Self, Problem> {
        #[derive(serde::Deserialize)]
        struct Entries {
            resources: BTreeMap<String, Spanned<Value>>,
        }
        let outer = top.remove("resources");
        let place = outer.map_or(Place::START, |outer| outer.referenced.into());
        let logging = top.remove("logging").map(|logging| logging.value);
        if let Some((name, other)) = top.pop_first() {
            let what = format!("{name} stands beside resources");
            let remedy = "move it into the newest form, without resources; tombolo config migrate helps with the rest";
            return Err(Problem::new(name, other.referenced, what, remedy));
        }
        let entries: Entries =
            serde_saphyr::from_str_with_options(text, read::options()).map_err(|_| {
                let remedy = "write a section for each resource, with its resource_type";
                Problem::new("resources", place, "is not a section of sections", remedy)
            })?;
        let entries = entries.resources.into_iter();
        let mut entries: Vec<Resource> = entries
            .map(|(name, entry)| Resource::of(name, entry))
            .collect::<Result<_, _>>()?;
        entries.sort_by_key(|entry| entry.place);
        Ok(Self {
            entries,
            place,
            logging,
        })
    }

    /// All of one kind.
    pub(super) fn take(&mut self, kind: Kind) -> Vec<Resource> {
        self.entries
            .extract_if(.., |entry| entry.kind == kind)
            .collect()
    }
}

impl Resource {
    fn of(name: String, entry: Spanned<Value>) -> Result<Self, Problem> {
        const KINDS: &str = "write resource_type: DittoDatabase, DittoSubscription, HttpServer, Identity or PermissionSet";
        let place = Place::from(entry.referenced);
        let path = format!("resources.{name}");
        let Value::Object(mut keys) = entry.value else {
            return Err(Problem::new(path, place, "is not a section", KINDS));
        };
        let kind = keys.remove("resource_type");
        let kind = match kind.as_ref().and_then(Value::as_str) {
            Some("DittoDatabase") => Kind::Database,
            Some("DittoSubscription") => Kind::Subscription,
            Some("HttpServer") => Kind::HttpServer,
            Some("Identity") => Kind::Identity,
            Some("PermissionSet") => Kind::PermissionSet,
            _ => {
                let path = format!("{path}.resource_type");
                return Err(Problem::new(
                    path,
                    place,
                    "names no kind of resource",
                    KINDS,
                ));
            }
        };
        Ok(Self {
            name,
            place,
            keys,
            kind,
        })
    }
}
