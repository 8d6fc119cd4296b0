//! Edges between the crates of the workspace, and outside crates that the pure ones must not use.
//! An edge that is not in the table is an error, and so is a crate that the table does not know.
//! There are no wildcards: a new edge is a change of design and is written here first.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Finding;

/// Crates without input, output, clock or randomness.
pub(super) const PURE: &[&str] = &[
    "tombolo-document",
    "tombolo-query",
    "tombolo-identity",
    "tombolo-sync",
];

/// Which crates of ours each crate may depend on. A crate that is absent may not exist.
const ALLOWED: &[(&str, &[&str])] = &[
    ("tombolo-document", &[]),
    ("tombolo-query", &["tombolo-document"]),
    ("tombolo-identity", &["tombolo-document", "tombolo-query"]),
    (
        "tombolo-sync",
        &["tombolo-document", "tombolo-query", "tombolo-identity"],
    ),
    ("tombolo-store", &["tombolo-document", "tombolo-query"]),
    (
        "tombolo-mesh",
        &[
            "tombolo-document",
            "tombolo-query",
            "tombolo-identity",
            "tombolo-sync",
        ],
    ),
    (
        "tombolo",
        &[
            "tombolo-document",
            "tombolo-query",
            "tombolo-identity",
            "tombolo-sync",
            "tombolo-store",
            "tombolo-mesh",
        ],
    ),
    ("tombolo-http", &[]),
    (
        "tombolo-cli",
        &["tombolo", "tombolo-http", "tombolo-identity"],
    ),
    (
        "tombolo-conformance",
        &[
            "tombolo-document",
            "tombolo-query",
            "tombolo-identity",
            "tombolo-sync",
            "tombolo-store",
            "tombolo",
        ],
    ),
    (
        "tombolo-sim",
        &[
            "tombolo-document",
            "tombolo-query",
            "tombolo-identity",
            "tombolo-sync",
            "tombolo-store",
            "tombolo-mesh",
            "tombolo",
        ],
    ),
    (
        "tombolo-bench",
        &[
            "tombolo-document",
            "tombolo-identity",
            "tombolo-query",
            "tombolo-store",
            "tombolo",
        ],
    ),
    ("xtask", &[]),
];

/// Edges that tests may have and programs may not: source, target, reason.
const ALLOWED_IN_TESTS: &[(&str, &str, &str)] = &[];

/// Outside crates that bring a clock, randomness, a socket or a disk.
const WORLDLY: &[&str] = &[
    "axum",
    "chrono",
    "fjall",
    "getrandom",
    "hyper",
    "hyper-util",
    "mio",
    "notify",
    "rand",
    "redb",
    "rusqlite",
    "socket2",
    "tempfile",
    "tokio",
    "uuid",
];

/// Crates that must not link an async runtime, because the driver above them is the only async code.
const SYNCHRONOUS: &[&str] = &[
    "tombolo-document",
    "tombolo-query",
    "tombolo-identity",
    "tombolo-sync",
    "tombolo-store",
];

/// Whether a dependency is linked into programs or only into tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeKind {
    /// `[dependencies]` and `[build-dependencies]`.
    Program,
    /// `[dev-dependencies]`.
    Test,
}

/// One crate of the workspace as its manifest declares it.
#[derive(Debug, Clone)]
pub struct Package {
    /// The name in the manifest.
    pub name: String,
    /// Path of the manifest relative to the root.
    pub manifest_path: String,
    /// Text of the manifest, for line numbers.
    pub manifest: String,
    /// Names of the dependencies, ours and others.
    pub dependencies: Vec<(String, EdgeKind)>,
    /// Names of the features that the manifest declares.
    pub features: Vec<String>,
}

impl Package {
    pub(super) fn from_metadata(package: &Value, root: &Path) -> Self {
        let full_path = package["manifest_path"].as_str().unwrap_or_default();
        let relative = Path::new(full_path)
            .strip_prefix(root)
            .unwrap_or(Path::new(full_path));
        Self {
            name: text(&package["name"]),
            manifest_path: relative.to_string_lossy().replace('\\', "/"),
            manifest: fs::read_to_string(full_path).unwrap_or_default(),
            dependencies: package["dependencies"]
                .as_array()
                .into_iter()
                .flatten()
                .map(dependency)
                .collect(),
            features: package["features"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone())
                .collect(),
        }
    }

    fn finding(&self, word: &str, rule: &'static str, message: String) -> Finding {
        let found = self
            .manifest
            .lines()
            .position(|line| line.starts_with(word));
        Finding::new(
            &self.manifest_path,
            found.map_or(1, |index| index + 1),
            rule,
            message,
        )
    }
}

fn dependency(value: &Value) -> (String, EdgeKind) {
    let kind = if value["kind"] == "dev" {
        EdgeKind::Test
    } else {
        EdgeKind::Program
    };
    (text(&value["name"]), kind)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Checks every package of the workspace against the table.
pub fn check_edges(packages: &[Package]) -> Vec<Finding> {
    packages
        .iter()
        .flat_map(|package| check_package(package, packages))
        .collect()
}

fn check_package(package: &Package, packages: &[Package]) -> Vec<Finding> {
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package.name) else {
        let message = format!(
            "crate `{}` has no place in the layers: add it to the table in xtask and to the map",
            package.name
        );
        return vec![package.finding("name", "layer", message)];
    };
    let mut findings = Vec::new();
    for (target, kind) in &package.dependencies {
        let ours = packages.iter().any(|other| other.name == *target);
        if ours && !allowed.contains(&target.as_str()) && !allowed_in_tests(package, target, *kind)
        {
            let message = format!(
                "`{}` must not depend on `{target}`: the layers do not allow this edge",
                package.name
            );
            findings.push(package.finding(target, "edge", message));
        }
        if !ours && *kind == EdgeKind::Program {
            findings.extend(check_outside(package, target));
        }
    }
    if let Some(feature) = package.features.first() {
        let message = format!(
            "feature `{feature}`: crates of the workspace have no features; link a crate or pass a value"
        );
        findings.push(package.finding("[features]", "feature", message));
    }
    findings
}

fn allowed_in_tests(package: &Package, target: &str, kind: EdgeKind) -> bool {
    kind == EdgeKind::Test
        && ALLOWED_IN_TESTS
            .iter()
            .any(|(source, known, _)| *source == package.name && *known == target)
}

fn check_outside(package: &Package, target: &str) -> Option<Finding> {
    let name = package.name.as_str();
    let worldly = PURE.contains(&name) && WORLDLY.contains(&target);
    let runtime = SYNCHRONOUS.contains(&name) && target.starts_with("tokio");
    (worldly || runtime).then(|| {
        let message = format!("`{name}` must not link `{target}`: it never sees a clock, randomness, a socket or a runtime");
        package.finding(target, "outside", message)
    })
}
