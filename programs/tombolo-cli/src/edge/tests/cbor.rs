//! Questions and answers in CBOR, over a socket.

use super::*;
use crate::edge::cbor;

pub(super) struct Told {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

pub(super) async fn send(node: &Running, headers: &str, body: &[u8]) -> Told {
    let head = format!(
        "POST /execute HTTP/1.1\r\n{headers}host: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let body = answer.split_off(end.unwrap() + 4);
    let head = String::from_utf8(answer).unwrap();
    Told { head, body }
}

impl Told {
    /// The body of an answer in CBOR.
    pub(super) fn cbor(&self, status: u16) -> Value {
        assert_answer(&self.head, status, "content-type: application/cbor\r\n");
        cbor::parse(&self.body).unwrap()
    }

    /// The body of an answer in JSON.
    pub(super) fn json(&self, status: u16) -> Value {
        assert_answer(&self.head, status, "content-type: application/json\r\n");
        tombolo::json::parse(&self.body).unwrap()
    }
}

pub(super) fn member<'a>(value: &'a Value, name: &str) -> &'a Value {
    match value {
        Value::Object(members) => members.get(name).unwrap(),
        other => panic!("{other:?} has no {name}"),
    }
}

pub(super) const CBOR: &str = "content-type: application/cbor\r\n";
pub(super) const JSON: &str = "content-type: application/json\r\n";
/// `{"statement": "ECHO", "args": {"b": h'00ff'}}`
const ECHO: &[u8] = b"\xa2\x69statement\x64ECHO\x64args\xa1\x61b\x42\x00\xff";

#[tokio::test]
async fn binary_comes_back_as_bytes_to_who_asks_in_cbor() {
    let node = open().await;
    let told = send(&node, CBOR, ECHO).await.cbor(200);
    let Value::Array(items) = member(&told, "items") else {
        panic!("{told:?}");
    };
    assert_eq!(member(&items[0], "b"), &Value::Binary(vec![0, 255]));
}

#[tokio::test]
async fn the_answer_is_in_the_format_that_accept_names() {
    let node = open().await;
    let to_json = format!("{CBOR}accept: application/json\r\n");
    let told = send(&node, &to_json, ECHO).await.json(200);
    let Value::Array(items) = member(&told, "items") else {
        panic!("{told:?}");
    };
    assert_eq!(member(&items[0], "b"), &Value::from("AP8="));
    let to_cbor = format!("{JSON}accept: application/cbor\r\n");
    let told = send(&node, &to_cbor, br#"{"statement":"ECHO"}"#).await;
    assert_eq!(member(&told.cbor(200), "queryType"), &Value::from("select"));
}

#[tokio::test]
async fn t47_a_body_that_is_no_cbor_is_refused_in_cbor() {
    let node = open().await;
    let announced = b"\xa1\x69statement\x7b\x00\x00\x01\x00\x00\x00\x00\x00";
    for (body, status, code, text) in [
        (
            &announced[..],
            400,
            "bad_body",
            "ends within an item at byte 11",
        ),
        (b"\xa1\x69statement\xc1\x00", 400, "bad_body", "a tag"),
        (b"\x80", 400, "bad_body", "a CBOR map"),
        (b"{}", 400, "bad_body", "at byte"),
        (&[0x80; 1001], 413, "body_too_large", "1000"),
    ] {
        let told = send(&node, CBOR, body).await.cbor(status);
        let error = member(&told, "error");
        assert_eq!(member(error, "code"), &Value::from(code));
        let Value::String(description) = member(error, "description") else {
            panic!("{error:?}");
        };
        assert!(description.contains(text), "{description}");
    }
}

/// What refuses before the body is read tells it in the same format, and other endpoints in JSON.
#[tokio::test]
async fn a_client_without_a_key_is_told_in_its_format() {
    let node = start(ALL, Clients::Known(Vec::new()), Limits::default()).await;
    let told = send(&node, CBOR, ECHO).await.cbor(401);
    let code = member(member(&told, "error"), "code");
    assert_eq!(code, &Value::from("no_key"));
    let observe = format!("POST /observe HTTP/1.1\r\n{CBOR}x: x");
    let answer = node.send(&observe, "").await;
    assert_answer(&answer, 401, "content-type: application/json\r\n");
}
