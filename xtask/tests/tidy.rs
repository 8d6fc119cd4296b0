//! This tree is tidy, and each tidy rule fails on a bad sample.
//! Words that must not be committed are spelled in halves here, because this file is checked like any other.

use std::path::Path;

use xtask::tidy::{check, check_documents, check_lines, check_names, check_rust, long_files};
use xtask::{Finding, SourceFile, Tree};

fn tree(files: &[(&str, &str)]) -> Tree {
    Tree::from_files(
        files
            .iter()
            .map(|(path, text)| SourceFile::new(path, text))
            .collect(),
    )
}

fn at(findings: &[Finding]) -> Vec<(&str, usize)> {
    findings
        .iter()
        .map(|finding| (finding.rule, finding.line))
        .collect()
}

fn rust_file_of(line_count: usize) -> String {
    format!("//! Header.\n{}", "\n".repeat(line_count - 1))
}

#[test]
fn this_tree_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let report = check(root).unwrap();
    let lines: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

#[test]
fn a_rust_file_without_a_header_is_refused() {
    assert_eq!(
        at(&check_rust(&tree(&[("src/a.rs", "fn a() {}\n")]))),
        [("header", 1)]
    );
}

#[test]
fn a_header_of_ten_lines_is_allowed_and_of_eleven_refused() {
    assert_eq!(
        check_rust(&tree(&[("src/a.rs", &"//! Line.\n".repeat(10))])),
        []
    );
    assert_eq!(
        at(&check_rust(&tree(&[(
            "src/a.rs",
            &"//! Line.\n".repeat(11)
        )]))),
        [("header", 1)]
    );
}

#[test]
fn an_example_below_a_header_does_not_count() {
    let example = format!(
        "//! Line.\n//! ```\n{}//! ```\n",
        "//! code();\n".repeat(20)
    );
    assert_eq!(check_rust(&tree(&[("src/lib.rs", &example)])), []);
}

#[test]
fn a_file_of_800_lines_is_allowed_and_of_801_refused() {
    assert_eq!(check_rust(&tree(&[("src/a.rs", &rust_file_of(800))])), []);
    assert_eq!(
        at(&check_rust(&tree(&[("src/a.rs", &rust_file_of(801))]))),
        [("wall", 801)]
    );
}

#[test]
fn a_file_over_400_lines_is_printed_and_does_not_fail() {
    assert!(long_files(&tree(&[("src/a.rs", &rust_file_of(400))])).is_empty());
    assert_eq!(
        long_files(&tree(&[("src/a.rs", &rust_file_of(401))])),
        ["src/a.rs has 401 lines, more than 400"]
    );
}

#[test]
fn a_module_name_that_says_nothing_is_refused_as_file_directory_and_block() {
    assert_eq!(
        at(&check_rust(&tree(&[("src/utils.rs", "//! U.\n")]))),
        [("name", 1)]
    );
    assert_eq!(
        at(&check_rust(&tree(&[("tests/common/mod.rs", "//! C.\n")]))),
        [("name", 1)]
    );
    assert_eq!(
        at(&check_rust(&tree(&[(
            "src/a.rs",
            "//! A.\npub mod helpers {\n}\n"
        )]))),
        [("name", 2)]
    );
}

#[test]
fn a_manifest_that_escapes_the_lints_is_refused() {
    assert_eq!(
        at(&check_rust(&tree(&[(
            "a/Cargo.toml",
            "[package]\nname = \"a\"\n"
        )]))),
        [("lints", 1)]
    );
}

#[test]
fn tabs_trailing_space_and_a_missing_last_line_break_are_refused() {
    assert_eq!(
        at(&check_lines(&tree(&[("a.toml", "\tb = 1\n")]))),
        [("tab", 1)]
    );
    assert_eq!(
        at(&check_lines(&tree(&[("a.md", "text \n")]))),
        [("trailing", 1)]
    );
    assert_eq!(
        at(&check_lines(&tree(&[("a.md", "text")]))),
        [("trailing", 1)]
    );
    let data = [
        "case.jsonl",
        "crates/a/tests/broken.yaml",
        "conformance/dql/case.yaml",
    ];
    for path in data {
        assert_eq!(
            check_lines(&tree(&[(path, "{\"text\": \"\t\"} \n")])),
            [],
            "{path}"
        );
    }
}

#[test]
fn unfinished_work_is_refused() {
    let marks = [
        concat!("// TO", "DO later"),
        concat!("// FIX", "ME"),
        concat!("to", "do!()"),
        concat!("db", "g!(value)"),
        concat!("Joins (to ", "come)"),
    ];
    for mark in marks {
        assert_eq!(
            at(&check_lines(&tree(&[(
                "src/a.rs",
                &format!("//! A.\n{mark}\n")
            )]))),
            [("unfinished", 2)],
            "{mark}"
        );
    }
}

#[test]
fn paths_of_one_machine_are_refused_in_every_text_file() {
    let paths = [
        concat!("../", "shared/x"),
        concat!("`.lib", "rary`"),
        concat!("open /wo", "rk/main"),
        concat!("\"/ro", "ot/x\""),
    ];
    for path in paths {
        assert_eq!(
            at(&check_lines(&tree(&[("case.jsonl", &format!("{path}\n"))]))),
            [("local", 1)],
            "{path}"
        );
    }
    assert_eq!(
        check_lines(&tree(&[(
            "a.md",
            concat!("https://example.com/wo", "rk/x\n")
        )])),
        []
    );
}

#[test]
fn a_relative_link_must_lead_somewhere() {
    let files = [
        (
            "docs/a.md",
            "See [b](b.md#part), [c](../c.md) and [web](https://example.com).\n",
        ),
        ("docs/b.md", "B.\n"),
    ];
    assert_eq!(at(&check_documents(&tree(&files))), [("link", 1)]);
}

#[test]
fn a_link_out_of_the_tree_is_refused() {
    assert_eq!(
        at(&check_documents(&tree(&[("a.md", "[up](../../a.md)\n")]))),
        [("link", 1)]
    );
}

#[test]
fn an_empty_heading_is_refused_and_a_comment_in_a_block_is_none() {
    assert_eq!(
        at(&check_documents(&tree(&[(
            "a.md",
            "# A\n\nText.\n\n## B\n\n## C\n\nText.\n\n## D\n"
        )]))),
        [("heading", 5), ("heading", 11)]
    );
    assert_eq!(
        check_documents(&tree(&[(
            "a.md",
            "# A\n\n```sh\n# comment\n# comment\n```\n"
        )])),
        []
    );
    assert_eq!(
        check_documents(&tree(&[("a.md", "# A\n\n## B\n\nText.\n")])),
        []
    );
}

#[test]
fn a_name_in_the_map_that_the_code_does_not_have_is_refused() {
    let code = [
        ("src/a.rs", "//! A.\npub struct Present;\nfn is_here() {}\n"),
        (
            "a/Cargo.toml",
            "[package]\nname = \"tombolo-a\"\n[lints]\nworkspace = true\n",
        ),
    ];
    let known =
        "`Present`, `is_here()`, `a::Present`, `src/a.rs`, `tombolo-a`, `POST /execute`, `a/`.\n";
    let mut files = vec![("docs/ARCHITECTURE.md", known)];
    files.extend(code);
    assert_eq!(check_names(&tree(&files)), []);
    for name in [
        "`Vanished`",
        "`is_gone()`",
        "`a::Gone`",
        "`src/b.rs`",
        "`tombolo-b`",
    ] {
        files[0].1 = name;
        assert_eq!(at(&check_names(&tree(&files))), [("drift", 1)], "{name}");
    }
}
