//! The section `auth`: which keys HTTP clients hold and what they may do.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::meaning::{Clients, Identity};
use super::permission_set::PermissionSet;
use super::raw::{Placed, RawAuth, RawIdentity, Setting, Spanned, WordOr};
use super::resolve::Findings;
use super::resolve_permissions::permission_sets;
use super::resolve_secret::{Secret, public_text};
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

fn identities(
    raw: BTreeMap<String, Spanned<RawIdentity>>,
    sets: &BTreeMap<String, Arc<PermissionSet>>,
    findings: &mut Findings,
) -> Vec<Identity> {
    let mut identities = Vec::new();
    let mut owners: HashMap<String, String> = HashMap::new();
    let mut in_file_order: Vec<_> = raw.into_iter().collect();
    in_file_order
        .sort_by_key(|(_, identity)| (identity.referenced.line(), identity.referenced.column()));
    for (name, Spanned { value: raw, .. }) in in_file_order {
        let permissions = permissions(&name, &raw.permissions, sets, findings);
        let path = format!("auth.identities.{name}.credential.api_key");
        let Some(typed) = public_text(&path, raw.credential.api_key, findings) else {
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
            permissions,
        });
    }
    let foreign = identities
        .iter()
        .filter(|identity| identity.hash.id().is_none());
    let foreign = foreign.count();
    if foreign > 0 {
        findings.notice(format!(
            "auth: {foreign} identities have the hash of another program: unknown keys are hashed one at a time, and others wait; keys of tombolo api-key generate are told apart at once"
        ));
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

fn permissions(
    identity: &str,
    named: &[Spanned<String>],
    sets: &BTreeMap<String, Arc<PermissionSet>>,
    findings: &mut Findings,
) -> Vec<Arc<PermissionSet>> {
    let mut granted: Vec<Arc<PermissionSet>> = Vec::new();
    let mut seen = BTreeSet::new();
    for name in named {
        let mut refuse = |what: String, remedy: &str| {
            let path = format!("auth.identities.{identity}.permissions");
            findings.refuse(path, name.referenced, what, remedy);
        };
        if !seen.insert(&name.value) {
            refuse(format!("names {} twice", name.value), "name each set once");
            continue;
        }
        match sets.get(&name.value) {
            Some(set) => granted.push(Arc::clone(set)),
            None => refuse(
                format!("there is no permission set {}", name.value),
                "define it under auth.permission_sets, or correct the name",
            ),
        }
    }
    granted
}
