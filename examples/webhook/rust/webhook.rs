//! A webhook that knows one user: it is told the token of a login and answers who that is.

use http_body_util::{BodyExt, Limited};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const CALL_BYTES_MAX: usize = 65_536;
const USERS: [(&str, &str); 1] = [("token-of-ada", "ada")];

async fn judge(call: Request<Incoming>) -> Result<Response<String>, Failure> {
    let body = Limited::new(call.into_body(), CALL_BYTES_MAX);
    let call: Value = serde_json::from_slice(&body.collect().await?.to_bytes())?;
    let answer = match USERS.iter().find(|(token, _)| call["token"] == *token) {
        None => json!({ "authenticated": false }),
        Some((_, user)) => {
            let own = json!({ "everything": false, "queriesByCollection": { "notes": [format!("_id.owner == '{user}'")] } });
            json!({ "authenticated": true, "userID": user, "expirationSeconds": 3600,
                    "permissions": { "read": own, "write": own } })
        }
    };
    Ok(Response::new(answer.to_string()))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:9471").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let connection = http1::Builder::new();
        tokio::spawn(connection.serve_connection(TokioIo::new(stream), service_fn(judge)));
    }
}
