//! The layers hold in this tree, and each layer rule fails on a bad sample.

use std::path::Path;

use xtask::layers::{EdgeKind, Package, check, check_edges, check_purity};
use xtask::{Finding, SourceFile, Tree};

fn package(name: &str, dependencies: &[(&str, EdgeKind)]) -> Package {
    Package {
        name: name.to_owned(),
        manifest_path: format!("crates/{name}/Cargo.toml"),
        manifest: format!(
            "[package]\nname = \"{name}\"\n\n[dependencies]\ntombolo-store.workspace = true\n"
        ),
        dependencies: dependencies
            .iter()
            .map(|(target, kind)| ((*target).to_owned(), *kind))
            .collect(),
        features: Vec::new(),
    }
}

fn rules(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.rule).collect()
}

fn purity_of(path: &str, text: &str) -> Vec<Finding> {
    check_purity(&Tree::from_files(vec![SourceFile::new(path, text)]))
}

#[test]
fn this_workspace_keeps_its_layers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let report = check(root).unwrap();
    let lines: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

#[test]
fn an_edge_against_the_layers_is_found_at_its_line() {
    let packages = [
        package("tombolo-query", &[("tombolo-store", EdgeKind::Program)]),
        package("tombolo-store", &[]),
    ];
    let findings = check_edges(&packages);
    assert_eq!(rules(&findings), ["edge"]);
    assert_eq!(
        (findings[0].path.as_str(), findings[0].line),
        ("crates/tombolo-query/Cargo.toml", 5)
    );
}

#[test]
fn an_edge_against_the_layers_is_refused_in_tests_too() {
    let packages = [
        package("tombolo-http", &[("tombolo-store", EdgeKind::Test)]),
        package("tombolo-store", &[]),
    ];
    assert_eq!(rules(&check_edges(&packages)), ["edge"]);
}

#[test]
fn an_edge_along_the_layers_is_allowed() {
    let packages = [
        package("tombolo-store", &[("tombolo-query", EdgeKind::Program)]),
        package("tombolo-query", &[]),
    ];
    assert_eq!(check_edges(&packages), []);
}

#[test]
fn a_crate_without_a_place_in_the_layers_is_refused() {
    assert_eq!(
        rules(&check_edges(&[package("tombolo-drawer", &[])])),
        ["layer"]
    );
}

#[test]
fn a_pure_crate_must_not_link_a_source_of_randomness() {
    let packages = [package(
        "tombolo-document",
        &[("getrandom", EdgeKind::Program)],
    )];
    assert_eq!(rules(&check_edges(&packages)), ["outside"]);
}

#[test]
fn a_pure_crate_may_use_a_worldly_crate_in_its_tests() {
    let packages = [package("tombolo-document", &[("tempfile", EdgeKind::Test)])];
    assert_eq!(check_edges(&packages), []);
}

#[test]
fn the_store_must_not_link_an_async_runtime() {
    assert_eq!(
        rules(&check_edges(&[package(
            "tombolo-store",
            &[("tokio", EdgeKind::Program)]
        )])),
        ["outside"]
    );
}

#[test]
fn a_crate_of_ours_must_not_declare_features() {
    let mut sample = package("tombolo-store", &[]);
    sample.features.push("fast".to_owned());
    assert_eq!(rules(&check_edges(&[sample])), ["feature"]);
}

#[test]
fn each_worldly_word_in_a_pure_crate_is_found() {
    let samples = [
        "let now = std::time::SystemTime::now();",
        "use std::time::Instant;",
        "let text = std::fs::read(name);",
        "use std::net::TcpStream;",
        "use std::env;",
        "use std::{fmt, thread};",
        "let id = getrandom::u64();",
        "let id: u64 = rand::random();",
        "let now = jiff::Timestamp::now();",
        "tokio::spawn(task);",
    ];
    for sample in samples {
        let findings = purity_of(
            "crates/tombolo-query/src/plan.rs",
            &format!("//! Plan.\n{sample}\n"),
        );
        assert!(
            findings
                .iter()
                .any(|finding| finding.rule == "pure" && finding.line == 2),
            "{sample}: {findings:?}"
        );
    }
}

#[test]
fn a_grouped_import_over_several_lines_is_scanned() {
    let findings = purity_of(
        "crates/tombolo-sync/src/lib.rs",
        "use std::{\n    fmt,\n    fs,\n};\nlet fs = 1;\n",
    );
    assert_eq!(
        findings
            .iter()
            .map(|finding| finding.line)
            .collect::<Vec<_>>(),
        [3]
    );
}

#[test]
fn comments_tests_and_other_crates_are_not_scanned() {
    let text = "//! Never calls std::fs::read.\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
    assert_eq!(purity_of("crates/tombolo-query/src/plan.rs", text), []);
    assert_eq!(
        purity_of("crates/tombolo-store/src/engine.rs", "use std::fs;\n"),
        []
    );
}

#[test]
fn the_declaration_of_a_test_file_does_not_hide_the_rest() {
    let text = "#[cfg(test)]\nmod tests;\nuse std::fs;\n";
    assert_eq!(
        rules(&purity_of("crates/tombolo-query/src/lib.rs", text)),
        ["pure"]
    );
}

#[test]
fn words_that_only_contain_a_worldly_word_are_allowed() {
    let text = "use std::time::Duration;\nlet instantaneous = brand::MARK;\n";
    assert_eq!(purity_of("crates/tombolo-query/src/lib.rs", text), []);
}
