//! The section `auth`: which keys HTTP clients hold and what they may do.

use std::collections::{BTreeMap, HashMap};

use super::meaning::{Clients, Identity, Permission};
use super::raw::{Placed, RawAuth, RawIdentity, RawPermissionSet, Setting, Spanned, WordOr};
use super::resolve::Findings;
use super::resolve_secret::{Secret, secret};
use crate::api_key::KeyHash;

/// Identities in one file; each unknown key may be checked against all of them.
const IDENTITIES_MAX: usize = 64;

/// `None` if the section is missing or switched off.
pub(super) fn clients(
    raw: Placed<Setting<WordOr<RawAuth>>>,
    findings: &mut Findings,
) -> Option<Clients> {
    let raw = findings.section("auth", raw)?;
    match raw.value {
        WordOr::Word(word) if word == "dev_mode" => Some(Clients::Anyone),
        WordOr::Word(_) => {
            let remedy = "write dev_mode, or identities and permission_sets";
            findings.refuse(
                "auth",
                raw.referenced,
                "is neither dev_mode nor a section",
                remedy,
            );
            Some(Clients::Known(Vec::new()))
        }
        WordOr::Given(auth) => {
            if auth.identities.len() > IDENTITIES_MAX {
                let remedy = format!("keep at most {IDENTITIES_MAX} identities");
                findings.refuse(
                    "auth.identities",
                    raw.referenced,
                    "has too many entries",
                    remedy,
                );
            }
            let sets = permission_sets(auth.permission_sets, findings);
            Some(Clients::Known(identities(auth.identities, &sets, findings)))
        }
    }
}

fn permission_sets(
    raw: BTreeMap<String, Spanned<RawPermissionSet>>,
    findings: &mut Findings,
) -> BTreeMap<String, Permission> {
    let mut sets = BTreeMap::new();
    for (name, set) in raw {
        let level = set.value.permissions;
        let path = format!("auth.permission_sets.{name}.permissions");
        match level.value.as_str() {
            "full" => {}
            "data" => findings.refuse(
                path,
                level.referenced,
                "the level data is not built yet",
                "write full, or remove the set",
            ),
            _ => findings.refuse(path, level.referenced, "names no level", "write full"),
        }
        sets.insert(name, Permission::Full);
    }
    sets
}

fn identities(
    raw: BTreeMap<String, Spanned<RawIdentity>>,
    sets: &BTreeMap<String, Permission>,
    findings: &mut Findings,
) -> Vec<Identity> {
    let mut identities = Vec::new();
    let mut owners: HashMap<String, String> = HashMap::new();
    let mut in_file_order: Vec<_> = raw.into_iter().collect();
    in_file_order
        .sort_by_key(|(_, identity)| (identity.referenced.line(), identity.referenced.column()));
    for (name, Spanned { value: raw, .. }) in in_file_order {
        let permission = permission(&name, &raw.permissions, sets, findings);
        let path = format!("auth.identities.{name}.credential.api_key");
        let Some(typed) = secret(&path, raw.credential.api_key, findings) else {
            continue;
        };
        let place = typed.place;
        if let Some(other) = owners.insert(typed.text.to_string(), name.clone()) {
            let what = format!("is the same credential as that of {other}");
            findings.refuse(
                path.clone(),
                place,
                what,
                "generate a key of its own with: tombolo api-key generate",
            );
        }
        let Some(hash) = key_hash(&path, &typed, findings) else {
            continue;
        };
        identities.push(Identity {
            audit_id: raw.id.unwrap_or(name),
            hash,
            permission,
        });
    }
    identities
}

fn key_hash(path: &str, typed: &Secret, findings: &mut Findings) -> Option<KeyHash> {
    match KeyHash::parse(&typed.text) {
        Ok(hash) => Some(hash),
        Err(error) => {
            let remedy = "paste the Secure Public Hash printed by: tombolo api-key generate";
            findings.refuse(path, typed.place, typed.complaint(error), remedy);
            None
        }
    }
}

fn permission(
    identity: &str,
    named: &[Spanned<String>],
    sets: &BTreeMap<String, Permission>,
    findings: &mut Findings,
) -> Permission {
    let mut permission = Permission::Nothing;
    for name in named {
        match sets.get(&name.value) {
            Some(granted) => permission = *granted,
            None => {
                let path = format!("auth.identities.{identity}.permissions");
                let what = format!("there is no permission set {}", name.value);
                findings.refuse(
                    path,
                    name.referenced,
                    what,
                    "define it under auth.permission_sets, or correct the name",
                );
            }
        }
    }
    permission
}
