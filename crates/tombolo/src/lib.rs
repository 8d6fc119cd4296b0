//! An offline-first document database: open, execute, transact, close.
