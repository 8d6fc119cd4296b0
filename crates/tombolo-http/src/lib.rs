//! Listening, TLS and its reload, limits, request ids and error bodies of an HTTP server; knows no route.
