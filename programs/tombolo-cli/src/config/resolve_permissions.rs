//! The permission sets of the section `auth`, in words or in detail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_saphyr::Location;
use tombolo::{RuleSyntax, Rules, StatementKind};

use super::permission_set::PermissionSet;
use super::raw::{Placed, RawCollection, RawPermissionSet, RawPermissions, Spanned, WordOr};
use super::resolve::Findings;
use crate::edge::Endpoint;

const LEVELS: &str = "write full, data or read_only, or endpoints, collections and statements";
/// What a grant is for if it does not say.
const STATEMENTS: [StatementKind; 4] = [
    StatementKind::Select,
    StatementKind::Insert,
    StatementKind::Update,
    StatementKind::Delete,
];

/// The sets by name; one that is refused grants nothing, and the file is refused.
pub(super) fn permission_sets(
    raw: BTreeMap<String, Spanned<RawPermissionSet>>,
    findings: &mut Findings,
) -> BTreeMap<String, Arc<PermissionSet>> {
    let mut sets = BTreeMap::new();
    for (name, set) in raw {
        let permissions = set.value.permissions;
        let place = Place {
            path: format!("auth.permission_sets.{name}.permissions"),
            at: permissions.referenced,
        };
        let set = match permissions.value {
            WordOr::Word(word) => level(&word, &place, findings),
            WordOr::Given(raw) => grant(raw, &place, findings),
        };
        sets.insert(name, Arc::new(set));
    }
    sets
}

/// Where in the file something stands.
struct Place {
    path: String,
    at: Location,
}

impl Place {
    fn of(&self, key: &str, at: Location) -> Self {
        Self {
            path: format!("{}.{key}", self.path),
            at,
        }
    }
}

fn nothing() -> PermissionSet {
    PermissionSet {
        endpoints: [].into(),
        statements: [].into(),
        read: Arc::new(Rules::nothing()),
        write: Arc::new(Rules::nothing()),
        expires_ms: None,
    }
}

fn level(name: &str, place: &Place, findings: &mut Findings) -> PermissionSet {
    PermissionSet::level(name).unwrap_or_else(|| {
        findings.refuse(&*place.path, place.at, "names no level", LEVELS);
        nothing()
    })
}

fn grant(raw: RawPermissions, place: &Place, findings: &mut Findings) -> PermissionSet {
    let RawPermissions {
        level: named,
        endpoints,
        collections,
        statements,
        expires,
    } = raw;
    let is_detailed = endpoints.is_some() || collections.is_some() || statements.is_some();
    let mut set = match named {
        Some(named) => {
            let place = place.of("level", named.referenced);
            if is_detailed {
                let remedy = "remove level, or endpoints, collections and statements";
                findings.refuse(
                    &*place.path,
                    place.at,
                    "cannot stand beside a detailed grant",
                    remedy,
                );
            }
            level(&named.value, &place, findings)
        }
        None => {
            let (read, write) = rules(collections, place, findings);
            PermissionSet {
                endpoints: self::endpoints(endpoints, place, findings),
                statements: self::statements(statements, place, findings),
                read: Arc::new(read),
                write: Arc::new(write),
                expires_ms: None,
            }
        }
    };
    set.expires_ms = expires.and_then(|expires| expiry(&expires, place, findings));
    set
}

fn endpoints(
    raw: Option<Vec<Spanned<String>>>,
    place: &Place,
    findings: &mut Findings,
) -> BTreeSet<Endpoint> {
    let Some(raw) = raw else {
        return [Endpoint::Execute].into();
    };
    let known = |name: &Spanned<String>| {
        let endpoint = Endpoint::named(&name.value).filter(|endpoint| endpoint.needs_key());
        if endpoint.is_none() {
            let names = Endpoint::ALL
                .into_iter()
                .filter(|endpoint| endpoint.needs_key());
            let remedy = format!("write some of {}", list(names.map(Endpoint::name)));
            let place = place.of("endpoints", name.referenced);
            let what = format!("{} is no endpoint that needs a key", name.value);
            findings.refuse(place.path, place.at, what, remedy);
        }
        endpoint
    };
    raw.iter().filter_map(known).collect()
}

fn statements(
    raw: Option<Vec<Spanned<String>>>,
    place: &Place,
    findings: &mut Findings,
) -> BTreeSet<StatementKind> {
    let Some(raw) = raw else {
        return STATEMENTS.into();
    };
    let known = |name: &Spanned<String>| {
        let kind = StatementKind::named(&name.value);
        if kind.is_none() {
            let names = StatementKind::ALL.into_iter().map(StatementKind::name);
            let remedy = format!("write some of {}", list(names));
            let place = place.of("statements", name.referenced);
            let what = format!("{} is no kind of statement", name.value);
            findings.refuse(place.path, place.at, what, remedy);
        }
        kind
    };
    raw.iter().filter_map(known).collect()
}

fn list(names: impl Iterator<Item = &'static str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

fn rules(
    raw: Placed<WordOr<BTreeMap<String, RawCollection>>>,
    place: &Place,
    findings: &mut Findings,
) -> (Rules, Rules) {
    let Some(raw) = raw else {
        return (Rules::nothing(), Rules::nothing());
    };
    let place = place.of("collections", raw.referenced);
    let collections = match raw.value {
        WordOr::Word(word) if word == "everything" => {
            return (Rules::everything(), Rules::everything());
        }
        WordOr::Word(_) => {
            let remedy = "write everything, or collections with read and write";
            findings.refuse(place.path, place.at, "is no collection", remedy);
            return (Rules::nothing(), Rules::nothing());
        }
        WordOr::Given(collections) => collections,
    };
    let (mut read, mut write) = (BTreeMap::new(), BTreeMap::new());
    for (name, rules) in collections {
        read.insert(name.clone(), rules.read.unwrap_or_default());
        write.insert(name, rules.write.unwrap_or_default());
    }
    let mut parse = |queries: &BTreeMap<String, Vec<String>>| {
        Rules::parse_as(queries, RuleSyntax::Either).unwrap_or_else(|error| {
            let remedy = "write conditions on _id, as for the permissions of users";
            findings.refuse(&*place.path, place.at, error.to_string(), remedy);
            Rules::nothing()
        })
    };
    (parse(&read), parse(&write))
}

fn expiry(raw: &Spanned<String>, place: &Place, findings: &mut Findings) -> Option<u64> {
    let moment: Option<jiff::Timestamp> = raw.value.parse().ok();
    let expires_ms = moment.and_then(|moment| u64::try_from(moment.as_millisecond()).ok());
    if expires_ms.is_none() {
        let place = place.of("expires", raw.referenced);
        let remedy = "write a moment as RFC 3339, for example 2027-01-01T00:00:00Z";
        findings.refuse(place.path, place.at, "is no moment", remedy);
    }
    expires_ms
}
