//! What an operator sees of a running node: readiness, numbers, the audit log, the archive of both logs.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod support;

use std::io::Read;
use std::path::Path;

use support::{Node, assert_status, get, plain, text, tombolo};

const LOGGING: &str = "metrics: true
logging:
  edge_server:
    level: debug
    console_logs: off
    rotating_logs: { directory: { path: logs }, prefix: app.log }
    audit_logs: { path: audit }
";

fn post(statement: &str) -> String {
    let body = format!("{{\"statement\":\"{statement}\"}}");
    format!(
        "POST /execute HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn audit(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("audit/audit.jsonl")).unwrap()
}

fn verify(directory: &Path) -> (bool, String) {
    let directory = directory.join("audit");
    let output = tombolo(&["audit", "verify", directory.to_str().unwrap()]);
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(printed).unwrap())
}

#[test]
fn a_write_is_in_the_audit_log_when_its_answer_is_there_even_if_the_node_is_killed() {
    let mut node = Node::start(&plain(LOGGING));
    let written = node.send(&post(
        "INSERT INTO tasks DOCUMENTS ({'_id':'a','secret':'hunter2'})",
    ));
    assert_status(&written, 200);
    node.child.kill().unwrap();
    node.child.wait().unwrap();
    let lines = audit(node.directory());
    let line = lines
        .lines()
        .find(|line| line.contains(r#""kind":"request""#))
        .unwrap();
    for part in [
        r#""address":"127.0.0.1","endpoint":"execute","statements":["insert"],"collections":["tasks"],"documents":1,"#,
        r#""result":"done","status":200,"#,
        r#""request_id":""#,
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(!lines.contains("hunter2"), "{lines}");
    let (is_whole, printed) = verify(node.directory());
    assert!(is_whole, "{printed}");
    // The chain goes on, and a clean end is in it.
    let config = plain(LOGGING);
    let node = Node::start_in(node.take_directory(), &config);
    assert_status(&node.send(&post("SELECT * FROM tasks")), 200);
    let directory = node.stop();
    let lines = audit(directory.path());
    assert_eq!(lines.matches(r#""act":"start""#).count(), 2, "{lines}");
    assert_eq!(lines.matches(r#""act":"stop""#).count(), 1, "{lines}");
    assert!(
        lines
            .contains(r#""statements":["select"],"collections":["tasks"],"documents":0,"rows":1,"#)
    );
    let (is_whole, printed) = verify(directory.path());
    assert!(
        is_whole && printed.contains("the chain is whole"),
        "{printed}"
    );
    // And what somebody changes is found.
    std::fs::write(
        directory.path().join("audit/audit.jsonl"),
        lines.replace("\"rows\":1", "\"rows\":0"),
    )
    .unwrap();
    let (is_whole, printed) = verify(directory.path());
    assert!(!is_whole && printed.contains("was changed"), "{printed}");
}

/// What is counted of the requests below.
const NUMBERS: &[&str] = &[
    "tombolo_http_requests_total{endpoint=\"execute\",status=\"200\"} 1\n",
    "tombolo_http_requests_total{endpoint=\"none\",status=\"404\"} 1\n",
    "tombolo_http_request_duration_seconds_count{endpoint=\"execute\"} 1\n",
    "tombolo_http_documents_written_total 1\n",
    "tombolo_store_stopped 0.0\n",
    "tombolo_audit_failing 0.0\n",
    "tombolo_audit_counted_total 0\n",
    "tombolo_store_documents 1.0\n",
    "tombolo_store_flush_duration_seconds_bucket{le=\"+Inf\"} ",
    "tombolo_http_connections_open 1.0\n",
    "tombolo_http_connections_refused_total 0\n",
    "tombolo_http_tls_handshakes_failed_total 0\n",
    "tombolo_http_slow_keys_waiting 0.0\n",
    "tombolo_http_slow_keys_total 0\n",
    "tombolo_http_slow_keys_refused_total 0\n",
    "tombolo_http_slow_keys_wait_seconds_total 0.0\n",
    "# EOF\n",
];

#[test]
fn readiness_numbers_and_logs_are_answered() {
    let node = Node::start(&plain(LOGGING));
    assert_status(
        &node.send(&post("INSERT INTO tasks DOCUMENTS ({'_id':'a'})")),
        200,
    );
    assert_status(&node.send(&get("/nowhere-secret-path")), 404);
    let ready = node.send(&get("/health/ready"));
    assert_status(&ready, 200);
    assert!(
        ready.contains("\r\n\r\nstore: ok: open\ndisk: ok: "),
        "{ready}"
    );
    assert!(
        ready.contains("certificate: ok: none\naudit: ok: written\n"),
        "{ready}"
    );
    let metrics = node.send(&get("/metrics"));
    assert_status(&metrics, 200);
    for line in NUMBERS {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    assert!(
        !metrics.contains("tasks") && !metrics.contains("secret-path"),
        "{metrics}"
    );
    let mut archive = Vec::new();
    let mut stream = node.connect();
    std::io::Write::write_all(
        &mut stream,
        get("/logs").replace("HTTP/1.1", "HTTP/1.0").as_bytes(),
    )
    .unwrap();
    stream.read_to_end(&mut archive).unwrap();
    let start = archive
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .unwrap()
        + 4;
    let head = text(&archive[..start]).to_owned();
    assert!(head.contains("content-type: application/gzip"), "{head}");
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(&archive[start..]));
    let names: Vec<String> = tar
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names, ["audit/audit.jsonl", "messages/app.log"]);
}

/// A key and its hash.
fn api_key() -> (String, String) {
    let output = tombolo(&["api-key", "generate"]);
    let lines = text(&output.stdout).lines();
    let mut told = lines.map(|line| line.split(": ").nth(1).unwrap().to_owned());
    (told.next().unwrap(), told.next().unwrap())
}

#[test]
fn a_flood_of_unknown_keys_cannot_fill_the_audit_log_and_hides_nothing_of_those_who_are_known() {
    const TRIES: usize = 40;
    let (key, hash) = api_key();
    let auth = format!(
        "auth: {{ identities: {{ till: {{ credential: {{ api_key: \"{hash}\" }}, permissions: [reads] }} }}, permission_sets: {{ reads: {{ permissions: read_only }} }} }}\n"
    );
    let server = support::http_server("  tls_config: dev_mode\n");
    let node = Node::start(&format!("{server}{auth}{LOGGING}"));
    let keyed = |key: &str, statement: &str| {
        let line = format!("authorization: Bearer {key}\r\ncontent-type");
        post(statement).replacen("content-type", &line, 1)
    };
    for n in 0..TRIES {
        let guessed = format!("{n:0>44}");
        assert_status(&node.send(&keyed(&guessed, "SELECT * FROM tasks")), 401);
        let denied = keyed(&key, "INSERT INTO tasks DOCUMENTS ({'_id':'a'})");
        assert_status(&node.send(&denied), 403);
    }
    let metrics = node.send(&get("/metrics"));
    assert_status(&metrics, 401);
    let directory = node.stop();
    let lines = audit(directory.path());
    let denied = r#""identity":"till","endpoint":"execute","statements":["insert"],"#;
    assert_eq!(lines.matches(denied).count(), TRIES, "{lines}");
    let unknown = lines
        .lines()
        .filter(|line| line.contains(r#""code":"unknown_key""#));
    let (counts, whole): (Vec<&str>, Vec<&str>) =
        unknown.partition(|line| line.contains(r#""kind":"repeated""#));
    let counted = counts.iter().map(|line| {
        let count = line.split(r#""requests":"#).nth(1).unwrap();
        count.split(',').next().unwrap().parse::<usize>().unwrap()
    });
    assert!(whole.len() < TRIES && !counts.is_empty(), "{lines}");
    assert_eq!(whole.len() + counted.sum::<usize>(), TRIES, "{lines}");
    let (is_whole, printed) = verify(directory.path());
    assert!(is_whole, "{printed}");
}

#[test]
fn nobody_without_a_key_reads_numbers_or_logs() {
    let (_, hash) = api_key();
    let auth = format!(
        "auth: {{ identities: {{ a: {{ credential: {{ api_key: \"{hash}\" }}, permissions: [full] }} }}, permission_sets: {{ full: {{ permissions: full }} }} }}\n"
    );
    let config = |metrics: &str| {
        let server = support::http_server("  tls_config: dev_mode\n");
        format!(
            "{server}{auth}{}",
            LOGGING.replace("metrics: true", metrics)
        )
    };
    let node = Node::start(&config("metrics: true"));
    assert_status(&node.send(&get("/metrics")), 401);
    assert_status(&node.send(&get("/logs")), 401);
    assert_status(&node.send(&get("/health/ready")), 200);
    let directory = node.stop();
    let lines = audit(directory.path());
    assert!(
        lines.contains(r#""endpoint":"logs","result":"refused","status":401,"code":"no_key""#),
        "{lines}"
    );
    let node = Node::start(&config("metrics: { public: true }"));
    assert_status(&node.send(&get("/metrics")), 200);
    assert_status(&node.send(&get("/logs")), 401);
}
