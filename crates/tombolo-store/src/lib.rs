//! Collections, change log, indexes, transactions and snapshots over an ordered byte store.
