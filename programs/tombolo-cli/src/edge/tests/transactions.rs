//! Requests that name the transaction which they want to see.

use super::observe::start_database;
use super::*;

async fn ask(node: &Running, transaction: &str, statement: &str) -> String {
    let head = format!(
        "POST /execute HTTP/1.1\r\ncontent-type: application/json\r\nx-ditto-txn-id: {transaction}"
    );
    node.send(&head, &format!(r#"{{"statement":"{statement}"}}"#))
        .await
}

fn number_in(answer: &str) -> u64 {
    let (_, rest) = answer.split_once(r#""transactionId":"#).unwrap();
    rest.split(',').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_transaction_that_was_answered_is_seen_and_a_later_one_is_not_found() {
    let node = start_database(Clients::Anyone).await;
    let insert = "INSERT INTO a DOCUMENTS ({'_id': 1})";
    let written = ask(&node, "0", insert).await;
    assert_answer(&written, 200, "mutation");
    let number = number_in(&written);
    let select = "SELECT * FROM a";
    let seen = ask(&node, &number.to_string(), select).await;
    assert_answer(&seen, 200, r#""items":[{"_id":1}]"#);
    let later = ask(&node, &(number + 1).to_string(), select).await;
    assert_answer(&later, 404, r#""code":"unknown_transaction""#);
    assert!(later.contains(r#""items":[]"#), "{later}");
    // A write is not run either.
    let not_run = ask(&node, &(number + 1).to_string(), "DELETE FROM a").await;
    assert_answer(&not_run, 404, "unknown_transaction");
    assert_answer(&ask(&node, "0", select).await, 200, r#"{"_id":1}"#);
}

#[tokio::test]
async fn a_write_that_changed_nothing_has_a_number_that_is_reached() {
    let node = start_database(Clients::Anyone).await;
    let written = ask(&node, "0", "DELETE FROM a").await;
    let number = number_in(&written);
    let seen = ask(&node, &number.to_string(), "SELECT * FROM a").await;
    assert_answer(&seen, 200, "select");
}

#[tokio::test]
async fn what_is_no_number_is_refused_and_who_may_not_ask_learns_no_number() {
    let node = start_database(Clients::Anyone).await;
    let wrong = ask(&node, "latest", "SELECT * FROM a").await;
    assert_answer(&wrong, 400, "bad_transaction");
    let node = start_database(Clients::Known(Vec::new())).await;
    let refused = ask(&node, "99", "SELECT * FROM a").await;
    assert_answer(&refused, 401, "no_key");
}
