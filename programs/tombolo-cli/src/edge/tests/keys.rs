//! Who may use what.

use super::*;

#[tokio::test]
async fn only_a_known_key_with_a_permission_runs_a_statement() {
    let identity = |number: u8, level: Option<&str>| {
        let made = GeneratedKey::from_randomness([number; 32], [number; 12]).unwrap();
        let hash = KeyHash::parse(&made.public_hash).unwrap();
        (
            made.private_key,
            Identity {
                audit_id: format!("client-{number}"),
                hash,
                permissions: level
                    .map(|name| Arc::new(PermissionSet::level(name).unwrap()))
                    .into_iter()
                    .collect(),
            },
        )
    };
    let (full_key, full) = identity(1, Some("full"));
    let (bare_key, bare) = identity(2, None);
    let node = start(ALL, Clients::Known(vec![full, bare]), Limits::default()).await;
    let run = async |authorization: &str| {
        let head =
            format!("POST /execute HTTP/1.1\r\ncontent-type: application/json{authorization}");
        node.send(&head, r#"{"statement":"ECHO"}"#).await
    };
    let look = async |authorization: &str| {
        node.send(&format!("GET /presence HTTP/1.1{authorization}"), "")
            .await
    };
    assert_answer(&run("").await, 401, "www-authenticate: Bearer");
    assert_answer(&run("\r\nauthorization: Basic abc").await, 401, "no_key");
    assert_answer(
        &run("\r\nauthorization: Bearer short").await,
        401,
        "unknown_key",
    );
    let other = "A".repeat(44);
    let unknown = run(&format!("\r\nauthorization: Bearer {other}")).await;
    assert_answer(&unknown, 401, "unknown_key");
    assert!(!unknown.contains(&other), "{unknown}");
    assert_answer(
        &run(&format!("\r\nauthorization: Bearer {full_key}")).await,
        200,
        "select",
    );
    assert_answer(
        &run(&format!("\r\nauthorization: bearer {bare_key}")).await,
        403,
        "not_permitted",
    );
    assert_answer(&look("").await, 401, "www-authenticate: Bearer");
    let bare = look(&format!("\r\nauthorization: Bearer {bare_key}")).await;
    assert_answer(&bare, 403, "not_permitted");
    let full = look(&format!("\r\nauthorization: Bearer {full_key}")).await;
    assert_answer(&full, 200, r#"{"remotePeers":[]}"#);
}
