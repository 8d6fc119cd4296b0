//! The two thin servers: hyper with nothing behind it, and hyper with PostgreSQL behind it.
//! Both are as short as a server can be, so that they stand for a limit and for the best a database behind HTTP can do.
//! They check nothing and must never listen on anything but the loopback address.

use std::convert::Infallible;
use std::future::Future;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::postgres::Pool;
use crate::error::BenchError;

type Answer = Result<Response<Full<Bytes>>, Infallible>;

/// As long as an acknowledgement of the documented HTTP interface.
const NULL_ANSWER: &[u8] =
    br#"{"queryType":"mutation","items":[],"mutatedDocumentIds":["order-00000000"]}"#;

/// The runtime of servers and load alike: two threads, as many as the machine of the published figures has.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, BenchError> {
    let built = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    built.map_err(|error| BenchError::Start {
        program: "runtime".to_owned(),
        reason: error.to_string(),
    })
}

/// Serves as a child process until it is killed: `null`, or `postgres CONNECTION`.
pub(crate) fn serve(arguments: &[String]) -> Result<(), BenchError> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["null"] => runtime()?.block_on(listen(answer_nothing)),
        ["postgres", connection] => runtime()?.block_on(async {
            let pool = Arc::new(Pool::connect(connection).await?);
            listen(move |request| answer_from(Arc::clone(&pool), request)).await
        }),
        _ => Err(BenchError::Usage(
            "usage: tombolo-bench serve null | postgres CONNECTION",
        )),
    }
}

/// Listens on a free port of the loopback address and prints it as the first line.
async fn listen<Handler, Answering>(handler: Handler) -> Result<(), BenchError>
where
    Handler: Fn(Request<Incoming>) -> Answering + Clone + Send + 'static,
    Answering: Future<Output = Answer> + Send,
{
    let failed = |source| BenchError::Connection {
        contender: "thin server",
        source,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    writeln!(std::io::stdout(), "{address}").map_err(failed)?;
    loop {
        let (stream, _) = listener.accept().await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let service = service_fn(handler.clone());
        tokio::spawn(async move {
            // A connection that the load closes is no error.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer_nothing(request: Request<Incoming>) -> Answer {
    let _ = request.into_body().collect().await;
    Ok(answer(200, Bytes::from_static(NULL_ANSWER)))
}

/// `POST /documents/ID` writes the body, `GET /documents/ID` reads it.
async fn answer_from(pool: Arc<Pool>, request: Request<Incoming>) -> Answer {
    let id = request
        .uri()
        .path()
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    let reads = request.method() == hyper::Method::GET;
    let body = request
        .into_body()
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let done = if reads {
        pool.read(&id).await
    } else {
        pool.insert(&id, &body).await
    };
    Ok(match done {
        Ok(text) => answer(200, text),
        Err(error) => answer(500, Bytes::from(error.to_string())),
    })
}

fn answer(status: u16, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    let json = hyper::header::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, json);
    response
}
