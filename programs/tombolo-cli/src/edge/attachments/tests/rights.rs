//! Who may have the content of an attachment: whoever may read a document that refers to it.

use std::collections::BTreeMap;

use super::*;
use crate::edge::tests::permissions::{clients, key};

/// Its permission sets are those of the tests of permission sets.
const IDENTITIES: [(&str, u8); 3] = [("all", 1), ("orders_and_files", 2), ("watcher", 3)];

async fn get(node: &Running, number: u8, id: AttachmentId) -> Told {
    let key = key(number).private_key;
    let head = format!("authorization: Bearer {key}");
    node.get(&id.to_string(), &head).await
}

fn keep(database: &Database, content: &[u8], document: &str) -> AttachmentId {
    let token = database.new_attachment(content, BTreeMap::new()).unwrap();
    let id = token.id;
    let arguments = Object::from([("img".to_owned(), token.to_value())]);
    let statement = format!(
        "INSERT INTO COLLECTION orders (img ATTACHMENT) DOCUMENTS ({{'_id': '{document}', 'img': :img}})"
    );
    database.execute(&statement, arguments).unwrap();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn content_is_for_those_who_may_read_a_document_that_refers_to_it() {
    let node = start_for(clients(&IDENTITIES)).await;
    let (theirs, other) = (content(1_000), content(2_000));
    let theirs_id = keep(&node.database, &theirs, "a1");
    let other_id = keep(&node.database, &other, "b1");
    let unknown = AttachmentId::of(b"nobody has this");

    let told = get(&node, 2, theirs_id).await;
    assert_eq!((told.status, told.body == theirs), (200, true));
    let (hidden, nowhere) = (get(&node, 2, other_id).await, get(&node, 2, unknown).await);
    assert_eq!((hidden.status, nowhere.status), (404, 404));
    assert_eq!(hidden.text(), nowhere.text(), "what is hidden is not told");

    assert_eq!(get(&node, 1, other_id).await.status, 200);
    assert_eq!(get(&node, 3, theirs_id).await.status, 403);

    // The same content in a document that it may read is for it too.
    keep(&node.database, &other, "a2");
    assert_eq!(get(&node, 2, other_id).await.status, 200);
}
