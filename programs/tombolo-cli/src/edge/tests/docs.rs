//! The page under `/docs/`: it needs no key, loads nothing from elsewhere and runs nothing inline.

use super::*;

async fn get(node: &Running, path: &str) -> String {
    node.send(&format!("GET {path} HTTP/1.1"), "").await
}

#[tokio::test]
async fn the_page_and_all_that_it_names_are_served_without_a_key() {
    let node = start(ALL, Clients::Known(Vec::new()), Limits::default()).await;
    let page = get(&node, "/docs/").await;
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    for (path, kind) in [
        ("/docs/swagger-ui.css", "text/css"),
        ("/docs/swagger-ui-bundle.js", "text/javascript"),
        ("/docs/start.js", "text/javascript"),
        ("/docs/edge_server_api.json", "application/json"),
    ] {
        let answer = get(&node, path).await;
        let head = answer.split("\r\n\r\n").next().unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains(&format!("content-type: {kind}")), "{head}");
        let name = path.rsplit('/').next().unwrap();
        let script = get(&node, "/docs/start.js").await;
        assert!(page.contains(name) || script.contains(name), "{name}");
    }
    let moved = get(&node, "/docs").await;
    assert!(moved.starts_with("HTTP/1.1 308 "), "{moved}");
    assert!(moved.contains("location: docs/\r\n"), "{moved}");
}

/// T56: nothing that a document or a peer holds can run in the page, and no other page can frame it.
#[tokio::test]
async fn t56_the_docs_run_nothing_inline_and_are_framed_by_nobody() {
    let node = open().await;
    for path in [
        "/docs/",
        "/docs",
        "/docs/edge_server_api.json",
        "/docs/start.js",
    ] {
        let answer = get(&node, path).await;
        let head = answer.split("\r\n\r\n").next().unwrap();
        let policy = head
            .lines()
            .find_map(|line| line.strip_prefix("content-security-policy: "))
            .unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(
            !policy.contains("unsafe") && !policy.contains("http"),
            "{policy}"
        );
        for header in ["x-content-type-options: nosniff", "x-frame-options: DENY"] {
            assert!(head.contains(header), "{head}");
        }
        assert!(!head.contains("access-control-allow-origin"), "{head}");
    }
    let page = get(&node, "/docs/").await;
    let body = page.split("\r\n\r\n").nth(1).unwrap();
    // Each script names a file, and nothing is between the tags.
    assert_eq!(
        body.matches("<script src=").count(),
        body.matches("<script").count()
    );
    assert_eq!(
        body.matches("\"></script>").count(),
        body.matches("<script").count()
    );
    assert!(!body.contains("<style") && !body.contains(" style=") && !body.contains("://"));
}

#[tokio::test]
async fn other_methods_and_files_are_refused() {
    let node = open().await;
    let answer = node.post("/docs/", "{}").await;
    assert_answer(&answer, 405, "wrong_method");
    for path in ["/docs/x", "/docs/../health", "/docs/edge_server_api.json/"] {
        assert_answer(&get(&node, path).await, 404, "unknown_path");
    }
}
